"""Record that a member has used a benefit, and take a record back. What was recorded is never edited."""

from __future__ import annotations

import re
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import remember
from connector.billing.clinics import Location
from connector.billing.intake.card_numbers import without_card_number
from connector.billing.members import Member
from connector.billing.offers.benefit_uses import BenefitUse
from connector.billing.offers.benefits import BenefitState
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.context import Context
from connector.use_cases.members.benefit_standing import LiveCover, cover_on, standings

QUANTITY_MAX = 99
_CODE = re.compile(r"[0-9A-Z.]{1,15}")


def use_benefit(
    context: Context,
    member_id: str,
    code: str,
    *,
    quantity: int = 1,
    on: date | None = None,
    override: bool = False,
    actor: str,
) -> str:
    """Record the use of a procedure on a day, today by default; returns the id of the record.

    Raises DomainError when the plan does not include it then; `override` records it nevertheless, but never for a day
    to come.
    """
    now, code = context.clock.now(), code.strip().upper()
    if not 1 <= quantity <= QUANTITY_MAX or not _CODE.fullmatch(code):
        raise DomainError(f"A use is of 1 to {QUANTITY_MAX} of a procedure code such as 012: correct it.")
    without_card_number(code)
    with context.database.unit_of_work() as session:
        location = _location(session, member_id)
        today = business_date(now, location.zone)
        day = on or today
        if day > today:
            raise DomainError("The day is in the future: record the visit once it has taken place.")
        if not override:
            _check(session, member_id, code, quantity, day)
        use_id = _store(session, member_id, code, quantity, day, now, actor)
        detail = {"code": code, "quantity": quantity, "on": day.isoformat(), "override": override}
        remember(session, member_id, "Benefit Used", now, location_id=location.id, actor=actor, use_id=use_id, **detail)
    return use_id


def take_back_use(context: Context, use_id: str, *, actor: str) -> str:
    """Undo a record by one of the opposite quantity; returns its id. Raises DomainError without one."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        use = session.get(BenefitUse, use_id)
        if use is None or use.takes_back_id is not None:
            raise DomainError(f"There is no use {use_id!r} to take back: see `connector benefits show`.")
        # Whoever takes something back for this member waits here, so that it is done once.
        session.get_one(Member, use.member_id, with_for_update=True)
        if session.scalar(select(BenefitUse.id).where(BenefitUse.takes_back_id == use_id)):
            raise DomainError(f"The use {use_id} was taken back already.")
        back = _store(session, use.member_id, use.procedure_code, -use.quantity, use.used_on, now, actor, use_id)
        location = _location(session, use.member_id)
        remember(
            session, use.member_id, "Benefit Use Taken Back", now, location_id=location.id, actor=actor, use_id=use_id
        )
    return back


def _location(session: Session, member_id: str) -> Location:
    # Locked, so that the last of a benefit is used by one of two visits that are entered at once.
    member = session.get(Member, member_id, with_for_update=True)
    if member is None:
        raise DomainError(f"There is no member {member_id!r}: see `connector members list --location SLUG`.")
    return session.get_one(Location, member.location_id)


def _check(session: Session, member_id: str, code: str, quantity: int, day: date) -> None:
    live = cover_on(session, member_id, day)
    if live is None:
        raise DomainError(f"The member {member_id} has no membership on {day:%d/%m/%Y}: nothing is included then.")
    benefit = live.benefit(code)
    if benefit is None:
        raise DomainError(f"The plan {live.plan!r} does not include {code}: choose one of {_codes(live)}.")
    if day < live.starts_on:
        raise DomainError(f"The cover began on {live.starts_on:%d/%m/%Y}: an earlier visit is not part of it.")
    ((_, found),) = standings(session, live, member_id, day, (benefit,))
    if found.state is BenefitState.FROZEN:
        raise DomainError(f"The benefits are frozen while the membership is {live.contract.status}.")
    if found.state is BenefitState.WAITING:
        raise DomainError(
            f"{benefit.title} can be used from {found.available_from:%d/%m/%Y}: the waiting time goes on."
        )
    if found.left is not None and quantity > found.left:
        raise DomainError(
            f"{benefit.title}: {found.used} of {benefit.annual_quantity} are used, {found.left} left; "
            f"the next benefit year begins on {found.year_end:%d/%m/%Y}."
        )


def _codes(live: LiveCover) -> str:
    codes = sorted(code for benefit in live.terms.benefits for code in benefit.procedure_codes)
    return ", ".join(codes) or "none, because it has no codes"


def _store(
    session: Session,
    member_id: str,
    code: str,
    quantity: int,
    day: date,
    now: datetime,
    actor: str,
    takes_back: str | None = None,
) -> str:
    use = BenefitUse(
        id=ids.new_id("use"),
        member_id=member_id,
        procedure_code=code,
        quantity=quantity,
        used_on=day,
        takes_back_id=takes_back,
        actor=actor,
        recorded_at=now,
    )
    session.add(use)
    session.flush()
    return use.id
