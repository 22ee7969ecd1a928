"""Play so many days of a practice from a seed, and let the judge say what became of the promises."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from connector import ids
from connector.billing.clinics import Location
from connector.clock import zone
from connector.logs import silenced
from connector.simulation.auditor import Verdict, Violation
from connector.simulation.cast import cast
from connector.simulation.faults import Dice, FaultKind
from connector.simulation.life import PRICES, Life
from connector.simulation.postgres_server import running_server
from connector.simulation.stage import Stage
from connector.simulation.story import story
from connector.simulation.surroundings import surroundings
from connector.simulation.trouble import Trouble
from connector.use_cases.practice.set_up_location import add_location, add_plan, prices_only

FIRST_DAY = date(2026, 3, 2)
TIMEZONE = "Australia/Sydney"
SLUG = "simulated"
ROUNDS = (
    time_of_day(0, 30),
    time_of_day(7, 0),
    time_of_day(9, 30),
    time_of_day(12, 30),
    time_of_day(16, 0),
    time_of_day(19, 30),
)
"""When the daemon's jobs are run, on each day; the true daemon only looks more often."""
MORNING = ROUNDS[2]
CALM_ROUNDS = (ROUNDS[0], MORNING, ROUNDS[4])
"""Enough of them for the days on which nothing happens any more."""
FOLLOW_UPS = (2, 6, 12)
"""Minutes after a round in which something was left unclear."""
BACKUP_AGES = (0, 1, 3)
"""Days from a backup to the evening on which it is restored: with Stripe's idempotency keys, and without."""
CALM_DAYS = 12
"""Days without faults at the end: debits, returns and unclear writes come to an end."""
OBJECTS_BETWEEN = 50_000
"""So many new objects may stand between two looks for unreachable ones; Python's own measure is 700."""
STORIES = 3
"""So many broken promises are told in full."""


DATABASES = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to simulate."""

    days: int
    members: int
    seed: int
    faults: str = "heavy"
    pms: str = "open_dental"
    database: str = "sqlite"
    """Or `postgresql`: on a server of its own; or the address of an empty database."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulation came to."""

    wanted: Wanted
    verdict: Verdict
    crashes: int
    injected: Mapping[FaultKind, int]
    wall_seconds: float
    stories: Mapping[Violation, Sequence[str]]
    """Of the first broken promises, what each book says."""

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return not self.verdict.violations

    def as_json(self) -> dict[str, Any]:
        """The documented fields."""
        verdict = self.verdict
        return {
            "seed": self.wanted.seed,
            "days": self.wanted.days,
            "members": self.wanted.members,
            "charges_succeeded": verdict.charges_succeeded,
            "charged_cents": verdict.charged_cents,
            "write_backs_confirmed": verdict.write_backs_confirmed,
            "written_cents": verdict.written_cents,
            "reversals_confirmed": verdict.reversals_confirmed,
            "duplicates_in_pms": verdict.count("duplicate"),
            "lost": verdict.count("lost"),
            "wrong_patient": verdict.count("wrong_patient"),
            "double_charges": verdict.count("double_charge") + verdict.count("not_due"),
            "not_charged": verdict.count("not_asked") + verdict.count("not_taken"),
            "unexplained_cents": verdict.unexplained_cents,
            "unresolved_older_than_1_day": verdict.count("unresolved"),
            "crashes": self.crashes,
            "faults_injected": sum(self.injected.values()),
            "faults": {kind.value: self.injected.get(kind, 0) for kind in FaultKind},
            "wall_seconds": round(self.wall_seconds, 1),
        }


def simulate(wanted: Wanted, tell: Callable[[date], None] | None = None) -> Outcome:
    """Play it. The same wish makes the same run, except for `wall_seconds`."""
    started = time.monotonic()
    with played(wanted) as play:
        for number in range(wanted.days + CALM_DAYS):
            today = FIRST_DAY + timedelta(days=number)
            if number == wanted.days:
                play.calm()
            play.day(today)
            if tell:
                tell(today)
        verdict, stage = play.verdict(), play.stage
        stories = {violation: story(stage, violation) for violation in verdict.violations[:STORIES]}
        seconds = time.monotonic() - started
        return Outcome(wanted, verdict, stage.crashes, stage.dice.injected, seconds, stories)


@contextmanager
def played(wanted: Wanted) -> Iterator[Play]:
    """A practice on its first morning; its days are played one by one."""
    with (
        TemporaryDirectory(prefix="simulation-", dir=_quick_folder()) as folder,
        ids.seeded(wanted.seed),
        silenced(),
        _seldom_collected(),
    ):
        dice = Dice(wanted.seed, wanted.faults, wanted.members)
        around = surroundings(Path(folder), wanted.members, wanted.pms, dice)
        with _database(wanted.database) as url, closing(Stage(Path(folder), around, dice, url)) as stage:
            yield Play(stage, dice, wanted)


def shortest(wanted: Wanted, tell: Callable[[int], None] | None = None) -> Outcome:
    """The run of fewest days that still breaks a promise, given that `wanted` does; found by halving."""
    kept, broken = 0, wanted.days
    outcome: Outcome | None = None
    while broken - kept > 1:
        days = (kept + broken) // 2
        if tell:
            tell(days)
        tried = simulate(replace(wanted, days=days))
        if tried.kept:
            kept = days
        else:
            broken, outcome = days, tried
    return outcome or simulate(replace(wanted, days=broken))


class Play:
    """The course of the days."""

    def __init__(self, stage: Stage, dice: Dice, wanted: Wanted) -> None:
        self.stage, self._dice = stage, dice
        self._rounds: Sequence[time_of_day] = ROUNDS
        self._now = datetime.combine(FIRST_DAY, ROUNDS[0], zone(TIMEZONE))
        stage.set_time(self._now)
        location = open_practice(stage)
        people = cast(wanted.members, sorted(PRICES), dice.of("cast"))
        self._life = Life(stage, location, dice, people)
        self._trouble = Trouble(stage, dice)
        self._restore_on: date | None = None
        """The day on which the backup that was made lately is put back."""

    def calm(self) -> None:
        """No fault from here on."""
        self._dice.end()
        self._trouble.end(self._now)
        self._rounds = CALM_ROUNDS

    def day(self, today: date) -> None:
        share = 1 / len(ROUNDS)
        if self._restore_on is None and self._dice.falls(FaultKind.SET_BACK, 1):
            self.stage.save()
            self._restore_on = today + timedelta(days=self._dice.of("set back").choice(BACKUP_AGES))
        # What people did after a backup would be lost with it, so until it is restored they are all at home.
        at_home = self._restore_on is not None
        for at in self._rounds:
            self._now = datetime.combine(today, at, zone(TIMEZONE))
            self.stage.set_time(self._now, self._trouble.clock_error(share))
            self._trouble.before(self._now, share)
            if self._restore_on == today and at == self._rounds[-1]:
                self.stage.set_back()
                self._restore_on = None
                self._dice.count(FaultKind.SET_BACK)
            self._life.see_to_the_seal()
            if not at_home:
                if at == MORNING:
                    self._life.morning(today)
                self._life.between(share, today)
            # Nor is what is seen before it goes back any guide to what was.
            looks = self._restore_on is None
            self._work(looks=looks)
            self._trouble.after()
            for minutes in FOLLOW_UPS:
                if not self._life.witness.unclear():
                    break
                self.stage.set_time(self._now + timedelta(minutes=minutes))
                self._work(looks=looks)

    def _work(self, *, looks: bool) -> None:
        self.stage.work()
        if looks:
            self._life.witness.look()

    def verdict(self) -> Verdict:
        books = self._life.witness.books(self._now)
        for charge in books.charges:
            if charge["status"] == "failed":
                by_bank = charge["payment_method_details"]["type"] == "au_becs_debit"
                self._dice.count(FaultKind.BECS_RETURN if by_bank else FaultKind.DECLINE)
        return self._life.witness.judged(books)


def open_practice(stage: Stage) -> Location:
    """Set up the location with its plans."""
    office = stage.around.office
    location_id = add_location(
        stage.context,
        slug=SLUG,
        name="Simulated Dental",
        timezone=TIMEZONE,
        currency="aud",
        pms=office.pms,
        pms_settings=office.settings,
    )
    for name, prices in PRICES.items():
        add_plan(stage.context, location_slug=SLUG, name=name, terms=prices_only(prices, "aud"))
    with stage.database.read() as session:
        return session.get_one(Location, location_id)


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Look for unreachable circles of objects rarely: nearly everything is freed without, and looking costs a tenth."""
    usual = gc.get_threshold()
    gc.set_threshold(OBJECTS_BETWEEN, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


@contextmanager
def _database(wanted: str) -> Iterator[str]:
    """The address of an empty database; nothing for a file of the simulation's own."""
    if wanted == "postgresql":
        with running_server() as server:
            yield server.new_database()
    else:
        yield "" if wanted == "sqlite" else wanted


def _quick_folder() -> Path | None:
    """A place in memory where the system offers one: what is simulated need not survive a power cut."""
    memory = Path("/dev/shm")  # noqa: S108 - only a folder of its own is made there, with a random name
    return memory if os.access(memory, os.W_OK) else None
