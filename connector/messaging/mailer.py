"""E-mail: the message, the port that hands it over, and the outbox back end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.headerregistry import Address, AddressHeader
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from pathlib import Path
from typing import Any, Protocol, cast

from connector.errors import Rejected
from connector.messaging import outbox

_ADDRESS = re.compile(r"""[^\s@,:;<>()\[\]"\\]+@[^\s@,:;<>()\[\]"\\]+""")


@dataclass(frozen=True, slots=True, repr=False)
class Mail:
    """One message to one person. Has no repr: address and text are personal."""

    to: str
    subject: str
    text: str
    html: str | None = None
    """The same content for programs that show HTML."""


class Mailer(Protocol):
    """Hands a message over for delivery, once."""

    def send(self, mail: Mail) -> str | None:
        """The message's id at the other side, if it has one.

        Raises NotSent, Rejected or AccessDenied when it was certainly not accepted, else OutcomeUnknown.
        """


class OutboxMailer:
    """Puts messages into a folder instead of sending them; mail programs and people can read the files."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    def send(self, mail: Mail) -> str:
        return outbox.put(self._folder, "mail", ".eml", compose(self._sender, mail, SMTP, cte="8bit").as_bytes())


def compose(sender: str, mail: Mail, policy: EmailPolicy[Any], cte: str | None = None) -> EmailMessage:
    """The message as it travels; `cte` is its encoding, if the policy is not to choose one.

    Raises Rejected when address, subject or text cannot be sent as they are.
    """
    try:
        return _composed(sender, mail, policy, cte)
    except ValueError:
        raise Rejected(
            "The e-mail was not sent, because its address, subject or text is not usable: correct the contact."
        ) from None


def _composed(sender: str, mail: Mail, policy: EmailPolicy[Any], cte: str | None) -> EmailMessage:
    # Only plain fields are given to the library's parser, which stumbles over odd ones.
    if not (_ADDRESS.fullmatch(mail.to) and mail.to.isprintable() and mail.subject.isprintable()):
        raise ValueError("The address or the subject is not plain.")
    message = EmailMessage(policy=policy)
    message["From"], message["To"], message["Subject"] = sender, mail.to, mail.subject
    # Programs that answer automatically leave such messages alone (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    if only_address(message, "To").addr_spec != mail.to:
        raise ValueError("The address is read differently than it was written.")
    message.set_content(mail.text, cte=cte)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html", cte=cte)
    return message


def only_address(message: EmailMessage, header: str) -> Address:
    """The one address of a header. Raises ValueError when there are none or several: 'a@b, c@d' would reach two."""
    (address,) = cast("AddressHeader", message[header]).addresses
    return address
