"""Money that is asked for once: instant payments by link, and holds on a card that are captured or released later."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from connector.database.base import Base, state_column
from connector.money import Money


class RequestStatus(StrEnum):
    """Life of an instant payment."""

    ACTIVE = "active"
    """The link is out, and something is left to pay."""
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class InstantPayment(Base):
    """One request for one or several amounts, each of them an invoice with a due date of its own."""

    __tablename__ = "instant_payment"
    __table_args__ = (Index("ix_instant_payment_member_id", "member_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"))
    description: Mapped[str] = mapped_column(default="")
    status: Mapped[RequestStatus] = mapped_column(state_column(RequestStatus))
    accepted_at: Mapped[datetime | None]
    """When the payer gave a payment method for it: amounts that are due later are charged from then on."""
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]


class HoldStatus(StrEnum):
    """Life of a hold."""

    REQUESTED = "requested"
    """Waits for the payer's card."""
    AUTHORISING = "authorising"
    """The card's bank is being asked, or the payer is asked to authenticate."""
    AUTHORISED = "authorised"
    CAPTURING = "capturing"
    """The decision to take the money is made; the answer is awaited."""
    CAPTURED = "captured"
    RELEASING = "releasing"
    RELEASED = "released"
    EXPIRED = "expired"
    """Not captured in time: nothing was charged."""
    FAILED = "failed"


class PaymentHold(Base):
    """An amount that is set aside on a card and not taken. Cards only: a bank debit cannot be held."""

    __tablename__ = "payment_hold"
    __table_args__ = (
        Index("ix_payment_hold_work", "status", "next_check_at"),
        Index("ix_payment_hold_member_id", "member_id"),
        CheckConstraint("amount_cents > 0", name="amount_positive"),
        CheckConstraint("captured_cents IS NULL OR captured_cents <= amount_cents", name="at_most_what_is_held"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"))
    description: Mapped[str] = mapped_column(default="")
    amount_cents: Mapped[int]
    captured_cents: Mapped[int | None]
    currency: Mapped[str]
    status: Mapped[HoldStatus] = mapped_column(state_column(HoldStatus))
    payment_method_id: Mapped[str | None] = mapped_column(ForeignKey("payment_method.id"))
    attempt: Mapped[int] = mapped_column(default=1)
    """Counts the cards that were tried: part of the idempotency key."""
    processor_id: Mapped[str | None] = mapped_column(unique=True)
    capture_before: Mapped[datetime | None]
    """Stripe's own instant, which depends on the card's network."""
    warned_at: Mapped[datetime | None]
    failure_code: Mapped[str | None]
    next_check_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    """Of the request: until then the payer may give a card."""
    created_at: Mapped[datetime]

    @property
    def amount(self) -> Money:
        return Money(self.amount_cents, self.currency)
