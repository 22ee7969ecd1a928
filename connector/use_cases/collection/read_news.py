"""Read Stripe's news: poll the event feed into the inbox, then act on each event by reading its object again.

An event is only a hint. It may come twice, late, or in the wrong order; the object's present state is what is applied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import update

from connector.billing.collecting.charges import ReturnKind
from connector.billing.inbox import InboxEvent, move_cursor, open_events, read_from, store
from connector.billing.processor import EventKind
from connector.errors import EdgeError
from connector.use_cases.collection.follow_method import follow_mandate, follow_method
from connector.use_cases.collection.follow_money import follow_charge, follow_payout
from connector.use_cases.collection.sweep import away_too_long, sweep
from connector.use_cases.containment import Told, attempted
from connector.use_cases.context import Context
from connector.use_cases.members.complete_enrolment import complete_enrolment
from connector.use_cases.returns.record_return import record_return

log = structlog.get_logger()

STORE_BATCH = 1_000
HANDLE_BATCH = 200
PATIENCE = timedelta(days=3)
"""An event that cannot be acted on for so long is left for a person; the others go on all the time."""
QUIET = timedelta(days=1)
"""So much of the feed is read again at most; far more than an event may be late."""


@dataclass
class NewsReport(Told):
    """What a poll brought."""

    new: int = 0
    handled: int = 0


def read_news(context: Context) -> NewsReport:
    """Poll and act. When Stripe is away the report says so, and nothing is lost: the cursor has not moved."""
    report = NewsReport()
    if away_too_long(context):
        # What Stripe has forgotten meanwhile stands in its lists; only after them may the cursor move on.
        swept = sweep(context)
        report.problems += swept.problems
        if not swept.complete:
            return report
    try:
        report.new = poll_events(context)
        handle_events(context, report)
    except EdgeError as error:
        report.tell(str(error))
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
    with context.database.unit_of_work() as session:
        # Where nothing happens the cursor would stay behind, and a quiet month would look like an absence.
        move_cursor(session, now - QUIET)
    return new


def handle_events(context: Context, report: NewsReport) -> None:
    """Act on stored events, oldest first. Errors of the connection end the run; an event that fails is put aside."""
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
    """Tells whether the event is done with. One that is not waits for the next run, whatever was wrong with it."""
    act = partial(_ACTIONS[event.kind], context, event.object_id)
    if attempted(act, report.tell, f"The event {event.id} cannot be acted on", event_id=event.id):
        return True
    with context.database.unit_of_work() as session:
        failures = event.deliveries_failed + 1
        session.execute(update(InboxEvent).where(InboxEvent.id == event.id).values(deliveries_failed=failures))
    log.warning("news.unreadable", event_id=event.id, type=event.type, failures=failures)
    return context.clock.now() - event.received_at > PATIENCE


def _on_charge(context: Context, processor_id: str) -> None:
    follow_charge(context, processor_id)


def _on_refund(context: Context, processor_id: str) -> None:
    record_return(context, ReturnKind.REFUND, processor_id)


def _on_dispute(context: Context, processor_id: str) -> None:
    record_return(context, ReturnKind.DISPUTE, processor_id)


def _on_payout(context: Context, processor_id: str) -> None:
    follow_payout(context, processor_id)


_ACTIONS: dict[EventKind, Callable[[Context, str], None]] = {
    EventKind.CHARGE: _on_charge,
    EventKind.ENROLMENT: complete_enrolment,
    EventKind.REFUND: _on_refund,
    EventKind.DISPUTE: _on_dispute,
    EventKind.PAYOUT: _on_payout,
    EventKind.MANDATE: follow_mandate,
    EventKind.METHOD: follow_method,
}
