"""What a member has signed: a contract for a membership, or a payment plan for a fixed total."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from connector.billing.schedule import Frequency, Instalment, due_date, instalment
from connector.database.base import Base, state_column
from connector.money import Money


class AgreementStatus(StrEnum):
    """Life of a contract or payment plan."""

    PENDING = "pending"
    """Waits for the member to authorise a payment method; nothing is charged."""
    ACTIVE = "active"
    OVERDUE = "overdue"
    """A charge was not paid when due; later periods are still invoiced."""
    COMPLETED = "completed"
    """A payment plan whose last instalment has been invoiced and paid."""
    CANCELLED = "cancelled"


BILLABLE = (AgreementStatus.ACTIVE, AgreementStatus.OVERDUE)


class Contract(Base):
    """An open-ended membership. The price was copied from the plan when it was signed."""

    __tablename__ = "contract"
    __table_args__ = (
        Index("ix_contract_due", "location_id", "status", "next_due"),
        Index("ix_contract_member_id", "member_id"),
        CheckConstraint("price_cents > 0", name="price_positive"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"))
    plan_id: Mapped[str] = mapped_column(ForeignKey("membership_plan.id"))
    frequency: Mapped[Frequency] = mapped_column(state_column(Frequency))
    price_cents: Mapped[int]
    currency: Mapped[str]
    status: Mapped[AgreementStatus] = mapped_column(state_column(AgreementStatus))
    anchor: Mapped[date | None]
    """First due date; every later one is derived from it. Of a pending contract, the start that was agreed, if any."""
    invited_at: Mapped[datetime | None]
    """When the invitation to sign up was handed to the mail system."""
    next_period: Mapped[int] = mapped_column(default=0)
    next_due: Mapped[date | None]
    created_at: Mapped[datetime]

    def activate(self, anchor: date) -> None:
        """Start billing on that business date."""
        self.status, self.anchor, self.next_period, self.next_due = AgreementStatus.ACTIVE, anchor, 0, anchor

    @property
    def price(self) -> Money:
        return Money(self.price_cents, self.currency)

    def due_date(self, period: int) -> date:
        if self.anchor is None:
            raise ValueError("A contract that has not started has no due dates.")
        return due_date(self.anchor, self.frequency, period)


class PaymentPlan(Base):
    """A fixed total in a fixed number of instalments, without interest."""

    __tablename__ = "payment_plan"
    __table_args__ = (
        Index("ix_payment_plan_due", "location_id", "status", "next_due"),
        CheckConstraint("total_cents >= instalment_count AND instalment_count > 0", name="cent_per_instalment"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"))
    total_cents: Mapped[int]
    currency: Mapped[str]
    instalment_count: Mapped[int]
    frequency: Mapped[Frequency] = mapped_column(state_column(Frequency))
    anchor: Mapped[date]
    next_number: Mapped[int] = mapped_column(default=1)
    next_due: Mapped[date | None]
    status: Mapped[AgreementStatus] = mapped_column(state_column(AgreementStatus))
    created_at: Mapped[datetime]

    def instalment(self, number: int) -> Instalment:
        total = Money(self.total_cents, self.currency)
        return instalment(total, self.instalment_count, self.anchor, self.frequency, number)
