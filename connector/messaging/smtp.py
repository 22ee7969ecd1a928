"""E-mail by SMTP: one connection per message, certificates verified, every outcome in one of our error classes.

Before the final dot of the text a failure means that nothing was accepted; from then on it may have been.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.policy import SMTP
from email.utils import format_datetime

from connector import ids
from connector.clock import Clock
from connector.errors import AccessDenied, EdgeError, NotSent, OutcomeUnknown, Rejected
from connector.messaging.mailer import Mail, compose, only_address
from connector.settings import MailSettings

# Not every server takes eight bits, and none has to.
_POLICY = SMTP.clone(cte_type="7bit")
_NEEDS_LOGIN = frozenset({530, 534, 535, 538})
_READY = 220
_GO_AHEAD = 354
# Without it the library looks this machine up in the DNS and tells the server its name.
_OUR_NAME = "[127.0.0.1]"


class SmtpMailer:
    """Sends through the mail server of the settings. Safe to use from several threads."""

    def __init__(self, settings: MailSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._tls = ssl.create_default_context()

    def send(self, mail: Mail) -> str:
        """Hand the message over; returns the Message-ID that we gave it."""
        message = compose(self._settings.sender, mail, _POLICY)
        sender, recipient = only_address(message, "From"), only_address(message, "To")
        if not (sender.addr_spec + recipient.addr_spec).isascii():
            raise Rejected(
                "The e-mail was not sent, because its address has letters beyond ASCII: correct the contact."
            )
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = f"<{ids.new_id('mail')}@{sender.domain}>"
        content = _dotted(message.as_bytes())
        with self._connected() as server:
            _expect(server.mail(sender.addr_spec), "the sender")
            _expect(server.rcpt(recipient.addr_spec), "the recipient")
            _expect(server.docmd("DATA"), "the message", _GO_AHEAD)
            try:
                server.send(content)
                answer = server.getreply()
            except (smtplib.SMTPException, OSError) as error:
                raise OutcomeUnknown(
                    f"The mail server gave no answer to the message ({type(error).__name__}): it may have been sent."
                ) from None
            if answer[0] // 100 not in (2, 4, 5):
                raise OutcomeUnknown("The mail server answered the message with no known code: it may have been sent.")
            _expect(answer, "the message")
        return str(message["Message-ID"])

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """A server that is ready for a message. What the library raises before one was handed over is NotSent."""
        try:
            server = self._connect()
            try:
                self._prepare(server)
                yield server
                # The message has been taken, so a failing farewell is of no interest.
                with suppress(smtplib.SMTPException, OSError):
                    server.quit()
            finally:
                server.close()
        except ssl.SSLError as error:
            raise NotSent(
                f"The e-mail was not sent: there is no safe connection to the mail server ({type(error).__name__}). "
                "Check mail.host, mail.port and the server's certificate."
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotSent(
                f"The e-mail was not sent: the connection to the mail server failed ({type(error).__name__}). "
                "Check mail.host and mail.port."
            ) from None

    def _connect(self) -> smtplib.SMTP:
        host, port, timeout = self._settings.host, self._settings.port, self._settings.timeout_seconds
        if self._settings.security == "tls":
            return smtplib.SMTP_SSL(host, port, _OUR_NAME, timeout=timeout, context=self._tls)
        return smtplib.SMTP(host, port, _OUR_NAME, timeout=timeout)

    def _prepare(self, server: smtplib.SMTP) -> None:
        server.ehlo_or_helo_if_needed()
        if self._settings.security == "starttls":
            # An offer that is not kept, by the server or by someone in between, is as good as none.
            if not server.has_extn("starttls") or server.starttls(context=self._tls)[0] != _READY:
                raise NotSent(
                    "The e-mail was not sent, because the mail server offers no encryption: ask its operator."
                )
            server.ehlo_or_helo_if_needed()
        if not self._settings.user:
            return
        try:
            server.login(self._settings.user, self._settings.password.get_secret_value())
        except smtplib.SMTPAuthenticationError as error:
            raise _refusal(error.smtp_code, "the login", denied=True) from None
        except smtplib.SMTPServerDisconnected:
            raise
        except (smtplib.SMTPException, UnicodeError):
            raise AccessDenied("The mail server does not offer this login: check mail.host and mail.user.") from None


def _expect(answer: tuple[int, bytes], what: str, code: int = 0) -> None:
    """Raise unless the server agreed. What it says beside the code may quote the address, so it is not repeated."""
    if answer[0] != code if code else not 200 <= answer[0] < 300:
        raise _refusal(answer[0], what)


def _refusal(code: int, what: str, *, denied: bool = False) -> EdgeError:
    said = f"The mail server refused {what} (code {code})"
    if not 500 <= code < 600:
        return NotSent(f"{said} for the time being: the e-mail was not sent, try again later.")
    if denied or code in _NEEDS_LOGIN:
        return AccessDenied(f"{said}: check mail.user and its password.")
    return Rejected(f"{said}: the e-mail was not sent, a person must look at it.")


def _dotted(content: bytes) -> bytes:
    """The text with its end mark; a line that begins with a dot gets a second one (RFC 5321, 4.5.2)."""
    text = content.replace(b"\r\n.", b"\r\n..")
    return (b"." if text.startswith(b".") else b"") + text + (b"" if text.endswith(b"\r\n") else b"\r\n") + b".\r\n"
