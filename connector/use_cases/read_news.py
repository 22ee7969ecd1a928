"""Read Stripe's news: poll the event feed into the inbox, then act on each event by reading its object again.

An event is only a hint. It may come twice, late, or in the wrong order; the object's present state is what is applied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from sqlalchemy import select, update

from connector import ids
from connector.billing.charges import Charge, Payment, Payout, ReturnKind
from connector.billing.inbox import InboxEvent, open_events, read_from, store
from connector.billing.processor import EventKind
from connector.errors import AccessDenied, EdgeError, InvariantBroken, NotSent, OutcomeUnknown, RateLimited
from connector.ledger import recipes
from connector.ledger.journal import Booking, post
from connector.use_cases.context import Context
from connector.use_cases.enrol_member import complete_enrolment
from connector.use_cases.record_return import record_return
from connector.use_cases.settle_charge import settle_charge

log = structlog.get_logger()

STORE_BATCH = 1_000
HANDLE_BATCH = 200
PATIENCE = timedelta(days=3)
"""An event whose object cannot be understood for so long is left for a person; the others go on all the time."""


@dataclass
class NewsReport:
    """What a poll brought."""

    new: int = 0
    handled: int = 0
    problems: list[str] = field(default_factory=list)


def read_news(context: Context) -> NewsReport:
    """Poll and act. When Stripe is away the report says so, and nothing is lost: the cursor has not moved."""
    report = NewsReport()
    try:
        report.new = poll_events(context)
        handle_events(context, report)
    except EdgeError as error:
        report.problems.append(str(error))
    return report


def poll_events(context: Context) -> int:
    """Store all events since the cursor; rows and cursor are committed together. Returns how many were new."""
    now = context.clock.now()
    with context.database.read() as session:
        since = read_from(session, now)
    events = list(context.processor.events_since(since))
    new = 0
    for start in range(0, len(events), STORE_BATCH):
        with context.database.unit_of_work() as session:
            new += store(session, events[start : start + STORE_BATCH], now)
    return new


def handle_events(context: Context, report: NewsReport) -> None:
    """Act on stored events, oldest first. Errors of the connection end the run; an odd event is put aside."""
    passed: set[str] = set()
    while True:
        with context.database.read() as session:
            events = [event for event in open_events(session, HANDLE_BATCH + len(passed)) if event.id not in passed]
        if not events:
            return
        done = []
        for event in events:
            passed.add(event.id)
            if _act(context, event, report):
                done.append(event.id)
        with context.database.unit_of_work() as session:
            session.execute(update(InboxEvent).where(InboxEvent.id.in_(done)).values(handled_at=context.clock.now()))
        report.handled += len(done)


def _act(context: Context, event: InboxEvent, report: NewsReport) -> bool:
    """Tells whether the event is done with."""
    try:
        _ACTIONS[event.kind](context, event.object_id)
    except (NotSent, AccessDenied, RateLimited, OutcomeUnknown):
        raise
    except (EdgeError, InvariantBroken) as error:
        with context.database.unit_of_work() as session:
            failures = event.deliveries_failed + 1
            session.execute(update(InboxEvent).where(InboxEvent.id == event.id).values(deliveries_failed=failures))
        log.warning("news.unreadable", event_id=event.id, type=event.type, failures=failures)
        report.problems.append(f"The event {event.id} cannot be acted on. {error}")
        return context.clock.now() - event.received_at > PATIENCE
    return True


def _on_charge(context: Context, processor_id: str) -> None:
    with context.database.read() as session:
        charge_id = session.scalar(select(Charge.id).where(Charge.processor_id == processor_id))
        settled = session.scalar(select(Payment.id).where(Payment.charge_id == charge_id)) if charge_id else None
    # A charge of ours whose money is recorded has nothing left to say; one that is not ours is found by reconciliation.
    if charge_id and not settled:
        settle_charge(context, charge_id, context.processor.read_charge(processor_id))


def _on_refund(context: Context, processor_id: str) -> None:
    record_return(context, ReturnKind.REFUND, processor_id)


def _on_dispute(context: Context, processor_id: str) -> None:
    record_return(context, ReturnKind.DISPUTE, processor_id)


def _on_payout(context: Context, processor_id: str) -> None:
    payout = context.processor.read_payout(processor_id)
    if not payout.paid:
        return
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        if session.scalar(select(Payout.id).where(Payout.processor_id == processor_id)):
            return
        row = Payout(
            id=ids.new_id("po"),
            processor_id=processor_id,
            amount_cents=payout.amount.cents,
            currency=payout.amount.currency,
            arrival_date=payout.arrival_date,
            recorded_at=now,
        )
        session.add(row)
        post(session, [Booking(recipes.payout(row.id, payout.amount), None, payout.arrival_date)], now)


_ACTIONS: dict[EventKind, Callable[[Context, str], None]] = {
    EventKind.CHARGE: _on_charge,
    EventKind.ENROLMENT: complete_enrolment,
    EventKind.REFUND: _on_refund,
    EventKind.DISPUTE: _on_dispute,
    EventKind.PAYOUT: _on_payout,
}
