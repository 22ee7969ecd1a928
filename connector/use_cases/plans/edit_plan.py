"""Edit, archive and restore a plan. None of them reaches a contract that was signed: it keeps its version and price."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import remember
from connector.billing.clinics import Location, location_by_slug
from connector.billing.offers.plan_terms import PlanTerms, changes
from connector.billing.offers.plans import MembershipPlan, PlanVersion, offered_version, plan_by_name
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.context import Context
from connector.use_cases.plans.offer_plan import check_days


@dataclass(frozen=True, slots=True)
class PlanEdit:
    """A new version of a plan."""

    version: int
    differences: list[str]
    """To the version before, one line each; empty when no member would notice any."""


def edit_plan(
    context: Context, *, location_slug: str, name: str, terms: PlanTerms, actor: str, closed: bool = False
) -> PlanEdit:
    """Offer new terms from now on, as the plan's next version.

    Raises DomainError when they are the same as before, and for new days of sign-up that cannot be meant; `closed`
    allows days that have passed.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        plan = _locked(session, location_slug, name)
        before = offered_version(session, plan).terms
        if terms == before:
            raise DomainError(f"These are the terms of the plan {name!r} already: change something in the document.")
        zone = session.get_one(Location, plan.location_id).zone
        check_days(terms, business_date(now, zone), before, closed=closed)
        plan.version += 1
        edit = PlanEdit(plan.version, changes(before, terms))
        session.add(
            PlanVersion(
                id=ids.new_id("plv"),
                plan_id=plan.id,
                number=edit.version,
                document=terms.model_dump(mode="json"),
                actor=actor,
                created_at=now,
            )
        )
        remember(session, plan.id, "Plan Edited", now, location_id=plan.location_id, actor=actor, version=edit.version)
    return edit


def archive_plan(context: Context, *, location_slug: str, name: str, actor: str) -> None:
    """Let nobody join any more; whoever is on the plan stays. Raises DomainError when it is archived already."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        plan = _locked(session, location_slug, name)
        if plan.archived_at is not None:
            raise DomainError(f"The plan {name!r} is archived already: nothing is left to do.")
        plan.archived_at = now
        remember(session, plan.id, "Plan Archived", now, location_id=plan.location_id, actor=actor)


def restore_plan(context: Context, *, location_slug: str, name: str, actor: str) -> None:
    """Let people join again. Raises DomainError when the plan is not archived."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        plan = _locked(session, location_slug, name)
        if plan.archived_at is None:
            raise DomainError(f"The plan {name!r} is not archived: people can join it as it is.")
        plan.archived_at = None
        remember(session, plan.id, "Plan Restored", now, location_id=plan.location_id, actor=actor)


def _locked(session: Session, location_slug: str, name: str) -> MembershipPlan:
    """The plan; a second edit at the same time waits for this one, so that both are kept, in their order."""
    plan = plan_by_name(session, location_by_slug(session, location_slug), name)
    session.refresh(plan, with_for_update=True)
    return plan
