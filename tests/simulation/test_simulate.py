"""`connector simulate`: seeds that keep every promise, and the same run for the same seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from connector.simulation.faults import FaultKind
from connector.simulation.simulate import Wanted, simulate
from tests.support.postgres import PostgresServer, postgres

__all__ = ["postgres"]

PROMISES = ("duplicates_in_pms", "lost", "wrong_patient", "double_charges", "not_charged", "unexplained_cents")


def played(hash_seed: str, *options: str) -> dict[str, Any]:
    """The JSON document of a run, in a process that shuffles its sets by that seed."""
    done = subprocess.run(
        [sys.executable, "-m", "connector", "simulate", "--json", *options],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_the_same_seed_makes_the_same_run_in_any_process() -> None:
    """A violation that was seen once can be seen again, whatever order the interpreter gives to its sets."""
    options = ("--days", "4", "--members", "10", "--seed", "7")

    first, second = played("1", *options), played("2", *options)

    first.pop("wall_seconds"), second.pop("wall_seconds")
    assert first == second
    assert first["charges_succeeded"] > 0


@pytest.mark.parametrize(
    ("seed", "pms", "days"),
    [(101, "open_dental", 20), (102, "open_dental", 20), (103, "open_dental", 20), (104, "file_drop", 12)],
)
def test_heavy_faults_break_no_promise(seed: int, pms: str, days: int) -> None:
    """Weeks of crashes, outages, lost answers and busy staff: everything is charged, written and explained once."""
    outcome = simulate(Wanted(days=days, members=40, seed=seed, pms=pms))

    assert outcome.verdict.violations == []
    assert [outcome.as_json()[name] for name in PROMISES] == [0] * len(PROMISES)
    assert outcome.crashes > 0
    assert len([kind for kind in FaultKind if outcome.injected.get(kind)]) > len(FaultKind) / 2


def test_heavy_faults_break_no_promise_on_postgresql(postgres: PostgresServer) -> None:
    """Connections that end within a transaction, two installations, and a backup that is put back."""
    outcome = simulate(Wanted(days=4, members=12, seed=2, database=postgres.new_database()))

    assert outcome.verdict.violations == []
    assert outcome.crashes > 0
    assert outcome.injected[FaultKind.SET_BACK] > 0
