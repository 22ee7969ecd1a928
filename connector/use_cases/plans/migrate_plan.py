"""Move the members of a plan to its newest version: announced to each, and changed only for those who accept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.asking import askable_day
from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location, location_by_slug
from connector.billing.offers.plan_changes import PlanChange, PlanChangeStatus
from connector.billing.offers.plan_terms import changes
from connector.billing.offers.plans import MembershipPlan, PlanVersion, plan_by_name
from connector.clock import business_date
from connector.errors import DomainError
from connector.money import Money
from connector.use_cases.context import Context
from connector.use_cases.plans.announce_plan_change import SIGNED, Proposal, announce, earliest_day
from connector.use_cases.plans.apply_plan_changes import first_period
from connector.use_cases.plans.decide_plan_change import OPEN


class Standing(StrEnum):
    """Where somebody on an older version stands."""

    TO_ANNOUNCE = "to announce"
    OFFERED = "offered"
    """Was told, and has not answered."""
    ACCEPTED = "accepted"
    NOT_OFFERED = "not offered"
    """The newest version has no price for the frequency of the contract, so the person stays where they are."""


@dataclass(frozen=True, slots=True)
class Migration:
    """Whom to move, and when. Without an effective day: as soon as the notice allows."""

    location_slug: str
    plan_name: str
    frequency: Frequency | None = None
    only_version: int | None = None
    effective: date | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """What the newest version means for one person on an older one."""

    contract_id: str
    member_id: str
    version: int
    frequency: Frequency
    price_now: Money
    price_then: Money | None
    effective_on: date | None
    """Due date of the first period at the new price; None where there is no new price."""
    standing: Standing


@dataclass(frozen=True, slots=True)
class Preview:
    """Everybody who is still on an older version."""

    version: int
    """The one that is offered now."""
    moves: list[Move]
    differences: dict[int, list[str]]
    """By older version that somebody is on: what changes for them, one line each."""


def preview_migration(context: Context, migration: Migration) -> Preview:
    """What `migrate_plan` would announce now, and who is left out and why. Raises DomainError as it does."""
    with context.database.read() as session:
        location = location_by_slug(session, migration.location_slug)
        plan = plan_by_name(session, location, migration.plan_name)
        versions = _versions(session, plan)
        moves = [move for move, _ in _survey(session, location, plan, versions, migration, context.clock.now())]
    by_number = {version.number: version.terms for version in versions.values()}
    differences = {
        number: changes(by_number[number], by_number[plan.version]) for number in sorted({m.version for m in moves})
    }
    return Preview(plan.version, moves, differences)


def migrate_plan(context: Context, migration: Migration, actor: str) -> list[Move]:
    """Announce the newest version to whoever has no answer open about it; returns what was announced.

    Raises DomainError when the effective day leaves too little notice, or is absurdly late; then nothing is announced.
    """
    now = context.clock.now()
    announced = []
    with context.database.unit_of_work() as session:
        location = location_by_slug(session, migration.location_slug)
        plan = plan_by_name(session, location, migration.plan_name)
        session.refresh(plan, with_for_update=True)
        for move, proposal in _survey(session, location, plan, _versions(session, plan), migration, now):
            if proposal is not None:
                announce(session, location, proposal, actor, now)
                announced.append(move)
    return announced


def _versions(session: Session, plan: MembershipPlan) -> dict[str, PlanVersion]:
    found = session.scalars(select(PlanVersion).where(PlanVersion.plan_id == plan.id))
    return {version.id: version for version in found}


def _survey(
    session: Session,
    location: Location,
    plan: MembershipPlan,
    versions: dict[str, PlanVersion],
    migration: Migration,
    now: datetime,
) -> Iterator[tuple[Move, Proposal | None]]:
    """Each person on an older version, with what is to be announced."""
    older = {key: version.number for key, version in versions.items() if version.number < plan.version}
    wanted = [key for key, number in older.items() if migration.only_version in (None, number)]
    if migration.only_version is not None and not wanted:
        raise DomainError(
            f"{migration.only_version} is not an older version of {plan.name!r}: the newest one is {plan.version}."
        )
    effective = _effective(location, migration, now)
    (newest,) = (version for version in versions.values() if version.number == plan.version)
    prices = newest.terms.prices
    query = (
        select(Cover, Contract, PlanChange)
        .join(Contract, Contract.id == Cover.contract_id)
        .outerjoin(PlanChange, (PlanChange.cover_id == Cover.id) & PlanChange.status.in_(OPEN))
        .where(Cover.plan_version_id.in_(wanted), Cover.until_period.is_(None), Contract.status.in_(SIGNED))
        .order_by(Cover.created_at, Cover.id)
    )
    if migration.frequency is not None:
        query = query.where(Contract.frequency == migration.frequency)
    for cover, contract, change in session.execute(query).all():
        proposal = None
        if contract.frequency in prices:
            price = Money(prices[contract.frequency], contract.currency)
            proposal = Proposal(contract, cover, newest, price, first_period(contract, effective)[1])
        standing = _standing(change, proposal, older)
        move = Move(
            contract_id=contract.id,
            member_id=cover.member_id,
            version=older[cover.plan_version_id],
            frequency=contract.frequency,
            price_now=Money(cover.price_cents, contract.currency),
            price_then=None if proposal is None else proposal.price,
            effective_on=None if proposal is None else proposal.effective_on,
            standing=standing,
        )
        yield move, proposal if standing is Standing.TO_ANNOUNCE else None


def _standing(change: PlanChange | None, proposal: Proposal | None, older: dict[str, int]) -> Standing:
    if change is not None and change.status is PlanChangeStatus.ACCEPTED:
        return Standing.ACCEPTED
    # An offer of a version that is itself outdated by now is replaced.
    if change is not None and change.plan_version_id not in older:
        return Standing.OFFERED
    return Standing.TO_ANNOUNCE if proposal else Standing.NOT_OFFERED


def _effective(location: Location, migration: Migration, now: datetime) -> date:
    earliest = earliest_day(location, now)
    if migration.effective is not None and migration.effective < earliest:
        days = location.policy.change_notice_days
        raise DomainError(f"Members are told {days} days before a change: choose {earliest:%d/%m/%Y} or a later day.")
    if migration.effective is not None:
        askable_day("The first day of the change", migration.effective, business_date(now, location.zone))
    return migration.effective or earliest
