"""What somebody may join today: a plan that is not archived, within its days of sign-up; and which those may be."""

from __future__ import annotations

from datetime import date

from sqlalchemy.orm import Session

from connector.billing.agreements.asking import YEARS_AHEAD, last_askable
from connector.billing.clinics import Location
from connector.billing.offers.plan_terms import PlanTerms, offered_on
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


def check_days(terms: PlanTerms, today: date, before: PlanTerms | None = None, *, closed: bool = False) -> None:
    """Check the days of sign-up that are new, if there were terms `before`. Raises DomainError for a slip of the pen.

    `closed` allows a plan that nobody can join any more, for those who are on it already.
    """
    for name in ("offered_from", "offered_until"):
        day: date | None = getattr(terms, name)
        if day is None or (before is not None and getattr(before, name) == day):
            continue
        if day > last_askable(today):
            raise DomainError(f"{name} is more than {YEARS_AHEAD} years away: check the year of {day:%Y-%m-%d}.")
        if name == "offered_until" and day < today and not closed:
            raise DomainError(
                f"offered_until {day:%Y-%m-%d} has passed, so nobody could join this plan: correct it, or repeat with "
                "--closed for those who are on it already."
            )
