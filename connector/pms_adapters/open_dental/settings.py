"""The settings of one Open Dental connection, checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from connector.addresses import ip_of, is_near, is_this_machine, web_address
from connector.errors import DomainError

_LOCAL_PORT = 30222
_VENDOR_DOMAIN = "opendental.com"
_METADATA = frozenset(
    {
        *("metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"),
        *("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"),
    }
)
"""Where clouds tell a machine its credentials, besides the link-local 169.254.169.254."""

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
    def patients_per_page(self) -> int:
        """So many patients are read one by one in about the time of one page of their list."""
        return 2 if self is Mode.REMOTE else 16


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
    backup_provider: int = 0
    """ProvNum for patients who have no provider of their own; 0 for none."""

    @classmethod
    def parse(cls, settings: Mapping[str, str]) -> OpenDentalSettings:
        """Read what `check_settings` let through. Raises DomainError for malformed values."""
        address = _address(settings["base_url"])
        mode = _choice(Mode, "mode", settings.get("mode", "")) or _guessed_mode(address)
        if mode is Mode.REMOTE and address.scheme != "https" and not is_this_machine(address.hostname or ""):
            raise DomainError("The setting 'base_url' must start with https:// in remote mode, to protect the keys.")
        return cls(
            base_url=address.geturl().rstrip("/"),
            developer_key=_key(settings, "developer_key"),
            customer_key=_key(settings, "customer_key"),
            mode=mode,
            payment_type=settings.get("payment_type", "").strip(),
            backup_provider=_number("backup_provider", settings.get("backup_provider", "")),
            reversals=_choice(Reversals, "reversals", settings.get("reversals", "")) or Reversals.REFUND,
        )


def _address(text: str) -> SplitResult:
    """The address, if the keys may be sent there. Raises DomainError."""
    try:
        address = web_address(text.strip())
    except ValueError:
        address = urlsplit("")
    host = (address.hostname or "").rstrip(".")
    if not host or address.query or address.fragment:
        raise DomainError("The setting 'base_url' must be a plain address such as http://server:30223/api/v1.")
    if _is_no_server(host):
        raise DomainError("The setting 'base_url' names no server of a practice: copy the address from Open Dental.")
    if address.scheme != "https" and not is_near(host):
        raise DomainError(
            "The setting 'base_url' must start with https:// for a server outside the office, to protect the keys."
        )
    return address


def _is_no_server(host: str) -> bool:
    """Whether no practice system can be there: addresses that a network gives to itself, and a cloud to its services.

    What answers there may hold secrets of this machine, and whoever sets up a location could read them.
    """
    number = ip_of(host)
    if number is None:
        return host in _METADATA or host.endswith(".metadata.google.internal")
    if number.is_loopback:
        return False
    special = number.is_link_local or number.is_unspecified or number.is_multicast or number.is_reserved
    return special or str(number) in _METADATA or str(number).startswith("0.")


def _guessed_mode(address: SplitResult) -> Mode:
    host = address.hostname or ""
    if host == _VENDOR_DOMAIN or host.endswith(f".{_VENDOR_DOMAIN}"):
        return Mode.REMOTE
    return Mode.LOCAL if address.port == _LOCAL_PORT else Mode.SERVICE


def _choice(kind: type[Choice], name: str, text: str) -> Choice | None:
    if not text.strip():
        return None
    try:
        return kind(text.strip().lower())
    except ValueError:
        raise DomainError(f"The setting {name!r} must be one of {', '.join(kind)}.") from None


def _number(name: str, text: str) -> int:
    if not text.strip():
        return 0
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text.strip(), re.ASCII):
        raise DomainError(f"The setting {name!r} must be a number of Open Dental's list of providers.")
    return int(text)


def _key(settings: Mapping[str, str], name: str) -> str:
    key = settings[name].strip()
    # The two keys travel in one header, joined by a slash.
    if not key.isascii() or not key.isprintable() or any(character in key for character in " /"):
        raise DomainError(f"The setting {name!r} is not a key: copy it again without spaces.")
    return key
