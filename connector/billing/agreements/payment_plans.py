"""Payment plans: a fixed total in a fixed number of instalments, without interest, and the templates of a practice.

Instalment 0 is the deposit, due on acceptance together with a set-up fee; instalments count from 1. No date and no
amount is stored for them: both are derived, so they always add up to the total.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.agreements.schedule import Frequency, Instalment, due_date
from connector.billing.policy import FeeBearer
from connector.database.base import Base, state_column
from connector.money import Money


class PaymentPlanTemplate(Base):
    """What a practice offers: limits within which a plan is agreed with a patient."""

    __tablename__ = "payment_plan_template"
    __table_args__ = (UniqueConstraint("location_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    only_for_members: Mapped[bool] = mapped_column(default=False)
    min_total_cents: Mapped[int]
    max_total_cents: Mapped[int]
    months: Mapped[list[Any]]
    """Lengths that the patient may choose from, e.g. [6, 12, 24]."""
    frequencies: Mapped[list[Any]]
    deposit_percent: Mapped[int] = mapped_column(default=0)
    setup_fee_cents: Mapped[int] = mapped_column(default=0)
    start_after_days: Mapped[int] = mapped_column(default=0)
    """Days between acceptance and the first instalment."""
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class PaymentPlan(Base):
    """One agreement with one payer."""

    __tablename__ = "payment_plan"
    __table_args__ = (
        Index("ix_payment_plan_due", "location_id", "status", "next_due"),
        Index("ix_payment_plan_member_id", "member_id"),
        CheckConstraint(
            "total_cents - deposit_cents >= instalment_count AND instalment_count > 0", name="cent_per_instalment"
        ),
        CheckConstraint("deposit_cents >= 0 AND setup_fee_cents >= 0", name="not_negative"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"))
    template_id: Mapped[str | None] = mapped_column(ForeignKey("payment_plan_template.id"))
    description: Mapped[str] = mapped_column(default="")
    total_cents: Mapped[int]
    currency: Mapped[str]
    deposit_cents: Mapped[int] = mapped_column(default=0)
    setup_fee_cents: Mapped[int] = mapped_column(default=0)
    """Outside the total."""
    instalment_count: Mapped[int]
    frequency: Mapped[Frequency] = mapped_column(state_column(Frequency))
    anchor: Mapped[date]
    """Due date of the instalment `anchor_number`; a new payday moves both."""
    anchor_number: Mapped[int] = mapped_column(default=1)
    next_number: Mapped[int] = mapped_column(default=1)
    next_due: Mapped[date | None]
    status: Mapped[AgreementStatus] = mapped_column(state_column(AgreementStatus))
    accepted_at: Mapped[datetime | None]
    fee_bearer: Mapped[FeeBearer | None] = mapped_column(state_column(FeeBearer))
    """Who bore the platform's fee then. None before, and of what was accepted before this was kept."""
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    def instalment(self, number: int) -> Instalment:
        """The deposit (0) or an instalment. Raises ValueError when the plan has no such instalment."""
        if number == 0:
            return Instalment(0, self.anchor, Money(self.deposit_cents + self.setup_fee_cents, self.currency))
        if not 1 <= number <= self.instalment_count:
            raise ValueError(f"There is no instalment {number} in a plan of {self.instalment_count}.")
        amount = self.financed.split(self.instalment_count)[number - 1]
        return Instalment(number, due_date(self.anchor, self.frequency, max(0, number - self.anchor_number)), amount)

    def coming(self, until: date) -> Iterator[date]:
        """The due dates that are not invoiced yet, up to that day."""
        due, number = self.next_due, self.next_number
        while due is not None and due <= until:
            yield due
            number += 1
            due = self.instalment(number).due if number <= self.instalment_count else None

    @property
    def financed(self) -> Money:
        return Money(self.total_cents - self.deposit_cents, self.currency)

    def step(self) -> None:
        """Go on to the next instalment."""
        self.next_number += 1
        finished = self.next_number > self.instalment_count
        self.next_due = None if finished else self.instalment(self.next_number).due
