"""Seed after seed, for as long as told: `python -m connector.simulation.soak --minutes 60`, or `make soak`.

Each seed's outcome is a line of the results file, so that a soak can be stopped at any time and goes on with the next
seed; sums are over all lines of the file.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click

from connector.simulation.simulate import DATABASES, Wanted, simulate

SUMMED = (
    *("charges_succeeded", "write_backs_confirmed", "reversals_confirmed", "crashes", "faults_injected"),
    *("duplicates_in_pms", "lost", "wrong_patient", "double_charges", "not_charged", "unexplained_cents"),
    "unresolved_older_than_1_day",
)


@click.command()
@click.option("--minutes", default=60.0, show_default=True, type=click.FloatRange(0.1))
@click.option("--days", default=60, show_default=True, type=click.IntRange(1))
@click.option("--members", default=200, show_default=True, type=click.IntRange(1))
@click.option("--database", default="sqlite", show_default=True, type=click.Choice(DATABASES))
@click.option("--workers", default=os.cpu_count() or 1, show_default=True, type=click.IntRange(1))
@click.option("--results", default=Path("soak.jsonl"), show_default=True, type=click.Path(path_type=Path))
def soak(minutes: float, days: int, members: int, database: str, workers: int, results: Path) -> None:
    """Simulate seeds with heavy faults until the time is over; ends with 1 when a promise was broken."""
    known = _read(results)
    seeds = count(max((line["seed"] for line in known), default=0) + 1)
    click.echo(f"{days} days of {members} members on {database}, {workers} seeds at a time, for {minutes:g} minutes.")
    wishes = (Wanted(days, members, seed, database=database) for seed in seeds)
    try:
        for line in _outcomes(wishes, workers, time.monotonic() + 60 * minutes):
            known.append(line)
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            _tell(line, known)
    except KeyboardInterrupt:
        click.echo(f"Stopped with {len(known)} seeds in {results}; the same command goes on with the next.", err=True)
    broken = [line["seed"] for line in known if line["broken"]]
    if broken:
        click.echo(f"A promise was broken by the seeds {', '.join(map(str, broken))}.", err=True)
        sys.exit(1)


def _outcomes(wishes: Iterator[Wanted], workers: int, over: float) -> Iterator[dict[str, Any]]:
    """The outcome of each seed as it comes, until all that were begun before that time have ended."""
    running: set[Future[dict[str, Any]]] = set()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_be_patient) as pool:
        while running or time.monotonic() < over:
            while len(running) < workers and time.monotonic() < over:
                running.add(pool.submit(_play, next(wishes)))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for finished in done:
                yield finished.result()


def _be_patient() -> None:
    """Ctrl-C in a terminal reaches all processes; one that has nothing to tidy up leaves it to the first of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _play(wanted: Wanted) -> dict[str, Any]:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        outcome = simulate(wanted)
    finally:
        _be_patient()
    broken = [f"{found.kind}: {found.about}: {found.sentence}" for found in outcome.verdict.violations]
    return {**outcome.as_json(), "broken": broken}


def _read(results: Path) -> list[dict[str, Any]]:
    """The outcomes of earlier runs."""
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


def _tell(line: dict[str, Any], known: list[dict[str, Any]]) -> None:
    sums = {name: sum(one.get(name, 0) for one in known) for name in SUMMED}
    click.echo(f"seed {line['seed']}: {line['charges_succeeded']} charges in {line['wall_seconds']} s; in all {sums}")
    for sentence in line["broken"]:
        click.echo(f"  {sentence}", err=True)


if __name__ == "__main__":
    soak()
