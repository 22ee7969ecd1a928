"""Charges: collecting an invoice through the payment processor, and the money that came of it.

A charge is one payment object at the processor, which can succeed at most once; an attempt is one try to confirm it.
Both rows are committed before the processor hears of them, and their ids are the idempotency keys.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from connector.billing.members import MethodKind
from connector.database.base import Base, state_column
from connector.money import Money


class AttemptState(StrEnum):
    """One try to take the money."""

    PLANNED = "planned"
    """Committed; the processor may or may not know the charge, but nothing was confirmed yet."""
    SENDING = "sending"
    """The confirmation may have been sent; ask again with the same key until there is an answer."""
    PAYER = "payer"
    """The payer is asked to authenticate on a page of the bank."""
    PROCESSING = "processing"
    """A bank debit was accepted; the result comes after some business days."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    """Planned, and called off before anything was sent."""


LIVE_ATTEMPT = (AttemptState.PLANNED, AttemptState.SENDING, AttemptState.PAYER, AttemptState.PROCESSING)
_LIVE = text("state IN ('planned', 'sending', 'payer', 'processing')")


ABANDONED = "abandoned"
"""Our failure code for a payer who did not finish on the bank's page: the payment object is cancelled."""
CANCELLED = "canceled"
"""Stripe's word for a payment object that has ended without taking money."""
ENDED = (ABANDONED, CANCELLED)
"""After a failure with one of these codes, another try needs another payment object."""


class Origin(StrEnum):
    """Why an attempt was made."""

    SCHEDULE = "schedule"
    RETRY = "retry"
    """A step of the recovery schedule."""
    TECHNICAL = "technical"
    """Repeats one that failed for technical reasons; no step of the schedule."""
    METHOD = "method"
    """The payer has given another payment method; no step of the schedule."""
    PAYER = "payer"
    """The payer pays now, on the link page."""
    STAFF = "staff"
    """Staff released a missed period, or asked for a payment early."""


class Charge(Base):
    """One payment object at the processor for one invoice."""

    __tablename__ = "charge"
    __table_args__ = (
        UniqueConstraint("invoice_id", "generation"),
        CheckConstraint("amount_cents > 0", name="amount_positive"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoice.id"))
    generation: Mapped[int] = mapped_column(default=1)
    amount_cents: Mapped[int]
    application_fee_cents: Mapped[int] = mapped_column(default=0)
    """What the platform keeps of it at the processor, where a platform account is configured."""
    currency: Mapped[str]
    processor_id: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[datetime]

    @property
    def amount(self) -> Money:
        return Money(self.amount_cents, self.currency)


class ChargeAttempt(Base):
    """One confirmation of a charge with one payment method. At most one attempt of a charge is live."""

    __tablename__ = "charge_attempt"
    __table_args__ = (
        Index(
            "uq_charge_attempt_live",
            "charge_id",
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
        Index("ix_charge_attempt_work", "state", "next_check_at"),
        Index("ix_charge_attempt_debit", "location_id", "debit_on"),
        Index("ix_charge_attempt_charge_id", "charge_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    charge_id: Mapped[str] = mapped_column(ForeignKey("charge.id"))
    payment_method_id: Mapped[str] = mapped_column(ForeignKey("payment_method.id"))
    state: Mapped[AttemptState] = mapped_column(state_column(AttemptState))
    origin: Mapped[Origin] = mapped_column(state_column(Origin), default=Origin.SCHEDULE)
    debit_on: Mapped[date]
    """The local day on which the payer is to be debited: not before, and no second late debit on the same day."""
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    """When the confirmation was first sent: Stripe keeps idempotency keys for 24 hours from then."""
    next_check_at: Mapped[datetime]
    """Not worked on before this instant."""
    decided_at: Mapped[datetime | None]
    failure_code: Mapped[str | None]
    advice_code: Mapped[str | None]
    network_advice_code: Mapped[str | None]
    """What the card's network advises about another try."""
    failed_charge_id: Mapped[str | None]
    """The processor's own id of the failed try: the payment object goes on showing it until another try is made."""


AT_DESK = "desk:"
"""How the processor's ids of payments begin that were made at the practice; Stripe knows nothing of them."""


class Payment(Base):
    """Money received for good: a captured card charge, a BECS debit that succeeded, or what was paid at the practice.

    A charge brings at most one.
    """

    __tablename__ = "payment"
    __table_args__ = (
        Index("ix_payment_location_date", "location_id", "business_date"),
        Index("ix_payment_invoice_id", "invoice_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"))
    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoice.id"))
    charge_id: Mapped[str] = mapped_column(ForeignKey("charge.id"), unique=True)
    processor_charge_id: Mapped[str] = mapped_column(unique=True)
    method_kind: Mapped[MethodKind] = mapped_column(state_column(MethodKind))
    amount_cents: Mapped[int]
    fee_cents: Mapped[int]
    currency: Mapped[str]
    settled_at: Mapped[datetime]
    """The processor's time of the balance transaction."""
    business_date: Mapped[date]
    recorded_at: Mapped[datetime]

    @property
    def amount(self) -> Money:
        return Money(self.amount_cents, self.currency)


class ReturnKind(StrEnum):
    """Why money of a payment went back to the payer."""

    REFUND = "refund"
    DISPUTE = "dispute"
    BOUNCED = "bounced"
    """What was paid at the practice did not go through, e.g. a cheque."""


class ReturnedPayment(Base):
    """Money of a payment that went back, e.g. a refund or a dispute: each an event of its own that edits nothing."""

    __tablename__ = "returned_payment"
    __table_args__ = (
        Index("ix_returned_payment_location_date", "location_id", "business_date"),
        Index("ix_returned_payment_payment_id", "payment_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    payment_id: Mapped[str] = mapped_column(ForeignKey("payment.id"))
    kind: Mapped[ReturnKind] = mapped_column(state_column(ReturnKind))
    processor_id: Mapped[str] = mapped_column(unique=True)
    amount_cents: Mapped[int]
    fee_cents: Mapped[int]
    currency: Mapped[str]
    returned_at: Mapped[datetime]
    business_date: Mapped[date]
    recorded_at: Mapped[datetime]


class UndoneReturn(Base):
    """Money of a return that came to the practice again: a refund that failed later, or a dispute that was won."""

    __tablename__ = "undone_return"
    __table_args__ = (Index("ix_undone_return_location_date", "location_id", "business_date"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    returned_payment_id: Mapped[str] = mapped_column(ForeignKey("returned_payment.id"), unique=True)
    amount_cents: Mapped[int]
    fee_cents: Mapped[int]
    """Fees that came back with it; negative when it cost another fee."""
    currency: Mapped[str]
    undone_at: Mapped[datetime]
    business_date: Mapped[date]
    recorded_at: Mapped[datetime]


class RefundState(StrEnum):
    """Life of a refund that was asked for here."""

    REQUESTED = "requested"
    """Committed; the processor may or may not know it."""
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """The debit that it was to give back failed, so there was nothing to give back."""


class RefundRequest(Base):
    """A refund that a person asked for here; the money itself is a ReturnedPayment once it has gone."""

    __tablename__ = "refund_request"
    __table_args__ = (
        Index("ix_refund_request_payment_id", "payment_id"),
        CheckConstraint("amount_cents > 0", name="amount_positive"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    payment_id: Mapped[str] = mapped_column(ForeignKey("payment.id"))
    amount_cents: Mapped[int]
    currency: Mapped[str]
    state: Mapped[RefundState] = mapped_column(state_column(RefundState))
    processor_id: Mapped[str | None] = mapped_column(unique=True)
    reason: Mapped[str] = mapped_column(default="")
    actor: Mapped[str]
    failure: Mapped[str | None]
    next_check_at: Mapped[datetime]
    created_at: Mapped[datetime]


class Payout(Base):
    """A transfer of settled money to the practice's bank account."""

    __tablename__ = "payout"

    id: Mapped[str] = mapped_column(primary_key=True)
    processor_id: Mapped[str] = mapped_column(unique=True)
    amount_cents: Mapped[int]
    currency: Mapped[str]
    arrival_date: Mapped[date]
    failed_at: Mapped[datetime | None]
    """When the bank sent it back; the money is at the processor again."""
    recorded_at: Mapped[datetime]
