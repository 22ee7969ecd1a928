"""Sweep Stripe's lists for what its news did not tell: once a night, and after an absence longer than it keeps news.

Only lists are read, and of single objects those alone whose last word we do not have yet, however old they are: Stripe
allots reads by the month (500 for each transaction of 30 days, never fewer than 10,000).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from sqlalchemy import select

from connector.billing.collecting.charges import (
    AttemptState,
    Charge,
    ChargeAttempt,
    Payment,
    Payout,
    ReturnedPayment,
    ReturnKind,
)
from connector.billing.inbox import read_until
from connector.errors import EdgeError
from connector.use_cases.collection.follow_money import follow_charge, follow_payout
from connector.use_cases.containment import Told, attempted
from connector.use_cases.context import Context
from connector.use_cases.returns.final_returns import is_final, is_lost
from connector.use_cases.returns.record_return import record_return

log = structlog.get_logger()

NEWS_KEPT = timedelta(days=29)
"""A day less than Stripe keeps its events."""
CHARGES_BACK = timedelta(days=8)
RETURNS_BACK = timedelta(days=90)
PAYOUTS_BACK = timedelta(days=30)
PAYOUTS_FAIL_WITHIN = timedelta(days=10)
"""Banks send a payout back within some business days of its arrival."""

NEWS_TAKES = timedelta(hours=1)
"""What was sent so lately has its answer or its news on the way: nothing was missed yet."""

_UNDER_WAY = (AttemptState.SENDING, AttemptState.PAYER, AttemptState.PROCESSING)
_BATCH = 500

T = TypeVar("T")
Item = tuple[str, str]
"""Kind of an object and its id at Stripe."""


@dataclass
class SweepReport(Told):
    """What a sweep saw."""

    listed: int = 0
    """Objects on Stripe's lists."""
    read: int = 0
    """Those of them, and of our own open ones, that were read one by one."""
    missed: list[str] = field(default_factory=list)
    """What the news had not told, by kind and id at Stripe, e.g. 'charge pi_1'."""
    complete: bool = False
    """Whether all lists were read to their ends."""


def away_too_long(context: Context) -> bool:
    """Whether news may have been dropped since the last poll, so that only a sweep can tell what happened."""
    with context.database.read() as session:
        until = read_until(session)
    return until is not None and context.clock.now() - until > NEWS_KEPT


def sweep(context: Context, since: datetime | None = None) -> SweepReport:
    """Apply all that the lists show and the news did not tell. What cannot be read now is left to the next sweep.

    The lists are read from `since` at the latest, where little is known of what happened from then on.
    """
    report = SweepReport()
    now = context.clock.now()
    with context.database.read() as session:
        until = read_until(session) or now
    known_until = min(until if now - until > NEWS_KEPT else now, since or now)
    try:
        for wanted in (_charges, _returns, _payouts):
            for kind, processor_id in wanted(context, report, known_until):
                _follow(context, report, kind, processor_id)
        report.complete = True
    except EdgeError as error:
        report.tell(str(error))
    log.info("sweep.done", listed=report.listed, read=report.read, missed=report.missed, problems=len(report.problems))
    return report


def _follow(context: Context, report: SweepReport, kind: str, processor_id: str) -> None:
    """Read one object and count what is new. One that fails is put aside; errors of the connection end the sweep."""
    report.read += 1

    def follow() -> None:
        if _FOLLOWERS[kind](context, processor_id):
            report.missed.append(f"{kind} {processor_id}")

    attempted(follow, report.tell, f"The {kind} {processor_id} cannot be followed", object_id=processor_id)


_FOLLOWERS: Mapping[str, Callable[[Context, str], bool]] = {
    "charge": follow_charge,
    ReturnKind.REFUND: lambda context, processor_id: record_return(context, ReturnKind.REFUND, processor_id),
    ReturnKind.DISPUTE: lambda context, processor_id: record_return(context, ReturnKind.DISPUTE, processor_id),
    "payout": follow_payout,
}


def _since(context: Context, back: timedelta, known_until: datetime) -> datetime:
    """So far back goes a list, and at least as far as the time of which no news was missed."""
    return min(context.clock.now() - back, known_until)


def _charges(context: Context, report: SweepReport, known_until: datetime) -> list[Item]:
    """Our charges on the list whose money is not recorded, and all of ours that are under way, however old."""
    under_way = (
        select(Charge.processor_id)
        .join(ChargeAttempt, ChargeAttempt.charge_id == Charge.id)
        .where(ChargeAttempt.state.in_(_UNDER_WAY), Charge.processor_id.is_not(None))
    )
    young = select(ChargeAttempt.charge_id).where(ChargeAttempt.sent_at > context.clock.now() - NEWS_TAKES)
    open_ = select(Charge.processor_id).where(Charge.id.not_in(select(Payment.charge_id)), Charge.id.not_in(young))
    listed = _counted(report, context.processor.charges_since(_since(context, CHARGES_BACK, known_until)))
    with context.database.read() as session:
        found = list(session.scalars(under_way.where(Charge.id.not_in(young))))
        for batch in _batches([charge.processor_id for charge in listed]):
            found += session.scalars(open_.where(Charge.processor_id.in_(batch)))
    return [("charge", processor_id) for processor_id in dict.fromkeys(found) if processor_id]


def _returns(context: Context, report: SweepReport, known_until: datetime) -> Iterator[Item]:
    """Refunds and disputes on the list, and recorded ones of any age, but for those that are recorded and final."""
    listed = _counted(report, context.processor.returns_since(_since(context, RETURNS_BACK, known_until)))
    final = is_final(known_until)
    done = select(ReturnedPayment.processor_id).where(final)
    for batch in _batches(listed):
        with context.database.read() as session:
            ended = set(session.scalars(done.where(ReturnedPayment.processor_id.in_([item for _, item in batch]))))
        yield from ((kind.value, item) for kind, item in batch if item not in ended)
    open_ = select(ReturnedPayment.kind, ReturnedPayment.processor_id).where(~final, ~is_lost())
    with context.database.read() as session:
        recorded = [(kind, processor_id) for kind, processor_id in session.execute(open_)]
    seen = {item for _, item in listed}
    yield from ((kind.value, item) for kind, item in recorded if item not in seen)


def _payouts(context: Context, report: SweepReport, known_until: datetime) -> Iterator[Item]:
    """Payouts on the list, and recorded ones of any age, but for those that are recorded and cannot be sent back."""
    listed = _counted(report, context.processor.payouts_since(_since(context, PAYOUTS_BACK, known_until)))
    final = (Payout.arrival_date < (known_until - PAYOUTS_FAIL_WITHIN).date()) | Payout.failed_at.is_not(None)
    for batch in _batches(listed):
        with context.database.read() as session:
            ended = set(session.scalars(select(Payout.processor_id).where(final, Payout.processor_id.in_(batch))))
        yield from (("payout", item) for item in batch if item not in ended)
    with context.database.read() as session:
        recorded = session.scalars(select(Payout.processor_id).where(~final)).all()
    seen = set(listed)
    yield from (("payout", item) for item in recorded if item not in seen)


def _counted(report: SweepReport, found: Iterable[T]) -> list[T]:
    items = list(found)
    report.listed += len(items)
    return items


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """So many at a time as fit into one query."""
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))
