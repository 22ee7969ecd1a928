"""Change when a payment plan is paid: another payday, or a pause in hardship. What is owed in all never changes.

While a plan is paused its `next_due` is the day on which it goes on, and its anchor keeps the days that were agreed.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.activity import CONNECTOR, remember
from connector.billing.agreements.asking import askable_day
from connector.billing.agreements.contracts import BILLABLE, AgreementStatus
from connector.billing.agreements.instalment_progress import progress_of, resumed_dates, schedule_of
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.schedule import due_date
from connector.billing.clinics import Location
from connector.billing.collecting.catch_up import debit_day
from connector.billing.collecting.charges import AttemptState, Charge, ChargeAttempt, Origin
from connector.billing.collecting.recovery import Recovery
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import MethodKind, PaymentMethod
from connector.clock import business_date, day_bounds
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.use_cases.collection.plan_attempts import busy_days
from connector.use_cases.context import Context
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.payment_plans.agree_payment_plan import find_plan
from connector.use_cases.transfer.stop_billing import refuse_exported


def change_payday(context: Context, plan_id: str, day: date, actor: str) -> PaymentPlan:
    """Move the next instalment to that day; the later ones follow from it. The payer asked, so no notice is needed.

    Raises DomainError for a day in the past, or later than one period after the present one.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        plan, location = _changeable(session, plan_id)
        present, today = plan.next_due or plan.anchor, business_date(now, location.zone)
        latest = due_date(present, plan.frequency, 1)
        askable_day("The new payday", day, today)
        if day > latest:
            raise DomainError(
                f"The new payday can be at most one period later, {latest:%Y-%m-%d}: to wait longer, pause the plan."
            )
        plan.anchor, plan.anchor_number, plan.next_due = day, plan.next_number, day
        detail = {"before": present.isoformat(), "after": day.isoformat()}
        remember(session, plan_id, "Payday Changed", now, location_id=location.id, actor=actor, **detail)
    return plan


def pause_plan(context: Context, plan_id: str, until: date, actor: str) -> PaymentPlan:
    """Take no instalment before that day, and no retry; what is planned already is put off. Raises DomainError."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        plan, location = _changeable(session, plan_id)
        today = business_date(now, location.zone)
        if askable_day("The end of a pause", until, today) == today:
            raise DomainError("A pause lasts until a later day than today.")
        invoices = _invoices(session, plan)
        plan.status, plan.next_due = AgreementStatus.SUSPENDED, until
        _put_off(session, location, plan, until)
        for recovery in _recoveries(session, plan):
            recovery.paused = True
        detail = {"until": until.isoformat()}
        remember(session, plan_id, "Payment Plan Paused", now, location_id=location.id, actor=actor, **detail)
        queue_message(
            session,
            location,
            MessageKind.PAYMENT_PLAN_PAUSED,
            plan_id,
            f"{today:%Y-%m-%d}:{until:%Y-%m-%d}",
            now,
            member_id=plan.member_id,
            amount_cents=progress_of(plan, schedule_of(plan, invoices)).balance.cents,
            paused_on=today.isoformat(),
        )
    return plan


def resume_plan(context: Context, plan_id: str, actor: str) -> PaymentPlan:
    """End a pause before its time. Raises DomainError when the plan is not paused, or goes on elsewhere."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        plan = find_plan(session, plan_id)
        if plan.status is not AgreementStatus.SUSPENDED:
            raise DomainError(f"The payment plan {plan_id} is {plan.status.value}, not paused.")
        refuse_exported(session, plan_id, "payment plan")
        location = session.get_one(Location, plan.location_id)
        end_pause_early(session, location, plan, business_date(now, location.zone))
        remember(session, plan_id, "Payment Plan Resumed", now, location_id=location.id, actor=actor)
    return plan


def resume_plans(session: Session, location: Location, today: date, now: datetime) -> int:
    """End the pauses that are over, early enough for the notice of the next debit; returns how many.

    Nothing is taken before the day that was promised, whenever the plan is active again.
    """
    notice = timedelta(days=location.policy.upcoming_notice_days)
    over = select(PaymentPlan).where(
        PaymentPlan.location_id == location.id,
        PaymentPlan.status == AgreementStatus.SUSPENDED,
        PaymentPlan.next_due <= today + notice,
    )
    plans = session.scalars(over.with_for_update(skip_locked=True)).all()
    for plan in plans:
        end_pause(session, plan, max(plan.next_due or today, today))
        remember(session, plan.id, "Payment Plan Resumed", now, location_id=location.id, actor=CONNECTOR)
    return len(plans)


def end_pause(session: Session, plan: PaymentPlan, day: date) -> None:
    """The plan goes on: its next instalment, and the recovery of what is overdue, not before that day."""
    if plan.next_due is not None:
        plan.anchor_number, plan.next_due = resumed_dates(plan, day)
    overdue = any(invoice.status is InvoiceStatus.OVERDUE for invoice in _invoices(session, plan))
    plan.status = AgreementStatus.OVERDUE if overdue else AgreementStatus.ACTIVE
    for recovery in _recoveries(session, plan):
        recovery.paused = False
        recovery.next_on = max(recovery.next_on, day) if recovery.next_on else None


def end_pause_early(session: Session, location: Location, plan: PaymentPlan, today: date) -> None:
    """The plan goes on today, and what the pause has put off comes back.

    It gets the first day that its payer has free, as after any absence; what staff have asked for is made today.
    """
    end_pause(session, plan, today)
    session.flush()
    for attempt, is_becs in _planned(session, plan):
        if attempt.debit_on > today:
            taken = busy_days(session, location.calendar, [plan.member_id], today, but=attempt.id)
            avoid = () if attempt.origin is Origin.STAFF else taken.get(plan.member_id, ())
            _move(attempt, location, debit_day(today, avoid, location.calendar, is_becs=is_becs))
            session.flush()


def _changeable(session: Session, plan_id: str) -> tuple[PaymentPlan, Location]:
    plan = find_plan(session, plan_id)
    if plan.status not in BILLABLE:
        raise DomainError(f"The payment plan {plan_id} is {plan.status.value}: its dates cannot be changed.")
    if plan.next_due is None:
        raise DomainError(f"All instalments of the payment plan {plan_id} are invoiced: no date is left to change.")
    if plan.next_number == 0:
        raise DomainError(f"What is due on acceptance of {plan_id} comes first: change the plan after the next run.")
    return plan, session.get_one(Location, plan.location_id)


def _put_off(session: Session, location: Location, plan: PaymentPlan, until: date) -> None:
    """Move what is planned and not sent to the end of the pause, one debit a day; its first day is the instalment's."""
    taken = {resumed_dates(plan, until)[1]}
    for attempt, is_becs in _planned(session, plan):
        day = debit_day(until, taken, location.calendar, is_becs=is_becs)
        taken.add(day)
        _move(attempt, location, day)


def _move(attempt: ChargeAttempt, location: Location, day: date) -> None:
    attempt.debit_on, attempt.next_check_at = day, day_bounds(day, location.zone)[0]


def _planned(session: Session, plan: PaymentPlan) -> list[tuple[ChargeAttempt, bool]]:
    """What is planned and not sent, in the order of its parts, and whether it is a bank debit."""
    query = (
        select(ChargeAttempt, PaymentMethod.kind)
        .join(Charge, Charge.id == ChargeAttempt.charge_id)
        .join(Invoice, Invoice.id == Charge.invoice_id)
        .join(PaymentMethod, PaymentMethod.id == ChargeAttempt.payment_method_id)
        .where(Invoice.payment_plan_id == plan.id, ChargeAttempt.state == AttemptState.PLANNED)
        .order_by(Invoice.period)
    )
    return [(attempt, kind is MethodKind.BECS) for attempt, kind in session.execute(query).all()]


def _invoices(session: Session, plan: PaymentPlan) -> list[Invoice]:
    return list(session.scalars(select(Invoice).where(Invoice.payment_plan_id == plan.id)))


def _recoveries(session: Session, plan: PaymentPlan) -> list[Recovery]:
    query = select(Recovery).join(Invoice, Invoice.id == Recovery.invoice_id)
    return list(session.scalars(query.where(Invoice.payment_plan_id == plan.id, Recovery.ended_at.is_(None))))
