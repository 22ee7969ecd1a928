"""Memberships: the contract of the person who pays, and the people whom it covers.

A contract has one cycle and one invoice a period; each person on it has a plan and a price of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from connector.billing.agreements.schedule import Frequency, due_date, first_due_from
from connector.billing.policy import FeeBearer
from connector.billing.prices.pricing import Position
from connector.database.base import Base, state_column


class AgreementStatus(StrEnum):
    """Life of a contract or payment plan."""

    PENDING = "pending"
    """Waits for the payer to accept and to authorise a payment method; nothing is charged."""
    FAILED = "failed"
    """The very first charge was declined: nothing has begun, and the link can be sent again."""
    ACTIVE = "active"
    OVERDUE = "overdue"
    """A charge was not paid when due; later periods are still invoiced."""
    SUSPENDED = "suspended"
    """Paused by staff: no new invoices, no retries, benefits frozen."""
    COMPLETED = "completed"
    """A payment plan whose last instalment has been invoiced and paid."""
    CANCELLED = "cancelled"


BILLABLE = (AgreementStatus.ACTIVE, AgreementStatus.OVERDUE)


class Contract(Base):
    """An open-ended membership of one account holder, who pays for everybody on it."""

    __tablename__ = "contract"
    __table_args__ = (
        Index("ix_contract_due", "location_id", "status", "next_due"),
        Index("ix_contract_member_id", "member_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"))
    frequency: Mapped[Frequency] = mapped_column(state_column(Frequency))
    currency: Mapped[str]
    status: Mapped[AgreementStatus] = mapped_column(state_column(AgreementStatus))
    anchor: Mapped[date | None]
    """The date that the cycle counts from. Of a pending contract, the start that was agreed, if any."""
    adopted: Mapped[bool] = mapped_column(default=False)
    """Taken over from another system: nothing is charged before the agreed start, and no charge is the first."""
    invited_at: Mapped[datetime | None]
    """When the invitation to sign up was handed to the mail system."""
    signed_at: Mapped[datetime | None]
    """When the payer accepted the terms and the direct debit request."""
    fee_bearer: Mapped[FeeBearer | None] = mapped_column(state_column(FeeBearer))
    """Who bore the platform's fee then, also of what was taken over. None while it is to be signed here, and of what
    was signed before this was kept."""
    next_period: Mapped[int] = mapped_column(default=0)
    next_due: Mapped[date | None]
    lock_in_until: Mapped[date | None]
    frozen_at: Mapped[datetime | None]
    """Benefits are not usable from here on: suspended, or unpaid after the final notice."""
    ends_on: Mapped[date | None]
    """The last day, of a contract that was cancelled or given notice."""
    created_at: Mapped[datetime]

    def activate(self, anchor: date, first_due: date) -> None:
        """Start billing: the cycle counts from `anchor`, the first period is due on `first_due`."""
        self.status, self.anchor = AgreementStatus.ACTIVE, anchor
        self.next_period, self.next_due = 0, first_due

    def due_date(self, period: int) -> date:
        if self.anchor is None:
            raise ValueError("A contract that has not started has no due dates.")
        return due_date(self.anchor, self.frequency, period)

    def coming(self, until: date) -> Iterator[date]:
        """The due dates that are not invoiced yet, up to that day."""
        due, period = self.next_due, self.next_period
        while due is not None and due <= min(until, self.ends_on or until):
            yield due
            period += 1
            due = self.due_date(period)

    def step(self) -> None:
        """Go on to the next period. The cycle knows no other way forward than from its anchor."""
        self.next_period += 1
        self.next_due = self.due_date(self.next_period)

    def skip_to(self, day: date) -> None:
        """Pass over the periods that fall due before that day; they are never billed."""
        if self.anchor is None:
            raise ValueError("A contract that has not started has no due dates.")
        period, due = first_due_from(self.anchor, self.frequency, day)
        if period > self.next_period:
            self.next_period, self.next_due = period, due


class Cover(Base):
    """One person on a contract with one version of a plan. A change of plan ends it and begins another."""

    __tablename__ = "cover"
    __table_args__ = (
        Index("ix_cover_contract_id", "contract_id"),
        Index("ix_cover_member_id", "member_id"),
        Index(
            "uq_cover_live",
            "contract_id",
            "member_id",
            "from_period",
            unique=True,
            sqlite_where=text("until_period IS NULL"),
            postgresql_where=text("until_period IS NULL"),
        ),
        CheckConstraint("price_cents > 0", name="price_positive"),
        CheckConstraint("setup_fee_cents >= 0", name="setup_fee_not_negative"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    contract_id: Mapped[str] = mapped_column(ForeignKey("contract.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"))
    position: Mapped[Position] = mapped_column(state_column(Position))
    plan_version_id: Mapped[str] = mapped_column(ForeignKey("plan_version.id"))
    price_cents: Mapped[int]
    """Per period of the contract, as it was signed; later changes of the plan never reach it."""
    setup_fee_cents: Mapped[int] = mapped_column(default=0)
    """Charged once, with the first period."""
    from_period: Mapped[int] = mapped_column(default=0)
    until_period: Mapped[int | None]
    """The first period that is not billed any more."""
    starts_on: Mapped[date | None]
    """Benefit years and waiting periods count from here, also after a change of plan. None while it is pending."""
    created_at: Mapped[datetime]

    def covers(self, period: int) -> bool:
        """Whether the person is billed for that period."""
        return self.from_period <= period and (self.until_period is None or period < self.until_period)
