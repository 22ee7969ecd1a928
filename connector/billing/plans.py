"""Membership plans: what is offered, with one price for each frequency that a member may choose."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from connector.billing.clinics import Location
from connector.billing.schedule import Frequency
from connector.database.base import Base, state_column
from connector.errors import DomainError
from connector.money import Money


class MembershipPlan(Base):
    """Terms that a location offers. A contract copies its price: later changes never reach it."""

    __tablename__ = "membership_plan"
    __table_args__ = (UniqueConstraint("location_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    name: Mapped[str]
    created_at: Mapped[datetime]
    prices: Mapped[list[PlanPrice]] = relationship(lazy="selectin")

    def price(self, frequency: Frequency, currency: str) -> Money:
        """The price per period. Raises DomainError when the plan is not offered at that frequency."""
        for price in self.prices:
            if price.frequency is frequency:
                return Money(price.amount_cents, currency)
        offered = ", ".join(sorted(price.frequency for price in self.prices))
        raise DomainError(f"The plan {self.name!r} is not offered {frequency}: choose one of {offered}.")


class PlanPrice(Base):
    """Price of a plan for one frequency, in cents of the location's currency."""

    __tablename__ = "plan_price"

    plan_id: Mapped[str] = mapped_column(ForeignKey("membership_plan.id"), primary_key=True)
    frequency: Mapped[Frequency] = mapped_column(state_column(Frequency), primary_key=True)
    amount_cents: Mapped[int]


def plan_by_name(session: Session, location: Location, name: str) -> MembershipPlan:
    """The location's plan of that name. Raises DomainError when there is none."""
    plan = session.scalar(
        select(MembershipPlan).where(MembershipPlan.location_id == location.id, MembershipPlan.name == name)
    )
    if plan is None:
        names = sorted(session.scalars(select(MembershipPlan.name).where(MembershipPlan.location_id == location.id)))
        known = f"its plans are {', '.join(names)}" if names else "add one with `connector plans add`"
        raise DomainError(f"Location {location.slug!r} has no plan {name!r}: {known}.")
    return plan
