"""`connector run-due` dies for real, by SIGKILL, at every dangerous place; what is left behind is always mended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from connector.ledger.write_back.states import WriteBackState
from tests.support.processes import KILLED, MONDAY, Installation, Outside, installed, outside, settled

MEMBERS = 2
PASSES_MAX = 60
"""No failpoint is passed so often in one run; a loop that gets here does not end."""


class Bench:
    """One pair of sandboxes, one prepared installation to copy, and a time that only goes forward."""

    def __init__(self, pair: Outside, prepared: Installation) -> None:
        self.pair = pair
        self._prepared = prepared
        self._next: datetime = MONDAY

    def twin(self, folder: Path) -> Installation:
        """A copy in which the same members owe the same amounts, some minutes after the copy before it was done."""
        self._next += timedelta(minutes=15)
        return self._prepared.sibling(folder).at(self._next)

    def pass_time(self, minutes: int) -> datetime:
        self._next += timedelta(minutes=minutes)
        return self._next


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Everything that is prepared once for all kills."""
    with outside(tmp_path_factory.mktemp("outside"), MEMBERS) as pair:
        yield Bench(pair, installed(tmp_path_factory.mktemp("prepared") / "data", pair, MEMBERS, "annually"))


@pytest.mark.parametrize(
    ("failpoint", "least", "restart_after_days", "step"),
    [
        # Before a commit the database is as after the one before it, so every third is enough.
        ("commit.before", 10, 0, 3),
        ("commit.after", 10, 0, 1),
        # By then Stripe has forgotten the idempotency keys.
        ("commit.after", 10, 2, 3),
        # A payment object and its confirmation at Stripe, and an entry in the practice system, for each member.
        ("write.before", 3 * MEMBERS, 0, 1),
        ("write.after", 3 * MEMBERS, 0, 1),
        ("write.after", 3 * MEMBERS, 2, 1),
    ],
)
def test_a_run_killed_anywhere_charges_and_writes_once(
    bench: Bench, tmp_path: Path, failpoint: str, least: int, restart_after_days: int, step: int
) -> None:
    """The n-th pass kills, for n = 1, 2, 3 ... until a run gets through; after each the world is mended and counted."""
    for number in count(1, step):
        assert number < PASSES_MAX
        victim = bench.twin(tmp_path / str(number))
        before = bench.pair.counts()

        done = victim.run("run-due", FAILPOINT=f"{failpoint}:{number}")
        book = victim.at(bench.pass_time(minutes=24 * 60 * restart_after_days)).recover(bench.pair)

        assert done.code in (KILLED, 0), done
        after = bench.pair.counts()
        where = f"{failpoint}:{number}"
        assert (after[0] - before[0], after[1] - before[1]) == (MEMBERS, MEMBERS), where
        assert [row.state for row in victim.write_backs()] == [WriteBackState.CONFIRMED] * MEMBERS, where
        assert book.ok, (where, book.faults)
        if done.code == 0:
            break
    assert number > least
    assert settled(victim.verdict(bench.pair))


def test_a_process_that_dies_again_and_again_still_gets_everything_done(bench: Bench, tmp_path: Path) -> None:
    """Each start dies right after the second thing that it sends, and forgets that it did; the last one finds all."""
    victim = bench.twin(tmp_path / "data")
    before = bench.pair.counts()

    for starts in count(1):
        assert starts < PASSES_MAX
        done = victim.at(bench.pass_time(minutes=3)).run("run-due", FAILPOINT="write.after:2")
        if done.code != KILLED:
            break
    book = victim.at(bench.pass_time(minutes=3)).recover(bench.pair)

    after = bench.pair.counts()
    assert done.code == 0, done
    assert starts > MEMBERS
    assert (after[0] - before[0], after[1] - before[1]) == (MEMBERS, MEMBERS)
    assert book.ok, book.faults
    assert settled(victim.verdict(bench.pair))
