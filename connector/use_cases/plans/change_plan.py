"""Change the plan of one person on a contract: from the next due date, without proration, benefit use carried over.

A rise of the price is a change of the direct debit request: it is announced, and counts only once it is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.clinics import Location
from connector.billing.members import Member
from connector.billing.offers.plan_terms import admits, changes
from connector.billing.offers.plans import PlanVersion
from connector.clock import business_date
from connector.errors import DomainError
from connector.money import Money
from connector.use_cases.context import Context
from connector.use_cases.plans.announce_plan_change import SIGNED, Proposal, announce, earliest_day
from connector.use_cases.plans.apply_plan_changes import first_period
from connector.use_cases.plans.offer_plan import open_offer


@dataclass(frozen=True, slots=True)
class ChangeOfPlan:
    """What a change of plan means, for the person who confirms it."""

    old_price: Money
    new_price: Money
    """Per period of the contract, before discounts."""
    effective_on: date
    """Due date of the first period on the new plan."""
    needs_acceptance: bool
    """The payer is told and must accept; otherwise staff accept on the payer's behalf."""
    differences: list[str]
    """Between the two plans, one line each."""


def preview_change(context: Context, contract_id: str, member_id: str, plan_name: str) -> ChangeOfPlan:
    """What `change_plan` would do now. Raises DomainError as it does."""
    with context.database.read() as session:
        _, proposal = _propose(session, contract_id, member_id, plan_name, context.clock.now())
        cover = proposal.cover
        before = session.get_one(PlanVersion, cover.plan_version_id).terms
    return ChangeOfPlan(
        old_price=Money(cover.price_cents, proposal.price.currency),
        new_price=proposal.price,
        effective_on=proposal.effective_on,
        needs_acceptance=_gets_dearer(proposal),
        differences=changes(before, proposal.version.terms),
    )


def change_plan(context: Context, contract_id: str, member_id: str, plan_name: str, actor: str) -> str:
    """Change the plan, in place of any change that is open; returns the id of the plan change.

    Raises DomainError when the plan cannot be joined, has no price for the contract's frequency or is not for the
    person's age, and when the contract or the person's part of it is not running.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        location, proposal = _propose(session, contract_id, member_id, plan_name, now)
        return announce(session, location, proposal, actor, now, accepted=not _gets_dearer(proposal))


def _gets_dearer(proposal: Proposal) -> bool:
    return proposal.price.cents > proposal.cover.price_cents


def _propose(
    session: Session, contract_id: str, member_id: str, plan_name: str, now: datetime
) -> tuple[Location, Proposal]:
    contract = session.get(Contract, contract_id)
    if contract is None:
        raise DomainError(f"There is no contract {contract_id!r}: see `connector members list --location SLUG`.")
    if contract.status not in SIGNED:
        raise DomainError(f"The contract {contract_id} is {contract.status}: only a running one can change its plan.")
    cover = session.scalar(
        select(Cover).where(
            Cover.contract_id == contract_id, Cover.member_id == member_id, Cover.until_period.is_(None)
        )
    )
    if cover is None:
        raise DomainError(
            f"The contract {contract_id} does not cover {member_id!r}: see `connector members list --location SLUG`."
        )
    location = session.get_one(Location, contract.location_id)
    today = business_date(now, location.zone)
    plan, version = open_offer(session, location, plan_name, today)
    if version.id == cover.plan_version_id:
        raise DomainError(f"The member {member_id} is on the plan {plan_name!r} already: choose another plan.")
    if contract.frequency not in version.terms.prices:
        raise DomainError(
            f"The plan {plan.name!r} is not offered {contract.frequency}, and a change of plan cannot change how often "
            "a contract is charged: choose another plan, or end the contract and sign a new one."
        )
    price = Money(version.terms.prices[contract.frequency], contract.currency)
    day = earliest_day(location, now) if price.cents > cover.price_cents else today
    proposal = Proposal(contract, cover, version, price, first_period(contract, day)[1])
    admits(version.terms, session.get_one(Member, member_id).date_of_birth, proposal.effective_on)
    return location, proposal
