"""Show an announced change of plan to the payer, who accepts or declines it for all people told of in one message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.members import Member
from connector.billing.offers.plan_changes import PlanChange
from connector.billing.offers.plan_terms import PlanTerms, changes
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.billing.prices.pricing import amount_of
from connector.money import Money
from connector.use_cases.context import Context
from connector.use_cases.invoices.price_periods import Prices
from connector.use_cases.plans.apply_plan_changes import takes_effect
from connector.use_cases.plans.decide_plan_change import offered_with

Told = Sequence[tuple[PlanChange, Cover]]


@dataclass(frozen=True, slots=True, repr=False)
class PersonChange:
    """What changes for one person. Has no repr: it is personal."""

    person: str
    """Given name of whom the plan covers."""
    old_plan: str
    new_plan: str
    old_price: Money
    new_price: Money
    """Per period, before discounts."""


@dataclass(frozen=True, slots=True)
class TermsChange:
    """How the terms of a plan differ, for everybody who changes from the one to the other."""

    plan: str
    differences: tuple[str, ...]
    terms: PlanTerms


@dataclass(frozen=True, slots=True, repr=False)
class ChangePage:
    """All that the page of a change shows. Has no repr: it is personal."""

    people: tuple[PersonChange, ...]
    terms: tuple[TermsChange, ...]
    debit_now: Money
    debit_then: Money
    """What is taken for the whole contract, with all discounts: of the first period that everything counts for."""
    frequency: Frequency
    effective_on: date


def change_page(context: Context, session: Session, location: Location, change: PlanChange) -> ChangePage | None:
    """The page of a change and of those told with it; None when none of them is offered any more."""
    told = offered_with(session, change)
    if not told:
        return None
    contract = session.get_one(Contract, told[0][1].contract_id)
    return ChangePage(
        people=tuple(_person(session, contract, one, cover) for one, cover in told),
        terms=_terms(session, contract, told),
        debit_now=_debit(context, session, location, contract, told, ()),
        debit_then=_debit(context, session, location, contract, told, [one.id for one, _ in told]),
        frequency=contract.frequency,
        effective_on=change.effective_on,
    )


def _person(session: Session, contract: Contract, change: PlanChange, cover: Cover) -> PersonChange:
    return PersonChange(
        person=session.get_one(Member, cover.member_id).given_name,
        old_plan=_name(session, cover.plan_version_id),
        new_plan=_name(session, change.plan_version_id),
        old_price=Money(cover.price_cents, contract.currency),
        new_price=Money(change.price_cents, contract.currency),
    )


def _name(session: Session, version_id: str) -> str:
    return session.get_one(MembershipPlan, session.get_one(PlanVersion, version_id).plan_id).name


def _terms(session: Session, contract: Contract, told: Told) -> tuple[TermsChange, ...]:
    pairs = dict.fromkeys((cover.plan_version_id, change.plan_version_id) for change, cover in told)
    found = []
    for old_id, new_id in pairs:
        old, new = session.get_one(PlanVersion, old_id).terms, session.get_one(PlanVersion, new_id).terms
        found.append(TermsChange(_name(session, new_id), tuple(changes(old, new, contract.frequency)), new))
    return tuple(found)


def _debit(
    context: Context,
    session: Session,
    location: Location,
    contract: Contract,
    told: Told,
    as_if_accepted: Sequence[str],
) -> Money:
    period = max(takes_effect(contract, cover, change)[0] for change, cover in told)
    prices = Prices(session, location, [contract.id], as_if_accepted=as_if_accepted)
    lines = prices.invoice_lines(context.tiers, contract, period, contract.due_date(period))
    return amount_of(lines, contract.currency)
