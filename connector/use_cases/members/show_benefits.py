"""Show a member's benefits as they stand today, and what was used of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.members import Member
from connector.billing.offers.benefit_uses import BenefitUse
from connector.billing.offers.benefits import BenefitStanding
from connector.billing.offers.plan_terms import Benefit
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.context import Context
from connector.use_cases.members.benefit_standing import cover_on, standings


@dataclass(frozen=True, slots=True)
class BenefitLine:
    """One benefit of the plan as it stands today."""

    title: str
    codes: tuple[str, ...]
    annual_quantity: int
    """0: without limit."""
    state: str
    """available, waiting, used_up or frozen."""
    used: int
    left: int | None
    available_from: date
    year_start: date
    year_end: date
    """The first day of the next benefit year."""


@dataclass(frozen=True, slots=True)
class UseLine:
    """One use that was recorded."""

    use_id: str
    on: date
    code: str
    quantity: int
    taken_back: bool


@dataclass(frozen=True, slots=True)
class BenefitSheet:
    """What the member may use; without plan and benefits while no membership runs."""

    member_id: str
    plan: str | None
    benefits: tuple[BenefitLine, ...]
    uses: tuple[UseLine, ...]
    """Newest first."""


def show_benefits(context: Context, member_id: str) -> BenefitSheet:
    """The sheet of one member. Raises DomainError when there is no such member."""
    with context.database.read() as session:
        member = session.get(Member, member_id)
        if member is None:
            raise DomainError(f"There is no member {member_id!r}: see `connector members list --location SLUG`.")
        location = session.get_one(Location, member.location_id)
        today = business_date(context.clock.now(), location.zone)
        live = cover_on(session, member_id, today)
        return BenefitSheet(
            member_id=member_id,
            plan=live.plan if live else None,
            benefits=tuple(benefit_line(*item) for item in standings(session, live, member_id, today)) if live else (),
            uses=_uses(session, member_id),
        )


def benefit_line(benefit: Benefit, found: BenefitStanding) -> BenefitLine:
    """A benefit with its standing, flat."""
    return BenefitLine(
        title=benefit.title,
        codes=benefit.procedure_codes,
        annual_quantity=benefit.annual_quantity,
        state=found.state.value,
        used=found.used,
        left=found.left,
        available_from=found.available_from,
        year_start=found.year_start,
        year_end=found.year_end,
    )


def _uses(session: Session, member_id: str) -> tuple[UseLine, ...]:
    rows = session.scalars(
        select(BenefitUse)
        .where(BenefitUse.member_id == member_id)
        .order_by(BenefitUse.used_on.desc(), BenefitUse.recorded_at.desc(), BenefitUse.id)
    ).all()
    undone = {row.takes_back_id for row in rows}
    return tuple(
        UseLine(row.id, row.used_on, row.procedure_code, row.quantity, row.id in undone)
        for row in rows
        if row.takes_back_id is None
    )
