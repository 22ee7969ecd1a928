"""List a location's plans, and look one of them up in any of its versions."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import distinct, func, select

from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.clinics import Location
from connector.billing.offers.plan_terms import PlanTerms
from connector.billing.offers.plans import MembershipPlan, PlanVersion, plan_by_name
from connector.errors import DomainError
from connector.use_cases.context import Context
from connector.use_cases.plans.announce_plan_change import SIGNED


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One plan, with the terms that are offered now."""

    name: str
    version: int
    terms: PlanTerms
    members: int
    """People who are covered by it now, in any of its versions."""
    archived: bool


def list_plans(context: Context, location: Location) -> list[PlanLine]:
    """The location's plans by name."""
    offered = (
        select(MembershipPlan, PlanVersion)
        .join(PlanVersion, PlanVersion.plan_id == MembershipPlan.id)
        .where(MembershipPlan.location_id == location.id, PlanVersion.number == MembershipPlan.version)
        .order_by(MembershipPlan.name)
    )
    covered = (
        select(PlanVersion.plan_id, func.count(distinct(Cover.member_id)))
        .join(Cover, Cover.plan_version_id == PlanVersion.id)
        .join(Contract, Contract.id == Cover.contract_id)
        .where(Contract.location_id == location.id, Contract.status.in_(SIGNED), Cover.until_period.is_(None))
        .group_by(PlanVersion.plan_id)
    )
    with context.database.read() as session:
        members = dict(session.execute(covered).all())
        return [
            PlanLine(plan.name, plan.version, version.terms, members.get(plan.id, 0), plan.archived_at is not None)
            for plan, version in session.execute(offered)
        ]


def find_version(context: Context, location: Location, name: str, number: int | None = None) -> PlanVersion:
    """That version of a plan; without a number, the one that is offered. Raises DomainError when there is none."""
    with context.database.read() as session:
        plan = plan_by_name(session, location, name)
        query = select(PlanVersion).where(
            PlanVersion.plan_id == plan.id, PlanVersion.number == (number or plan.version)
        )
        version = session.scalar(query)
    if version is None:
        raise DomainError(f"The plan {name!r} has no version {number}: its newest one is {plan.version}.")
    return version
