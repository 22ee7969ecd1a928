"""Decide, with the commit that lets a debit go, whether its day is today; else put it off to the day that it gets."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.collecting.catch_up import debit_day, week_meter
from connector.billing.collecting.charges import AttemptState, Charge, ChargeAttempt, Origin
from connector.billing.members import Member, MethodKind, PaymentMethod
from connector.clock import business_date, day_bounds
from connector.use_cases.collection.plan_attempts import busy_days

log = structlog.get_logger()

ASK_AGAIN_AFTER = timedelta(minutes=5)


def day_is_open(location: Location, attempt: ChargeAttempt, kind: MethodKind, now: datetime) -> bool:
    """Whether anything about its day is left to decide: not so for a card on its day."""
    return kind is MethodKind.BECS or attempt.debit_on < business_date(now, location.zone)


def comes_now(
    session: Session,
    location: Location,
    attempt: ChargeAttempt,
    charge: Charge,
    method: PaymentMethod,
    now: datetime,
) -> bool:
    """Whether the attempt may be made now; the day it is made on, or put off to, is stored.

    One that is late, because nothing ran on its day, is made today unless its payer is debited today already. A bank
    debit also waits until the week has room for it.
    """
    if not day_is_open(location, attempt, method.kind, now):
        return True
    is_becs, calendar = method.kind is MethodKind.BECS, location.calendar
    _one_at_a_time(session, method)
    today = business_date(now, location.zone)
    first = day = attempt.debit_on
    if attempt.debit_on < today:
        taken = busy_days(session, calendar, [method.member_id], today, but=attempt.id).get(method.member_id, set())
        first, day = (debit_day(today, days, calendar, is_becs=is_becs) for days in ((), taken))
    if is_becs and not _week_has_room(session, location, attempt, charge, day):
        day = calendar.add_business_days(day, 1)
        log.warning("charge.above_week_limit", charge_id=charge.id, location_id=location.id)
    values: dict[str, Any] = {"debit_on": day}
    if day != first:
        values["next_check_at"] = max(day_bounds(day, location.zone)[0], now + ASK_AGAIN_AFTER)
        # A payer who was present will have gone by then: what they agreed to is collected without them.
        values["origin"] = Origin.SCHEDULE if attempt.origin is Origin.PAYER else attempt.origin
    session.execute(
        update(ChargeAttempt)
        .where(ChargeAttempt.id == attempt.id, ChargeAttempt.state == AttemptState.PLANNED)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return day == first


def _one_at_a_time(session: Session, method: PaymentMethod) -> None:
    """Hold a lock until the commit, so that two at once do not both find the same day or the same room (PostgreSQL)."""
    if method.kind is MethodKind.BECS:
        session.scalars(select(Location.id).order_by(Location.id).with_for_update(key_share=True)).all()
    else:
        session.scalars(select(Member.id).where(Member.id == method.member_id).with_for_update(key_share=True)).all()


def _week_has_room(session: Session, location: Location, attempt: ChargeAttempt, charge: Charge, day: date) -> bool:
    """Stripe limits what the bank debits of seven days add up to, at all locations of its account.

    One that is too large alone is sent, and refused.
    """
    limit = location.policy.becs_week_limit_cents
    query = (
        select(ChargeAttempt.debit_on, Charge.amount_cents)
        .join(Charge, Charge.id == ChargeAttempt.charge_id)
        .join(PaymentMethod, PaymentMethod.id == ChargeAttempt.payment_method_id)
        .where(ChargeAttempt.location_id.in_(select(Location.id)), ChargeAttempt.debit_on > day - timedelta(days=7))
        .where(ChargeAttempt.sent_at.is_not(None), PaymentMethod.kind == MethodKind.BECS)
        .where(ChargeAttempt.id != attempt.id)
    )
    debits = [(on, cents) for on, cents in session.execute(query)]
    return charge.amount_cents > limit or week_meter(debits, day, charge.amount_cents, limit)
