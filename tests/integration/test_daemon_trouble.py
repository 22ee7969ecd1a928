"""The daemon in bad weather: killed under load, without the practice system, without Stripe."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.ledger.write_back.states import WriteBackState
from tests.support.processes import (
    MONDAY,
    QUICK,
    Installation,
    Outside,
    health,
    installed,
    outside,
    settled,
    stripe_at,
    until,
)

MEMBERS = 8
ROUNDS = 6
SEED = 20_260_302
S = WriteBackState


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Outside]:
    """Both sandboxes, for one test."""
    with outside(tmp_path, MEMBERS) as running:
        yield running


@pytest.fixture
def practice(pair: Outside, tmp_path: Path) -> Installation:
    """An installation with linked members who pay every week, and whose first payment is due."""
    return installed(tmp_path / "data", pair, MEMBERS)


def problems(port: int, job: str) -> list[str]:
    """What the health page says about a job."""
    found: list[str] = health(port).json()["jobs"][job]["problems"]
    return found


def all_confirmed(installation: Installation) -> bool:
    return [row.state for row in installation.write_backs()] == [S.CONFIRMED] * MEMBERS


def test_a_daemon_killed_under_load_loses_and_doubles_nothing(pair: Outside, practice: Installation) -> None:
    """Every week it is killed in the middle of its work, at another moment each time; a clean run then mends all."""
    moments = random.Random(SEED)
    for week in range(1, ROUNDS + 1):
        monday = practice.at(MONDAY + timedelta(weeks=week - 1))
        pair.move_clock(MONDAY + timedelta(weeks=week - 1))
        pair.office.post("slow", milliseconds=20)
        with monday.start("serve", **QUICK, DAEMON__WRITE_BACK_SLOTS=str(moments.choice((1, 4)))) as daemon:
            daemon.reaches(moments.randint(2, 2 * MEMBERS))
            daemon.process.kill()
            daemon.ended()
        pair.office.post("slow", milliseconds=0)

        book = monday.recover(pair)

        assert book.ok, book.faults
        assert pair.counts() == (MEMBERS * week, MEMBERS * week)
        assert {row.state for row in practice.write_backs()} == {S.CONFIRMED}
    assert settled(practice.verdict(pair))


def test_an_outage_of_the_practice_system_is_told_and_survived(pair: Outside, practice: Installation) -> None:
    """Charging goes on, the queue waits, the health page says why, and afterwards everything goes out by itself."""
    pair.office.post("down", down=True)

    with practice.start("serve", **QUICK) as daemon:
        port = daemon.logged("daemon.ready")["port"]
        until(lambda: bool(problems(port, "write_backs")), "the health page names the practice system")
        waiting = {row.state for row in practice.write_backs()}
        told = problems(port, "write_backs")
        charged = pair.counts()
        pair.office.post("down", down=False)
        until(lambda: all_confirmed(practice), "the queue is empty")
        until(lambda: not problems(port, "write_backs"), "the health page is clean again")

    assert waiting == {S.QUEUED}
    assert charged == (MEMBERS, 0)
    assert len(told) == 1
    assert told[0].endswith(".")
    assert daemon.logged("job.problem")["problem"] in told
    assert pair.counts() == (MEMBERS, MEMBERS)
    assert settled(practice.verdict(pair))


def test_an_outage_of_stripe_is_told_and_survived(tmp_path: Path) -> None:
    """Nothing is charged twice after it, and what was due is charged as soon as Stripe is there again."""
    with ExitStack() as stack:
        pair = stack.enter_context(outside(tmp_path, MEMBERS))
        with stripe_at(tmp_path / "stripe") as stripe:
            port = int(stripe.address.rpartition(":")[2])
            pair = Outside(stripe, pair.office, MEMBERS)
            stripe.move_clock(MONDAY)
            practice = installed(tmp_path / "data", pair, MEMBERS)
        daemon = stack.enter_context(practice.start("serve", **QUICK))
        own = daemon.logged("daemon.ready")["port"]
        until(lambda: bool(problems(own, "news") and problems(own, "billing")), "the health page names Stripe")
        told: list[Any] = [*problems(own, "news"), *problems(own, "billing")]
        assert practice.write_backs() == []

        back = stack.enter_context(stripe_at(tmp_path / "stripe", port))
        until(lambda: all_confirmed(practice), "everything due is charged and written")
        until(lambda: not problems(own, "news"), "the health page is clean again")

        pair = Outside(back, pair.office, MEMBERS)
        assert all("Stripe" in sentence for sentence in told)
        assert daemon.process.poll() is None
        assert pair.counts() == (MEMBERS, MEMBERS)
        assert settled(practice.verdict(pair))
