"""A practice restores yesterday's file at the command line, and `connector resume` dies for real on its way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from connector.ledger.write_back.states import WriteBackState
from tests.support.processes import KILLED, MONDAY, Installation, Outside, installed, outside, settled

MEMBERS = 2
DATABASE = "connector.sqlite3"


@pytest.fixture
def restored(tmp_path: Path) -> Iterator[tuple[Outside, Installation]]:
    """Two weeks were charged and written; then the file of the first week was put in its place."""
    (tmp_path / "outside").mkdir()
    with outside(tmp_path / "outside", MEMBERS) as pair:
        practice = installed(tmp_path / "data", pair, MEMBERS)
        practice.json("run-due")
        shutil.copy(practice.folder / DATABASE, tmp_path / "backup")
        later = practice.at(MONDAY + timedelta(days=7, hours=1))
        later.json("run-due")
        shutil.copy(tmp_path / "backup", practice.folder / DATABASE)
        yield pair, practice.at(MONDAY + timedelta(days=9))


def test_resuming_at_the_command_line_dies_again_and_again_and_still_adopts_everything_once(
    restored: tuple[Outside, Installation],
) -> None:
    pair, practice = restored
    before = pair.counts()
    refused = practice.run("run-due")
    assert (refused.code, "connector resume" in refused.err) == (1, True), refused

    for kills in count():
        done = practice.run("resume", FAILPOINT=f"commit.after:{2**kills}")
        if done.code != KILLED:
            break

    # Whoever dies right after the last step has nothing left to do.
    assert "The work goes on." in done.out or "nothing to resume" in done.err, done
    assert kills > 2
    practice.recover(pair)
    assert pair.counts() == before
    assert [row.state for row in practice.write_backs()] == [WriteBackState.CONFIRMED] * (2 * MEMBERS)
    assert settled(practice.verdict(pair))
    again = practice.run("resume")
    assert (again.code, "nothing to resume" in again.err) == (1, True), again
