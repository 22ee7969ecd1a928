"""The product as it runs at a practice: the daemon's own jobs on a moved clock, killed and started again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
from sqlalchemy import event

from connector import failpoints
from connector.clock import MovableClock
from connector.daemon.jobs import Job, declared
from connector.database.engine import Database
from connector.database.installation import Installation
from connector.database.migrate import prepare
from connector.rehearsal.rehearse import Nowhere
from connector.settings import DaemonSettings
from connector.simulation.faults import Dice, FaultKind
from connector.simulation.in_process import InProcess
from connector.simulation.kept import InFile, Kept, OnServer
from connector.simulation.surroundings import Surroundings
from connector.use_cases.context import Context, PmsConnections

R = TypeVar("R")


class KilledError(BaseException):
    """Stands for the end of the process: no `except Exception` of the product sees it."""


class InTurn(ThreadPoolExecutor):
    """A pool that does its work at once and in order, so that the same seed makes the same run."""

    def map(self, fn: Callable[..., R], *iterables: Any, **_options: Any) -> Iterator[R]:
        return iter([fn(*items) for items in zip(*iterables, strict=True)])


@dataclass
class Stage:
    """One installation. `act` and `work` survive a kill, as a supervisor starts a daemon again."""

    folder: Path
    around: Surroundings
    dice: Dice
    database_url: str = ""
    """Of an empty database; an SQLite file in the folder when it is left out."""
    without: Collection[str] = ()
    """Jobs of the daemon that are left out, by name."""

    def __post_init__(self) -> None:
        self.clock = MovableClock(datetime.fromisoformat("2026-01-01T00:00:00+00:00"))
        self.crashes = 0
        self.calls_in_transactions = 0
        """Outside calls made while a unit of work was open, which must never be."""
        self._fuse: int | None = None
        self._mortal = False
        self._standstill: dict[InProcess, timedelta] = {}
        """Where the process is to stand still just before the next write, and for how long."""
        self._true = self.clock.now()
        self._pool = InTurn(1)
        jobs = declared(DaemonSettings(), Nowhere(), Nowhere())
        self._jobs: list[Job] = [job for job in jobs if job.name not in self.without]
        self._kept: Kept = OnServer(self.database_url) if self.database_url else InFile(self.folder)
        # One object for all processes that follow each other: of the former ones it keeps compiled statements alone.
        self.database = Database(self._kept.url)
        event.listen(self.database.writer, "after_cursor_execute", lambda *_: self._burn("statement"))
        self._open()

    def _open(self) -> None:
        prepare(self.database)
        self.context = self._installed("inst_first")

    def _installed(self, name: str) -> Context:
        """An installation on the one database."""
        connections = PmsConnections(self.clock, {self.around.office.pms: self.around.office.factory})
        return Context(self.database, self.clock, self.around.stripe.processor, connections, Installation(name))

    def close(self) -> None:
        """End the process, with all its connections."""
        self.context.pms.close()
        self.database.close()

    def save(self) -> None:
        """Make a backup of the database as it is now."""
        self.database.close()
        self._kept.save()

    def set_back(self) -> None:
        """Put the backup in the place of the database, and start the product again."""
        self.close()
        self._kept.put_back()
        self._open()

    def set_time(self, instant: datetime, wrong_by: timedelta = timedelta()) -> None:
        """It is that instant outside, or later where a standstill took longer; our clock shows it, wrong by so much."""
        instant = self._true = max(instant, self._true)
        self.around.move_to(instant)
        self.dice.now = instant
        self.clock.move_to(instant + wrong_by)

    def light_fuse(self, passes: int) -> None:
        """Kill the process when it has made so many more statements and passed so many more failpoints.

        A fuse that burns already goes on, so that in the end every place is met.
        """
        self._fuse = self._fuse or passes

    def stand_still(self, where: InProcess, how_long: timedelta) -> None:
        """Stand still just before the first byte of the next write; another installation works in the meantime."""
        self._standstill[where] = how_long
        where.interrupt = partial(self._interrupt, where)

    def work(self) -> list[str]:
        """One tick of each job of the daemon; returns what they complain about."""
        problems: list[str] = []
        for job in self._jobs:
            with self.may_be_killed():
                problems += job.work(self.context, self._pool)
        return problems

    @contextmanager
    def may_be_killed(self) -> Iterator[None]:
        """Whatever is done in the block ends where the fuse has burnt down; then the product is started again."""
        self._mortal = True
        try:
            with failpoints.watched(self._burn):
                yield
        except KilledError:
            self.crashes += 1
            self.dice.count(FaultKind.CRASH)
            self._mortal = False
            self.close()
            self._open()
        finally:
            self._mortal = False

    def _burn(self, place: str) -> None:
        if place in ("read.before", "write.before") and self.database.writer.pool.checkedout():  # type: ignore[attr-defined]
            self.calls_in_transactions += 1
        if self._fuse is None or not self._mortal:
            return
        self._fuse -= 1
        if self._fuse <= 0:
            self._fuse = None
            raise KilledError

    def _interrupt(self, where: InProcess, request: httpx.Request) -> None:
        if request.method != "POST" or not self._mortal or where not in self._standstill:
            return
        how_long, self._mortal = self._standstill.pop(where), False
        self.dice.count(FaultKind.STANDSTILL)
        other = self._installed("inst_second")
        for _ in range(ROUNDS_MEANWHILE):
            self.set_time(self._true + how_long / ROUNDS_MEANWHILE)
            for job in self._jobs:
                job.work(other, self._pool)
        other.pms.close()
        self._mortal = True


ROUNDS_MEANWHILE = 4
"""So often the other installation works while this one stands still."""
