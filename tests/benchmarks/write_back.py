"""The write-back engine against the bare loop, on the same simulated Open Dental."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from connector.sandbox.demo.processes import Sandbox
from connector.use_cases.books.work_write_backs import work_write_backs
from tests.benchmarks.bare_loop import BareLoop
from tests.benchmarks.measure import Figure, alternating, seconds, spread
from tests.benchmarks.practice import Practice, days_later, office, practice

Mapper = Callable[[Callable[[Any], None], Any], Iterable[None]]

MEMBERS = 400
INSTANT_ROWS = 600
SLOW_ROWS = 800
SLOW_MILLISECONDS = 50
SLOTS = 8
ROUNDS = 3


def run(folder: Path) -> list[Figure]:
    """Rows per second, with an instant practice system and one that takes its time."""
    with office(folder, MEMBERS) as pms, practice(folder, pms.address) as subject:
        members = subject.add_members(MEMBERS)
        bench = _Bench(subject, pms, members)
        bench.engine(20, map)
        instant = _figure("Write-back, PMS at 0 ms, one at a time", bench, INSTANT_ROWS, map, 0.6)
        pms.post("slow", milliseconds=SLOW_MILLISECONDS)
        with ThreadPoolExecutor(SLOTS) as pool:
            name = f"Write-back, PMS at {SLOW_MILLISECONDS} ms, {SLOTS} slots"
            slow = _figure(name, bench, SLOW_ROWS, pool.map, 0.9)
    return [instant, slow]


def _figure(name: str, bench: _Bench, rows: int, mapper: Mapper, bar: float) -> Figure:
    ours, bare = alternating(ROUNDS, lambda: bench.engine(rows, mapper), lambda: bench.bare(rows, mapper))
    return Figure(name, median(ours), "rows/s", median(bare), "bare loop", bar, True, True, spread(ours))


class _Bench:
    def __init__(self, subject: Practice, pms: Sandbox, members: list[str]) -> None:
        self._subject = subject
        self._pms = pms
        self._members = members
        self._runs = 0

    def engine(self, rows: int, mapper: Mapper) -> float:
        """Rows per second from queued to confirmed."""
        self._queue(rows)
        took = seconds(lambda: self._work(rows, mapper))
        return rows / took

    def bare(self, rows: int, mapper: Mapper) -> float:
        """Rows per second of the bare loop."""
        self._queue(rows)
        loop = BareLoop(self._subject, self._pms.address)
        try:
            waiting = loop.queued()
            return rows / seconds(lambda: list(mapper(loop.send, waiting)))
        finally:
            loop.close()

    def _work(self, rows: int, mapper: Mapper) -> None:
        tally = work_write_backs(self._subject.context, mapper=mapper)["main"]
        if tally.confirmed != rows:
            raise AssertionError(f"Of {rows} write-backs {tally.confirmed} were confirmed: {tally.problem}")

    def _queue(self, rows: int) -> None:
        self._runs += 1
        days_later(self._subject, [self._pms], 4)
        self._subject.add_write_backs(self._members, rows, f"SPB{self._runs:03}")
