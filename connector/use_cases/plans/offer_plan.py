"""What somebody may join today: a plan that is not archived, within its days of sign-up."""

from __future__ import annotations

from datetime import date

from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.offers.plan_terms import offered_on
from connector.billing.offers.plans import MembershipPlan, PlanVersion, offered_version, plan_by_name
from connector.errors import DomainError


def open_offer(session: Session, location: Location, name: str, today: date) -> tuple[MembershipPlan, PlanVersion]:
    """The plan of that name and the version to sign. Raises DomainError when nobody can join it on that day."""
    plan = plan_by_name(session, location, name)
    version = offered_version(session, plan)
    if plan.archived_at is not None:
        raise DomainError(f"The plan {name!r} is archived, so nobody can join it: choose another plan or restore it.")
    if not offered_on(version.terms, today):
        raise DomainError(f"The plan {name!r} is not open for sign-ups on {today:%d/%m/%Y}: choose another plan.")
    return plan, version
