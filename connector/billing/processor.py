"""The port to the payment processor: what billing asks of it, in billing's words.

Each call raises only EdgeErrors: NotSent, OutcomeUnknown and RateLimited leave the work to be asked again with the same
keys; AccessDenied stops all charging; Rejected stops this item. A decline is not an error but a ChargeReport.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from connector.billing.collecting.charges import ReturnKind
from connector.billing.members import MethodKind
from connector.money import Money


@dataclass(frozen=True, slots=True)
class AuthorisedMethod:
    """A payment method that the payer has authorised for later charges without being present."""

    kind: MethodKind
    processor_id: str
    mandate_id: str | None
    last4: str
    brand: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    fingerprint: str | None = None
    """Equal for the same card or account number, whoever saved it; brand and expiry are of cards only."""


@dataclass(frozen=True, slots=True, repr=False)
class HostedPage:
    """A page of the processor where the patient enters card or bank details. Its address is a secret."""

    session_id: str
    url: str


class ChargeStatus(StrEnum):
    """The processor's view of a charge, reduced to what billing distinguishes."""

    OPEN = "open"
    """No money moves: never confirmed, or the last attempt failed (then `failure_code` is set)."""
    NEEDS_PAYER = "needs_payer"
    """No money moves until the payer has answered the bank's question on the page `payer_url`."""
    AUTHORISED = "authorised"
    """A hold: the money is reserved, and released by itself at `capture_before`."""
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Settlement:
    """Money that a charge brought, at the processor's time. Of a hold it is what was captured."""

    processor_charge_id: str
    gross: Money
    fee: Money
    """The processor's own part of what was kept."""
    at: datetime
    application_fee_cents: int = 0

    @property
    def application_fee(self) -> Money:
        """The platform's part of what was kept."""
        return Money(self.application_fee_cents, self.gross.currency)


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
    advice_code: str | None = None
    """What the processor advises after a decline: do_not_try_again, try_again_later or confirm_card_data."""
    network_advice_code: str | None = None
    """What the card network advises, in its own two digits (Mastercard)."""
    network_decline_code: str | None = None
    payer_url: str | None = field(default=None, repr=False)
    """Where the payer's browser must go; a secret. None when there is no page to go to."""
    capture_before: datetime | None = None
    """The instant at which a hold ends, as the bank has set it."""


@dataclass(frozen=True, slots=True)
class ListedCharge:
    """A payment object as a list shows it, with what we had told the processor of it: None where it is not ours."""

    processor_id: str
    created: datetime
    charge_id: str | None
    invoice_id: str | None
    location_id: str | None
    amount: Money
    method_id: str | None


class EventKind(StrEnum):
    """Events that billing acts on; all others are stored as ignored."""

    CHARGE = "charge"
    ENROLMENT = "enrolment"
    REFUND = "refund"
    DISPUTE = "dispute"
    PAYOUT = "payout"
    MANDATE = "mandate"
    METHOD = "method"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ProcessorEvent:
    """News from the processor: a hint to read the object again, never the truth itself."""

    id: str
    kind: EventKind
    type: str
    object_id: str
    created: datetime


class ReturnState(StrEnum):
    """How far a refund (the first four) or a dispute (the others) has come."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """The payer's bank did not take the money, which can turn out up to thirty days later."""
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    """The money was taken from us and the matter is not decided yet."""
    WON = "won"
    LOST = "lost"
    WARNING = "warning"
    """An inquiry, or a dispute that was prevented; no money moves by it."""


@dataclass(frozen=True, slots=True)
class MoneyBack:
    """What came back to us of money that had been returned: a failed refund, or a dispute that was won."""

    amount: Money
    fee: Money
    """The part of the fee that came back too; zero or more."""
    at: datetime


@dataclass(frozen=True, slots=True)
class ReturnReport:
    """A refund or dispute as the processor shows it; `final` when the money has gone back to the payer.

    Of a dispute that stays so when it is won: `back` then tells of the money that returned. A refund that failed is
    not final; when it had been before, `back` is what undoes it.
    """

    processor_id: str
    kind: ReturnKind
    payment_object_id: str
    """The payment object that the charge belongs to; empty for a charge without one."""
    processor_charge_id: str
    amount: Money
    fee: Money
    at: datetime
    final: bool
    state: ReturnState = ReturnState.SUCCEEDED
    back: MoneyBack | None = None
    failure_code: str | None = None
    """Why a refund failed."""
    refund_id: str | None = None
    """Our own id, when the refund was asked for by us."""

    @property
    def undone(self) -> bool:
        """Whether the money has come back to us."""
        return self.back is not None


@dataclass(frozen=True, slots=True)
class PayoutReport:
    """A transfer to the practice's bank. One that was paid can fail still: then its money is in the balance again."""

    processor_id: str
    amount: Money
    arrival_date: date
    paid: bool
    failed: bool = False


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
    application_fee_cents: int = 0

    @property
    def application_fee(self) -> Money:
        """The platform's part of what was kept; `fee` is the processor's own."""
        return Money(self.application_fee_cents, self.gross.currency)


@dataclass(frozen=True, slots=True)
class AccountReport:
    """What the practice's account at the processor can do today."""

    charges_enabled: bool
    card: bool
    becs: bool
    currency: str
    live: bool
    """Whether the key moves real money."""


class PaymentProcessor(Protocol):
    """What billing needs of Stripe. `key` is the durable idempotency key of the call: same key, same parameters."""

    @property
    def reads(self) -> int:
        """Read requests sent since the start; the processor allots them by the month."""

    def check_account(self) -> AccountReport:
        """What the account can do, asked of the processor."""

    def write_seal(self, key: str, text: str, kept_as: str | None = None) -> str:
        """Keep a text for this database, in place of the one kept under that id; returns the id."""

    def read_seal(self, kept_as: str) -> str | None:
        """The text that is kept; None when somebody has removed it."""

    def create_customer(self, key: str, member_id: str) -> str:
        """Make the payer known; returns the processor's customer id. No personal data is sent."""

    def open_enrolment(
        self,
        key: str,
        customer_id: str,
        agreement_id: str,
        currency: str,
        *,
        return_url: str | None = None,
        message: str | None = None,
        expires_at: datetime | None = None,
    ) -> HostedPage:
        """Open a hosted page on which the payer authorises a payment method.

        `message` (up to 1,000 characters) stands beside the page's button, `return_url` is where the browser goes
        afterwards and carries no authority, `expires_at` is 30 minutes to 24 hours away (24 hours by default).
        """

    def read_enrolment(self, session_id: str) -> tuple[str, AuthorisedMethod] | None:
        """The agreement id and the authorised method of a hosted page; None while it is not completed."""

    def attach_method(self, key: str, customer_id: str, method_id: str) -> AuthorisedMethod:
        """Adopt a payment method that exists at the processor already (import, or a test method in a sandbox)."""

    def read_method(self, method_id: str) -> AuthorisedMethod | None:
        """The method as it is now (its mandate is not told); None when it was detached or does not exist."""

    def mandate_active(self, mandate_id: str) -> bool:
        """Whether the payer's authority to debit still stands; once ended it never comes back."""

    def prepare_charge(
        self,
        key: str,
        customer_id: str,
        amount: Money,
        charge_id: str,
        invoice_id: str,
        location_id: str,
        *,
        manual_capture: bool = False,
        application_fee: Money | None = None,
        description: str | None = None,
    ) -> str:
        """Create the payment object without confirming it: no money can move. Returns its id.

        With `manual_capture` a confirmation only reserves the money, which cards alone can do. The application fee is
        more than nothing and less than the amount, and needs an account of a platform.
        """

    def confirm_charge(self, key: str, processor_id: str, method: AuthorisedMethod, amount: Money) -> ChargeReport:
        """Take the money now (card), submit the debit (BECS) or reserve it (hold), without the payer being there."""

    def present_charge(
        self, key: str, processor_id: str, method: AuthorisedMethod, amount: Money, return_url: str
    ) -> ChargeReport:
        """The same with the payer at hand, who may have to go to `payer_url` and comes back to `return_url`."""

    def capture_charge(
        self, key: str, processor_id: str, amount: Money, application_fee: Money | None = None
    ) -> ChargeReport:
        """Take up to all of what is held, once; the rest is released. A hold that has ended is reported as it is.

        Without `application_fee` the fee of the preparation stays, at most as much as is captured.
        """

    def cancel_charge(self, key: str, processor_id: str) -> ChargeReport:
        """End a charge that has taken nothing, and release its hold. One that took money is reported as it is."""

    def read_charge(self, processor_id: str) -> ChargeReport:
        """The state of a charge."""

    def refund_charge(self, key: str, processor_id: str, amount: Money, refund_id: str | None = None) -> ReturnReport:
        """Give money back of a charge, named by its own id or by that of its payment object.

        `refund_id` is kept beside it, so that a refund whose answer was lost can be recognised.
        """

    def events_since(self, instant: datetime) -> Iterator[ProcessorEvent]:
        """Events created at or after the instant, oldest first; the feed may show a late one behind newer ones."""

    def verify_webhook(self, payload: bytes, signature: str, now: datetime) -> ProcessorEvent:
        """The event of a request that claims to come from the processor. `payload` is the body as it came.

        Raises DomainError when the signature is not the processor's or is too far from `now`.
        """

    def charges_since(self, instant: datetime) -> Iterator[ListedCharge]:
        """The payment objects created at or after the instant, oldest first."""

    def returns_since(self, instant: datetime) -> Iterator[tuple[ReturnKind, str]]:
        """Refunds, then disputes, created at or after the instant, each oldest first."""

    def payouts_since(self, instant: datetime) -> Iterator[str]:
        """Ids of the payouts created at or after the instant, oldest first."""

    def read_return(self, kind: ReturnKind, processor_id: str) -> ReturnReport:
        """The state of a refund or dispute."""

    def read_payout(self, processor_id: str) -> PayoutReport:
        """The state of a payout."""

    def movements(self, start: datetime, end: datetime) -> Iterator[Movement]:
        """All balance lines created in [start, end), oldest first."""
