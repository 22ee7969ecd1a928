"""Which plan covers a member on a day, and where the member stands with each of its benefits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.clinics import Location
from connector.billing.offers.benefit_uses import BenefitUse
from connector.billing.offers.benefits import BenefitStanding, standing
from connector.billing.offers.plan_terms import Benefit, PlanTerms
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.clock import business_date

_RUNNING = (
    AgreementStatus.ACTIVE,
    AgreementStatus.OVERDUE,
    AgreementStatus.SUSPENDED,
    AgreementStatus.CANCELLED,  # Until the last day.
)


@dataclass(frozen=True, slots=True)
class LiveCover:
    """A member's cover on a day, with the plan as it was signed."""

    contract: Contract
    cover: Cover
    plan: str
    terms: PlanTerms
    starts_on: date
    frozen: bool

    def benefit(self, code: str) -> Benefit | None:
        """The benefit that the procedure code counts against."""
        return next((benefit for benefit in self.terms.benefits if code in benefit.procedure_codes), None)


def cover_on(session: Session, member_id: str, day: date) -> LiveCover | None:
    """The cover that the member has on that day, or that begins after it; None when there is none.

    Until an announced change or a move to another contract takes effect, it is the older of two.
    """
    query = (
        select(Cover, Contract, MembershipPlan.name, PlanVersion, Location)
        .join(Contract, Contract.id == Cover.contract_id)
        .join(Location, Location.id == Contract.location_id)
        .join(PlanVersion, PlanVersion.id == Cover.plan_version_id)
        .join(MembershipPlan, MembershipPlan.id == PlanVersion.plan_id)
        .where(Cover.member_id == member_id, Contract.status.in_(_RUNNING), Cover.starts_on.is_not(None))
        .order_by(Cover.created_at, Cover.id)
    )
    for cover, contract, plan, version, location in session.execute(query):
        if cover.starts_on is not None and day < _end(contract, cover):
            frozen = contract.frozen_at is not None and day >= business_date(contract.frozen_at, location.zone)
            return LiveCover(contract, cover, plan, version.terms, cover.starts_on, frozen)
    return None


def standings(
    session: Session, live: LiveCover, member_id: str, day: date, benefits: tuple[Benefit, ...] | None = None
) -> list[tuple[Benefit, BenefitStanding]]:
    """Where the member stands on that day with these benefits of the cover, or with all."""
    uses = [
        (used_on, code, quantity)
        for used_on, code, quantity in session.execute(
            select(BenefitUse.used_on, BenefitUse.procedure_code, BenefitUse.quantity).where(
                BenefitUse.member_id == member_id
            )
        )
    ]
    wanted = live.terms.benefits if benefits is None else benefits
    return [(benefit, standing(benefit, live.starts_on, day, uses, not live.frozen)) for benefit in wanted]


def _end(contract: Contract, cover: Cover) -> date:
    """The first day without cover."""
    ends = [date.max]
    if cover.until_period is not None and contract.anchor is not None:
        billed = cover.until_period > cover.from_period
        ends.append(contract.due_date(cover.until_period) if billed else date.min)
    if contract.ends_on is not None:
        ends.append(contract.ends_on + timedelta(days=1))
    return min(ends)
