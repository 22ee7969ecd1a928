"""Work on holds: repeat what has no clear answer yet, warn of those that end soon, and see that they have ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import structlog
from sqlalchemy import select

from connector.billing.activity import CONNECTOR, remember
from connector.billing.agreements.hold_rules import OPEN_REQUEST, UNDER_WAY, check_at
from connector.billing.agreements.payment_requests import HoldStatus, PaymentHold
from connector.billing.clinics import Location
from connector.billing.collecting.charges import ABANDONED
from connector.billing.links import LinkKind, end
from connector.billing.processor import ChargeReport, ChargeStatus
from connector.clock import business_date
from connector.errors import EdgeError, InvariantBroken, OutcomeUnknown
from connector.messaging.kinds import MessageKind
from connector.use_cases.collection.put_off import ASK_AGAIN_AFTER
from connector.use_cases.collection.settle_charge import PAYER_CHECK_AFTER
from connector.use_cases.containment import attempted
from connector.use_cases.context import Context
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.requests.hold_payment import ask_bank
from connector.use_cases.requests.settle_hold import find_hold, let_go, settle_hold, take

log = structlog.get_logger()

BATCH = 500


@dataclass
class HoldsReport:
    """What a round did."""

    worked: int = 0
    problems: list[str] = field(default_factory=list)


def work_holds(context: Context) -> HoldsReport:
    """Work once on every hold whose time has come. A connection that is down ends the round; nothing is lost by it."""
    report = HoldsReport()
    due = (
        select(PaymentHold)
        .where(PaymentHold.status.in_((*OPEN_REQUEST, *UNDER_WAY)), PaymentHold.next_check_at <= context.clock.now())
        .order_by(PaymentHold.next_check_at, PaymentHold.id)
        .limit(BATCH)
    )
    with context.database.read() as session:
        holds = session.scalars(due).all()
    for hold in holds:
        work, failure = partial(_work, context, hold), f"The hold {hold.id} cannot be worked on"
        try:
            done = attempted(work, report.problems.append, failure, hold_id=hold.id)
        except OutcomeUnknown as error:
            report.problems.append(str(error))
            done = False
        except EdgeError as error:
            report.problems.append(str(error))
            break
        if done:
            report.worked += 1
        else:
            _postpone(context, hold.id)
    return report


def _work(context: Context, hold: PaymentHold) -> None:
    match hold.status:
        case HoldStatus.AUTHORISING:
            _ask_again(context, hold)
        case HoldStatus.AUTHORISED:
            _watch(context, hold)
        case HoldStatus.CAPTURING:
            take(context, hold.id)
        case HoldStatus.RELEASING:
            let_go(context, hold.id)
        case _:
            _lapse(context, hold)
    _postpone(context, hold.id)


def _ask_again(context: Context, hold: PaymentHold) -> None:
    """Look first. A card is tried again only when nothing of a try is to be seen, and that with its own key."""
    if hold.processor_id is None:
        ask_bank(context, hold.id)
        return
    report = context.processor.read_charge(hold.processor_id)
    untouched = report.status is ChargeStatus.OPEN and not report.failure_code
    if untouched and context.clock.now() < hold.expires_at:
        ask_bank(context, hold.id)
    elif untouched or report.status is ChargeStatus.NEEDS_PAYER:
        # The payer did not finish on the bank's page: another try begins from the link.
        settle_hold(context, hold.id, ChargeReport(hold.processor_id, ChargeStatus.OPEN, ABANDONED))
    else:
        settle_hold(context, hold.id, report)


def _watch(context: Context, hold: PaymentHold) -> None:
    """Warn once; after its time, see that it has ended. Nothing is ever charged by the passing of time."""
    now, ends = context.clock.now(), hold.capture_before
    if ends is None or hold.processor_id is None:
        raise InvariantBroken(f"The hold {hold.id} is authorised without an end or an id at Stripe.")
    if now >= ends:
        settle_hold(context, hold.id, context.processor.read_charge(hold.processor_id))
        return
    with context.database.unit_of_work() as session:
        row = find_hold(session, hold.id)
        location = session.get_one(Location, row.location_id)
        if row.status is not HoldStatus.AUTHORISED:
            return
        row.next_check_at = check_at(ends, warned=True)
        if row.warned_at is None:
            row.warned_at = now
            queue_message(
                session,
                location,
                MessageKind.HOLD_EXPIRING,
                row.id,
                "48h",
                now,
                urgent=True,
                amount_cents=row.amount_cents,
                expires_on=business_date(ends, location.zone).isoformat(),
            )


def _lapse(context: Context, hold: PaymentHold) -> None:
    """Nobody gave a card in time. What a bank's page may still bring about is prevented first."""
    now = context.clock.now()
    if hold.processor_id is not None:
        report = context.processor.cancel_charge(f"hold-release:{hold.id}", hold.processor_id)
        if report.status is not ChargeStatus.CANCELLED:
            settle_hold(context, hold.id, report)
            return
    with context.database.unit_of_work() as session:
        row = find_hold(session, hold.id)
        if row.status in OPEN_REQUEST and row.expires_at <= now:
            row.status = HoldStatus.EXPIRED
            end(session, LinkKind.PAYMENT, row.id, "expired", now)
            remember(session, row.id, "Hold Expired", now, location_id=row.location_id, actor=CONNECTOR)


def _postpone(context: Context, hold_id: str) -> None:
    """Whatever is left as it was is looked at again later."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        row = find_hold(session, hold_id)
        if row.next_check_at <= now:
            row.next_check_at = now + (PAYER_CHECK_AFTER if row.status is HoldStatus.AUTHORISED else ASK_AGAIN_AFTER)
