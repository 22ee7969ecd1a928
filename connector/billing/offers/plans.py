"""Membership plans in versions: an edit makes a new one, and a signed contract keeps the one that it was signed on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.offers.plan_terms import PlanTerms
from connector.database.base import Base
from connector.errors import DomainError
from connector.money import Money


class MembershipPlan(Base):
    """What a location offers under one name."""

    __tablename__ = "membership_plan"
    __table_args__ = (UniqueConstraint("location_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    name: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)
    """Number of the version that is offered now."""
    archived_at: Mapped[datetime | None]
    """Nobody can join any more; whoever is on it stays."""
    created_at: Mapped[datetime]


class PlanVersion(Base):
    """The terms of a plan from one edit to the next; never changed."""

    __tablename__ = "plan_version"
    __table_args__ = (UniqueConstraint("plan_id", "number"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    plan_id: Mapped[str] = mapped_column(ForeignKey("membership_plan.id"))
    number: Mapped[int]
    document: Mapped[dict[str, Any]]
    """`PlanTerms` as JSON."""
    actor: Mapped[str]
    created_at: Mapped[datetime]

    @property
    def terms(self) -> PlanTerms:
        return PlanTerms.model_validate(self.document)


def price_of(terms: PlanTerms, name: str, frequency: Frequency, currency: str) -> Money:
    """The price per period. Raises DomainError when the plan is not offered at that frequency."""
    if frequency not in terms.prices:
        offered = ", ".join(sorted(terms.prices))
        raise DomainError(f"The plan {name!r} is not offered {frequency}: choose one of {offered}.")
    return Money(terms.prices[frequency], currency)


def plan_by_name(session: Session, location: Location, name: str) -> MembershipPlan:
    """The location's plan of that name. Raises DomainError when there is none."""
    plan = session.scalar(
        select(MembershipPlan).where(MembershipPlan.location_id == location.id, MembershipPlan.name == name)
    )
    if plan is None:
        names = sorted(session.scalars(select(MembershipPlan.name).where(MembershipPlan.location_id == location.id)))
        known = f"its plans are {', '.join(names)}" if names else "add one with `connector plans add --location SLUG`"
        raise DomainError(f"Location {location.slug!r} has no plan {name!r}: {known}.")
    return plan


def offered_version(session: Session, plan: MembershipPlan) -> PlanVersion:
    """The version that somebody who joins today signs."""
    query = select(PlanVersion).where(PlanVersion.plan_id == plan.id, PlanVersion.number == plan.version)
    return session.scalars(query).one()
