"""What the simulated providers share: accounts, numbers that refuse, what was accepted, and checks of a request."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from uuid import uuid4

from starlette.requests import Request

USER = "sandbox-user"
SECRET = "sandbox-secret"
"""The API key and its secret at ClickSend and MessageMedia."""

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}", re.ASCII)


class Trouble(StrEnum):
    """Why a provider does not take texts; each says it in its own way."""

    OPTED_OUT = "opted_out"
    UNREACHABLE = "unreachable"
    NO_CREDIT = "no_credit"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A text that will be delivered, as the provider took it down."""

    provider: str
    id: str
    to: str
    sender: str
    text: str


@dataclass(slots=True)
class PhoneBox:
    """Everything that was accepted, in order, and the numbers that are in trouble ('*': all of them)."""

    accepted: list[Accepted] = field(default_factory=list)
    troubles: dict[str, Trouble] = field(default_factory=dict)

    def trouble(self, number: str) -> Trouble | None:
        return self.troubles.get(number) or self.troubles.get("*")

    def accept(self, provider: str, message_id: str, to: str, sender: str, text: str) -> None:
        self.accepted.append(Accepted(provider, message_id, to, sender, text))

    def listing(self) -> list[dict[str, str]]:
        return [asdict(message) for message in self.accepted]


def new_uuid() -> str:
    """An id of the form that ClickSend and MessageMedia use."""
    return str(uuid4())


def is_number(text: object) -> bool:
    """Whether it is in international form."""
    return isinstance(text, str) and _NUMBER.fullmatch(text) is not None


def is_name(text: object) -> bool:
    """Whether it can be an alphanumeric sender: at most eleven letters, digits and blanks, not digits alone."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def media_type(request: Request) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def login(request: Request) -> tuple[str, str] | None:
    """User and password of basic authentication; None when there is nothing of the kind."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if scheme.lower() == "basic" and colon else None
