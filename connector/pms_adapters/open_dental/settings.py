"""The settings of one Open Dental connection, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from connector.errors import DomainError

_LOCAL_PORT = 30222
_VENDOR_DOMAIN = "opendental.com"

Choice = TypeVar("Choice", bound=StrEnum)


class Mode(StrEnum):
    """Who answers: the vendor's relay, the service on the database server, or the program on a workstation."""

    REMOTE = "remote"
    SERVICE = "service"
    LOCAL = "local"

    @property
    def page_rows(self) -> int:
        """Most rows that one answer holds in this mode."""
        return 100 if self is Mode.REMOTE else 1000

    @property
    def interval_seconds(self) -> float:
        """Least time between two requests of one key pair that has a paid permission."""
        return 1.0 if self is Mode.REMOTE else 0.0


class Reversals(StrEnum):
    """Which request takes a payment back."""

    REFUND = "refund"
    """POST /payments/Refund: whole amounts only, from version 24.4.28."""
    NEGATIVE_PAYMENT = "negative_payment"
    """POST /payments with a negative amount: any part, on builds that accept it."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class OpenDentalSettings:
    """Checked settings; the keys stay out of the repr."""

    base_url: str
    developer_key: str = field(repr=False)
    customer_key: str = field(repr=False)
    mode: Mode
    payment_type: str
    reversals: Reversals

    @classmethod
    def parse(cls, settings: Mapping[str, str]) -> OpenDentalSettings:
        """Read what `check_settings` let through. Raises DomainError for malformed values."""
        address = _address(settings["base_url"])
        mode = _choice(Mode, "mode", settings.get("mode", "")) or _guessed_mode(address)
        if mode is Mode.REMOTE and address.scheme != "https" and not _is_loopback(address.hostname or ""):
            raise DomainError("The setting 'base_url' must start with https:// in remote mode, to protect the keys.")
        return cls(
            base_url=address.geturl().rstrip("/"),
            developer_key=_key(settings, "developer_key"),
            customer_key=_key(settings, "customer_key"),
            mode=mode,
            payment_type=settings.get("payment_type", "").strip(),
            reversals=_choice(Reversals, "reversals", settings.get("reversals", "")) or Reversals.REFUND,
        )


def _address(text: str) -> SplitResult:
    try:
        address = urlsplit(text.strip())
        valid = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        valid = False
    if not valid or address.username or address.password or address.query or address.fragment:
        raise DomainError("The setting 'base_url' must be a plain address such as http://server:30223/api/v1.")
    return address


def _guessed_mode(address: SplitResult) -> Mode:
    host = address.hostname or ""
    if host == _VENDOR_DOMAIN or host.endswith(f".{_VENDOR_DOMAIN}"):
        return Mode.REMOTE
    return Mode.LOCAL if address.port == _LOCAL_PORT else Mode.SERVICE


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _choice(kind: type[Choice], name: str, text: str) -> Choice | None:
    if not text.strip():
        return None
    try:
        return kind(text.strip().lower())
    except ValueError:
        raise DomainError(f"The setting {name!r} must be one of {', '.join(kind)}.") from None


def _key(settings: Mapping[str, str], name: str) -> str:
    key = settings[name].strip()
    # The two keys travel in one header, joined by a slash.
    if not key.isascii() or not key.isprintable() or any(character in key for character in " /"):
        raise DomainError(f"The setting {name!r} is not a key: copy it again without spaces.")
    return key
