"""The port to the payment processor: what billing asks of it, in billing's words.

Each call raises only EdgeErrors: NotSent, OutcomeUnknown and RateLimited leave the work to be asked again with the same
keys; AccessDenied stops all charging; Rejected stops this item. A decline is not an error but a ChargeReport.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from connector.billing.charges import ReturnKind
from connector.billing.members import MethodKind
from connector.money import Money


@dataclass(frozen=True, slots=True)
class AuthorisedMethod:
    """A payment method that the payer has authorised for later charges without being present."""

    kind: MethodKind
    processor_id: str
    mandate_id: str | None
    last4: str


@dataclass(frozen=True, slots=True, repr=False)
class HostedPage:
    """A page of the processor where the patient enters card or bank details. Its address is a secret."""

    session_id: str
    url: str


class ChargeStatus(StrEnum):
    """The processor's view of a charge, reduced to what billing distinguishes."""

    OPEN = "open"
    """No money moves: never confirmed, or the last attempt failed (then `failure_code` is set)."""
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Settlement:
    """Money that a charge brought: gross and fee, at the processor's time."""

    processor_charge_id: str
    gross: Money
    fee: Money
    at: datetime


@dataclass(frozen=True, slots=True)
class ChargeReport:
    """State of a charge as the processor shows it now."""

    processor_id: str
    status: ChargeStatus
    failure_code: str | None = None
    """Decline or return code of the last failed attempt."""
    failed_charge_id: str | None = None
    settlement: Settlement | None = None
    mandate_dead: bool = False
    """True when the failure ended the payer's authority to debit."""


class EventKind(StrEnum):
    """Events that billing acts on; all others are stored as ignored."""

    CHARGE = "charge"
    ENROLMENT = "enrolment"
    REFUND = "refund"
    DISPUTE = "dispute"
    PAYOUT = "payout"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ProcessorEvent:
    """News from the processor: a hint to read the object again, never the truth itself."""

    id: str
    kind: EventKind
    type: str
    object_id: str
    created: datetime


@dataclass(frozen=True, slots=True)
class ReturnReport:
    """A refund or dispute as the processor shows it; `final` when the money has gone back."""

    processor_id: str
    kind: ReturnKind
    payment_object_id: str
    """The payment object that the charge belongs to; empty for a charge without one."""
    processor_charge_id: str
    amount: Money
    fee: Money
    at: datetime
    final: bool


@dataclass(frozen=True, slots=True)
class PayoutReport:
    """A transfer to the practice's bank."""

    processor_id: str
    amount: Money
    arrival_date: date
    paid: bool


@dataclass(frozen=True, slots=True)
class Movement:
    """One line of the processor's balance: what it says that it took, gave back, kept or paid out."""

    id: str
    type: str
    source_id: str
    gross: Money
    fee: Money
    at: datetime
    location_id: str | None
    """The location whose charge it is; None for payouts and account fees."""
    invoice_id: str | None
    final: bool = True
    """False for a debit or refund that is under way, and for a debit that came back."""


class PaymentProcessor(Protocol):
    """What billing needs of Stripe. `key` is the durable idempotency key of the call."""

    def create_customer(self, key: str, member_id: str) -> str:
        """Make the payer known; returns the processor's customer id. No personal data is sent."""

    def open_enrolment(self, key: str, customer_id: str, agreement_id: str, currency: str) -> HostedPage:
        """Open a hosted page on which the payer authorises a payment method."""

    def read_enrolment(self, session_id: str) -> tuple[str, AuthorisedMethod] | None:
        """The agreement id and the authorised method of a hosted page; None while it is not completed."""

    def attach_method(self, key: str, customer_id: str, method_id: str) -> AuthorisedMethod:
        """Adopt a payment method that exists at the processor already (import, or a test method in a sandbox)."""

    def prepare_charge(
        self, key: str, customer_id: str, amount: Money, charge_id: str, invoice_id: str, location_id: str
    ) -> str:
        """Create the payment object without confirming it: no money can move. Returns its id."""

    def confirm_charge(self, key: str, processor_id: str, method: AuthorisedMethod, amount: Money) -> ChargeReport:
        """Take the money now (card) or submit the debit (BECS)."""

    def read_charge(self, processor_id: str) -> ChargeReport:
        """The state of a charge."""

    def events_since(self, instant: datetime) -> Iterator[ProcessorEvent]:
        """Events created at or after the instant, oldest first; the feed may show a late one behind newer ones."""

    def read_return(self, kind: ReturnKind, processor_id: str) -> ReturnReport:
        """The state of a refund or dispute."""

    def read_payout(self, processor_id: str) -> PayoutReport:
        """The state of a payout."""

    def movements(self, start: datetime, end: datetime) -> Iterator[Movement]:
        """All balance lines created in [start, end), oldest first."""
