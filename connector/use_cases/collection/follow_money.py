"""Follow a charge or a payout: read it again at the processor and bring our rows in line. Repeating changes nothing."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.collecting.charges import Charge, ChargeAttempt, Payment, Payout
from connector.billing.processor import ChargeStatus, PayoutReport
from connector.database.inserts import insert_if_new
from connector.ledger import recipes
from connector.ledger.journal import Booking, post
from connector.money import Money
from connector.use_cases.collection.settle_charge import settle_charge
from connector.use_cases.context import Context
from connector.use_cases.requests.settle_hold import on_hold_news


def follow_charge(context: Context, processor_id: str) -> bool:
    """Settle one of our charges or holds; tells whether a charge has changed. Raises EdgeError when it cannot be read.

    What is known to the end is not read again.
    """
    with context.database.read() as session:
        charge_id, before = _standing(session, processor_id)
    if not on_hold_news(context, processor_id) and charge_id and before is not None:
        report = context.processor.read_charge(processor_id)
        # Not confirmed, or not any more: whoever makes the attempt decides what that means.
        if report.status is not ChargeStatus.OPEN or report.failure_code is not None:
            settle_charge(context, charge_id, report)
    # A charge of ours whose money is recorded has nothing left to say; one that is not ours is found by reconciliation.
    if charge_id is None or before is None:
        return False
    with context.database.read() as session:
        return _standing(session, processor_id) != (charge_id, before)


def _standing(session: Session, processor_id: str) -> tuple[str | None, list[str] | None]:
    """The charge, None when it is not ours, and the states of its attempts, None when its money is recorded."""
    query = (
        select(Charge.id, Payment.id, ChargeAttempt.state)
        .outerjoin(Payment, Payment.charge_id == Charge.id)
        .outerjoin(ChargeAttempt, ChargeAttempt.charge_id == Charge.id)
        .where(Charge.processor_id == processor_id)
        .order_by(ChargeAttempt.id)
    )
    rows = session.execute(query).all()
    if not rows:
        return None, None
    charge_id, payment_id, _ = rows[0]
    return charge_id, None if payment_id else [state.value for _, _, state in rows if state]


def follow_payout(context: Context, processor_id: str) -> bool:
    """Record a payout that arrived, and one that was sent back after that; tells whether that was anything new."""
    with context.database.read() as session:
        known = session.scalar(select(Payout).where(Payout.processor_id == processor_id))
    if known is not None and known.failed_at is not None:
        return False
    report = context.processor.read_payout(processor_id)
    with context.database.unit_of_work() as session:
        if report.paid:
            return _arrived(session, context, report)
        # One that failed before we saw it arrive has moved nothing in the end.
        return report.failed and _sent_back(session, context, processor_id)


def _arrived(session: Session, context: Context, report: PayoutReport) -> bool:
    """False when it is recorded already: there is nothing to lock, so of two at once the one that inserts it wins."""
    now = context.clock.now()
    row = insert_if_new(session, Payout).values(
        id=ids.new_id("po"),
        processor_id=report.processor_id,
        amount_cents=report.amount.cents,
        currency=report.amount.currency,
        arrival_date=report.arrival_date,
        recorded_at=now,
    )
    payout_id = session.scalar(row.returning(Payout.id))
    if payout_id is None:
        return False
    post(session, [Booking(recipes.payout(payout_id, report.amount), None, report.arrival_date)], now)
    return True


def _sent_back(session: Session, context: Context, processor_id: str) -> bool:
    """False when it never arrived here, or when that it was sent back is recorded already."""
    row = session.scalar(select(Payout).where(Payout.processor_id == processor_id).with_for_update())
    if row is None or row.failed_at is not None:
        return False
    row.failed_at = now = context.clock.now()
    entry = recipes.payout_failed(row.id, Money(row.amount_cents, row.currency))
    # An account belongs to no location, so there is no local day: the day is counted as arrival dates are.
    post(session, [Booking(entry, None, now.date())], now)
    return True
