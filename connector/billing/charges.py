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
    PROCESSING = "processing"
    """A bank debit was accepted; the result comes after some business days."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"


LIVE_ATTEMPT = (AttemptState.PLANNED, AttemptState.SENDING, AttemptState.PROCESSING)


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
            sqlite_where=text("state IN ('planned', 'sending', 'processing')"),
            postgresql_where=text("state IN ('planned', 'sending', 'processing')"),
        ),
        Index("ix_charge_attempt_work", "state", "next_check_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    charge_id: Mapped[str] = mapped_column(ForeignKey("charge.id"))
    payment_method_id: Mapped[str] = mapped_column(ForeignKey("payment_method.id"))
    state: Mapped[AttemptState] = mapped_column(state_column(AttemptState))
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    """When the confirmation was first sent: Stripe keeps idempotency keys for 24 hours from then."""
    next_check_at: Mapped[datetime]
    """Not worked on before this instant."""
    decided_at: Mapped[datetime | None]
    failure_code: Mapped[str | None]
    failed_charge_id: Mapped[str | None]
    """The processor's own id of the failed try: the payment object goes on showing it until another try is made."""


class Payment(Base):
    """Money received for good: a captured card charge, or a BECS debit that succeeded. A charge brings at most one."""

    __tablename__ = "payment"
    __table_args__ = (Index("ix_payment_location_date", "location_id", "business_date"),)

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


class ReturnedPayment(Base):
    """Money of a payment that went back: a refund or a dispute, each an event of its own that edits nothing."""

    __tablename__ = "returned_payment"
    __table_args__ = (Index("ix_returned_payment_location_date", "location_id", "business_date"),)

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


class Payout(Base):
    """A transfer of settled money to the practice's bank account."""

    __tablename__ = "payout"

    id: Mapped[str] = mapped_column(primary_key=True)
    processor_id: Mapped[str] = mapped_column(unique=True)
    amount_cents: Mapped[int]
    currency: Mapped[str]
    arrival_date: Mapped[date]
    recorded_at: Mapped[datetime]
