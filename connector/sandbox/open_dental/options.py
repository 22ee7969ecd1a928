"""What differs from one Open Dental office to the next: access, version, and the behaviours that are settings there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from connector.clock import zone
from connector.errors import DomainError

Version = tuple[int, ...]

PERMISSIONS = (
    "ApiReadAll",
    "ApiPayments",
    "ApiPayPlans",
    "ApiPatients",
    "ApiAllOthers",
    "ApiQueries",
    "ApiProcedureLogs",
    "ApiComm",
    "ApiSetup",
    "ApiDocuments",
)
"""Permission groups in the order in which `GET /securityperms` lists them."""


class Mode(StrEnum):
    """Who answers: the vendor's server on the internet, or the service on the office's own server."""

    REMOTE = "remote"
    SERVICE = "service"

    @property
    def page_cap(self) -> int:
        """Most rows in one answer, whatever the caller asks for."""
        return 100 if self is Mode.REMOTE else 1000


class Allocation(StrEnum):
    """The preference RigorousAccounting. The API splits alike under the first two and not at all under the third."""

    RIGOROUS = "rigorous"
    AUTO = "auto"
    MANUAL = "manual"

    @property
    def preference(self) -> str:
        """The number under which the preference stores this choice."""
        return str(list(Allocation).index(self))


@dataclass(frozen=True, slots=True)
class OfficeOptions:
    """One office as its integrators find it. All of it can be changed while the sandbox runs."""

    mode: Mode = Mode.REMOTE
    developer_key: str = "sandbox-developer"
    customer_key: str = "sandbox-office"
    key_enabled: bool = True
    """False when the office has switched the key off: every call is answered 401."""
    permissions: tuple[str, ...] = PERMISSIONS
    """The groups that the key pair holds."""
    throttle_milliseconds: int = 0
    """Shortest time between two calls in Remote mode; 0 for none. The vendor's is 1000 with a paid permission."""
    throttle_refuses: bool = False
    """Whether a call that comes too early is refused with 429 instead of being delayed."""
    quoted_errors: bool = False
    """Whether an error sentence is sent as a JSON string instead of bare text."""
    strict_query_keys: bool = False
    """Whether an unknown query key is answered 400 instead of being ignored."""
    last_name_substring: bool = False
    """Whether the patient search finds LName anywhere in the name instead of at its start."""
    program_version: str = "25.4.48.0"
    allocation: Allocation = Allocation.AUTO
    refund_copies_reference: bool = False
    """Whether a refund carries the CheckNum and PayNote of the payment that it takes back."""
    negative_payments: bool = False
    """Whether POST /payments takes a negative PayAmt."""
    future_dates_allowed: bool = False
    lock_date: str = ""
    """Preference SecurityLockDate (yyyy-mm-dd): that day and all before it are closed."""
    lock_days: int = 0
    """Preference SecurityLockDays: what is so many days old is closed; 0 for nothing."""
    lock_binds_api: bool = False
    """Whether a closed day is refused to the API, too. The vendor says that it binds people only."""
    timezone: str = "Australia/Sydney"

    def __post_init__(self) -> None:
        zone(self.timezone)
        parse_version(self.program_version)
        unknown = set(self.permissions) - set(PERMISSIONS)
        if unknown:
            raise DomainError(f"{min(unknown)!r} is not a permission: use one of {', '.join(PERMISSIONS)}.")

    @property
    def version(self) -> Version:
        """The program version as numbers that compare."""
        return parse_version(self.program_version)

    def changed(self, changes: Mapping[str, object]) -> OfficeOptions:
        """These options with some replaced by JSON values. Raises DomainError for an unknown name or a wrong value."""
        kinds = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        values: dict[str, Any] = {name: _converted(name, value, kinds) for name, value in changes.items()}
        return replace(self, **values)


def parse_version(text: str) -> Version:
    """Read '25.4.48.0'. Raises DomainError for anything that is not numbers with dots."""
    parts = text.split(".")
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise DomainError(f"{text!r} is not a program version: write it like 25.4.48.0.")
    return tuple(int(part) for part in parts)


def _converted(name: str, value: object, kinds: Mapping[str, type]) -> object:
    kind = kinds.get(name)
    if kind is None:
        raise DomainError(f"{name!r} is not an option of the sandbox: use one of {', '.join(kinds)}.")
    if kind is tuple and isinstance(value, list):
        return tuple(str(item) for item in value)
    if issubclass(kind, StrEnum) and value in [member.value for member in kind]:
        return kind(value)
    if type(value) is kind:
        return value
    raise DomainError(f"{value!r} is not a value for the option {name!r}.")
