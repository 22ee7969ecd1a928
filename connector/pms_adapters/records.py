"""What crosses the port to a practice-management system, in the practice's words and no vendor's."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from connector.money import Money


@dataclass(frozen=True, slots=True, repr=False)
class PmsPatient:
    """A person in the practice system. Has no repr: the fields must not reach a log by accident."""

    id: str
    given_name: str
    family_name: str
    date_of_birth: date | None = None
    preferred_name: str = ""
    middle_name: str = ""
    email: str = ""
    phones: tuple[str, ...] = ()
    address: str = ""
    suburb: str = ""
    state: str = ""
    postcode: str = ""
    guarantor_id: str | None = None
    active: bool = True

    def __repr__(self) -> str:
        return f"PmsPatient({self.id})"


@dataclass(frozen=True, slots=True, repr=False)
class PatientQuery:
    """A search in the practice system: all fields given must agree; names are prefixes."""

    given_name: str = ""
    family_name: str = ""
    date_of_birth: date | None = None
    phone: str = ""
    email: str = ""

    def __repr__(self) -> str:
        return "PatientQuery(…)"


class EntryKind(StrEnum):
    PAYMENT = "payment"
    """Money received from the patient."""
    REVERSAL = "reversal"
    """Takes back an earlier payment entry, in whole or in part."""


@dataclass(frozen=True, slots=True)
class PaymentCommand:
    """Record a payment in the patient's ledger. `reference` is ours and is found again by `find_entries`."""

    reference: str
    patient_id: str
    amount: Money
    entry_date: date
    payment_type: str
    note: str
    prepayment: bool = True


@dataclass(frozen=True, slots=True)
class ReversalCommand:
    """Record that `amount` of the earlier entry `original_entry_id` was given back; `amount` is positive."""

    reference: str
    original_entry_id: str
    patient_id: str
    amount: Money
    entry_date: date
    payment_type: str
    note: str


@dataclass(frozen=True, slots=True)
class PmsEntry:
    """One payment row as the practice system shows it. `amount` is negative for a reversal."""

    id: str
    patient_id: str
    amount: Money
    entry_date: date
    references: frozenset[str] = field(default_factory=frozenset)
    """Every text that could carry our reference, cleaned; the engine compares whole references."""
    foreign: bool = False
    """True when the system says that something other than an integration made the row."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The practice system's answer to a write: a claim, proven only by reading back."""

    entry_id: str | None
    """Its number for the new entry; None where the system answers before it has one."""


@dataclass(frozen=True, slots=True)
class DaySheet:
    """All payment entries that the practice system dates on one business day, complete and in a stable order."""

    business_date: date
    entries: tuple[PmsEntry, ...]


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """Result of the read-only connection check; `problems` are sentences with the next step."""

    version: str
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems
