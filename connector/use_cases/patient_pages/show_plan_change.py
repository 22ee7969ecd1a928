"""Show an announced change of somebody's plan to the payer, who may accept or decline it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.agreements.schedule import Frequency
from connector.billing.members import Member
from connector.billing.offers.plan_changes import PlanChange, PlanChangeStatus
from connector.billing.offers.plan_terms import PlanTerms, changes
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.money import Money


@dataclass(frozen=True, slots=True, repr=False)
class ChangePage:
    """All that the page of a change shows. Has no repr: it is personal."""

    person: str
    """Given name of whom the plan covers."""
    old_plan: str
    new_plan: str
    old_price: Money
    new_price: Money
    """Per period, before discounts."""
    frequency: Frequency
    effective_on: date
    differences: tuple[str, ...]
    new_terms: PlanTerms


def change_page(session: Session, change: PlanChange) -> ChangePage | None:
    """The page of a change; None when it is not offered any more."""
    if change.status is not PlanChangeStatus.OFFERED:
        return None
    cover = session.get_one(Cover, change.cover_id)
    contract = session.get_one(Contract, cover.contract_id)
    old, new = session.get_one(PlanVersion, cover.plan_version_id), session.get_one(PlanVersion, change.plan_version_id)
    return ChangePage(
        person=session.get_one(Member, cover.member_id).given_name,
        old_plan=session.get_one(MembershipPlan, old.plan_id).name,
        new_plan=session.get_one(MembershipPlan, new.plan_id).name,
        old_price=Money(cover.price_cents, contract.currency),
        new_price=Money(change.price_cents, contract.currency),
        frequency=contract.frequency,
        effective_on=change.effective_on,
        differences=tuple(changes(old.terms, new.terms)),
        new_terms=new.terms,
    )
