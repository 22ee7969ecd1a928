"""The texts of messages, from the templates beside this module.

They name the practice, the amount, the date and the next step, and nothing about health; a failed payment's reason is
never given, because a bank's may be a lost or stolen card. An e-mail's first line is its subject.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from connector.messaging.gsm7 import folded
from connector.messaging.kinds import CHANNELS, REQUIRED, Channel, MessageKind
from connector.messaging.mailer import Mail
from connector.messaging.sms import Sms
from connector.money import Money

TEMPLATES = Path(__file__).with_name("templates")

_SIGNS = dict.fromkeys(("aud", "cad", "hkd", "nzd", "sgd", "usd"), "$") | {"eur": "€", "gbp": "£"}
_SUBJECT = "Subject: "


def render(kind: MessageKind, channel: Channel, values: Mapping[str, object]) -> tuple[str | None, str]:
    """Subject (None for an SMS) and text of a message. Raises ValueError when it has no such channel or lacks values.

    `values` are those of `kinds.REQUIRED`; others are ignored.
    """
    if channel not in CHANNELS[kind]:
        raise ValueError(f"A message of kind {kind} does not go by {channel}.")
    if missing := REQUIRED[kind] - values.keys():
        raise ValueError(f"A message of kind {kind} lacks {', '.join(sorted(missing))}.")
    text = templates().get_template(f"{kind}.{channel}.txt").render(values)
    if channel is Channel.SMS:
        return None, folded(text).strip()
    first, _, rest = text.partition("\n")
    return first.removeprefix(_SUBJECT), rest.strip() + "\n"


def mail(to: str, kind: MessageKind, values: Mapping[str, object]) -> Mail:
    """The e-mail of that kind to an address."""
    subject, text = render(kind, Channel.EMAIL, values)
    return Mail(to, subject or "", text)


def sms(to: str, kind: MessageKind, values: Mapping[str, object]) -> Sms:
    """The SMS of that kind to a number in E.164."""
    return Sms(to, render(kind, Channel.SMS, values)[1])


def invitation(to: str, given_name: str, practice: str, url: str) -> Mail:
    """Asks a member to sign up on the hosted page, which is open for a day."""
    values = {"given_name": given_name, "practice": practice, "url": url, "expires_on": None}
    return mail(to, MessageKind.INVITATION, values)


@cache
def templates() -> Environment:
    """The templates as Jinja2 reads them; plain text, so nothing is escaped."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        finalize=_shown,
        trim_blocks=True,
        auto_reload=False,
    )


def _shown(value: object) -> object:
    """A value as people read it, on one line: a name must not be able to begin a paragraph of its own."""
    match value:
        case Money():
            return _amount(value)
        case datetime():
            raise TypeError("Texts show dates: turn the instant into the practice's date first.")
        case date():
            return f"{value:%d/%m/%Y}"
        case str():
            return " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return value


def _amount(value: Money) -> str:
    """E.g. $1,234.50, -£5.00 or CHF 20.00."""
    minus = "-" if value.cents < 0 else ""
    sign = _SIGNS.get(value.currency) or f"{value.currency.upper()} "
    return f"{minus}{sign}{abs(value.cents) // 100:,}.{abs(value.cents) % 100:02}"
