"""Taking in the processor's events in batches, against a plain `executemany` into the same table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Insert
from sqlalchemy.dialects import sqlite

from connector.billing.inbox import InboxEvent, store
from connector.billing.processor import EventKind, ProcessorEvent
from tests.benchmarks.measure import Figure, alternating, seconds, spread
from tests.benchmarks.practice import NOON, Practice, practice, table_insert

BATCH = 1_000
BATCHES = 10
ROUNDS = 5


def run(folder: Path) -> list[Figure]:
    """Events per second that are all new, and that are all known already."""
    with practice(folder) as subject:
        bench = _Bench(subject)
        bench.plain(table_insert(InboxEvent))
        ours, bare = alternating(ROUNDS, bench.store_new, lambda: bench.plain(table_insert(InboxEvent)))
        new = _figure("Events taken in, all new", ours, bare, 0.25)
        ignoring = sqlite.insert(InboxEvent.__table__).on_conflict_do_nothing()  # type: ignore[arg-type]
        ours, bare = alternating(ROUNDS, bench.store_known, lambda: bench.plain_known(ignoring))
        known = _figure("Events taken in, all known", ours, bare, 0.5)
    return [new, known]


def _figure(name: str, ours: list[float], bare: list[float], bar: float) -> Figure:
    baseline = "Core executemany"
    return Figure(name, median(ours), "events/s", median(bare), baseline, bar, True, True, spread(ours))


class _Bench:
    def __init__(self, subject: Practice) -> None:
        self._database = subject.context.database
        self._made = 0

    def store_new(self) -> float:
        return self._rate(self._batches(), self._store)

    def store_known(self) -> float:
        self._made = 0
        return self._rate(self._batches(), self._store)

    def plain(self, statement: Insert) -> float:
        return self._rate([_rows(batch) for batch in self._batches()], lambda rows: self._execute(statement, rows))

    def plain_known(self, statement: Insert) -> float:
        self._made = 0
        return self.plain(statement)

    def _batches(self) -> list[list[ProcessorEvent]]:
        start, self._made = self._made, self._made + BATCH * BATCHES
        return [[_event(number) for number in range(first, first + BATCH)] for first in range(start, self._made, BATCH)]

    def _store(self, batch: list[ProcessorEvent]) -> None:
        with self._database.unit_of_work() as session:
            store(session, batch, NOON)

    def _execute(self, statement: Insert, rows: list[dict[str, Any]]) -> None:
        with self._database.writer.begin() as connection:
            connection.execute(statement, rows)

    @staticmethod
    def _rate(batches: list[Any], take: Callable[[Any], None]) -> float:
        def work() -> None:
            for batch in batches:
                take(batch)

        return BATCH * BATCHES / seconds(work)


def _event(number: int) -> ProcessorEvent:
    created = NOON + timedelta(seconds=number // 10)
    return ProcessorEvent(
        f"evt_{number:010}", EventKind.CHARGE, "payment_intent.succeeded", f"pi_{number:010}", created
    )


def _rows(batch: list[ProcessorEvent]) -> list[dict[str, Any]]:
    return [
        {
            "id": event.id,
            "kind": event.kind,
            "type": event.type,
            "object_id": event.object_id,
            "created": event.created,
            "received_at": NOON,
            "handled_at": None,
            "deliveries_failed": 0,
        }
        for event in batch
    ]
