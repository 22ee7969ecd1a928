"""How long a day of 1,000 members under heavy faults takes to simulate, beside the bare steps that it consists of."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

import httpx
from sqlalchemy import event, func, select, update
from starlette.responses import PlainTextResponse

from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment
from connector.simulation.in_process import InProcess
from connector.simulation.simulate import FIRST_DAY, Play, Wanted, played
from tests.benchmarks.measure import Figure

MEMBERS = 1_000
JOINING_DAYS = 6
"""Most have joined by then, and are charged in their rhythm."""
DAYS = 4


def run(_folder: Path) -> list[Figure]:
    """Some days of a practice that is under way."""
    days = [FIRST_DAY + timedelta(days=number) for number in range(JOINING_DAYS + DAYS)]
    with played(Wanted(days=len(days), members=MEMBERS, seed=1)) as play:
        _play(play, days[:JOINING_DAYS])
        counted, paid = _counted(play), _payments(play)
        taken = _seconds(lambda: _play(play, days[JOINING_DAYS:]))
        steps, paid = Counter(counted), _payments(play) - paid
        steps["request"] = _requests(play) - counted["request"]
        bare = _bare(play, steps)
    if not paid:
        raise RuntimeError("Nothing was paid in the simulated days: what was measured is none of a practice.")
    note = ", ".join(f"{count / DAYS:,.0f} {step}s" for step, count in sorted(steps.items())) + " a day"
    name = f"Simulated day, {MEMBERS:,} members, heavy faults"
    return [
        Figure(name, taken / DAYS, "s", bare / DAYS, "the same steps bare", note=note),
        Figure("the same, charges", paid / taken, "charges/s", note=f"{paid} in {DAYS} days"),
    ]


def _seconds(work: Callable[[], object]) -> float:
    """Processor time: a simulation waits for nothing, so only other programs could make it take longer."""
    started = time.process_time()
    work()
    return time.process_time() - started


def _play(play: Play, days: Sequence[date]) -> None:
    for day in days:
        play.day(day)


def _counted(play: Play) -> Counter[str]:
    """What the product does from now on: it is counted up as it happens, but for the requests."""
    steps = Counter(request=_requests(play))
    for engine in {play.stage.database.writer, play.stage.database.reader}:
        event.listen(engine, "after_cursor_execute", lambda *_: steps.update(["statement"]))
        event.listen(engine, "commit", lambda *_: steps.update(["commit"]))
    return steps


def _requests(play: Play) -> int:
    """Requests of the product to Stripe and the practice system so far."""
    office = play.stage.around.office.network
    return play.stage.around.stripe.network.carried + (office.carried if office else 0)


def _payments(play: Play) -> int:
    with play.stage.database.read() as session:
        return session.scalars(select(func.count()).select_from(Payment)).one()


def _bare(play: Play, steps: Counter[str]) -> float:
    """Seconds for as many reads of a row, commits of a changed one, and requests to an empty application."""
    writer = play.stage.database.writer
    read = select(Location.id, Location.slug).where(Location.slug == "simulated")
    change = update(Location).values(phone="")
    empty = httpx.Client(transport=InProcess(PlainTextResponse("")))

    def reads() -> None:
        with writer.connect() as connection:
            for _ in range(steps["statement"] - steps["commit"]):
                connection.execute(read).first()

    def commits() -> None:
        for _ in range(steps["commit"]):
            with writer.begin() as connection:
                connection.execute(change)

    def requests() -> None:
        for _ in range(steps["request"]):
            empty.get("http://nothing/")

    return _seconds(reads) + _seconds(commits) + _seconds(requests)
