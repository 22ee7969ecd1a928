"""Failpoints: where a test can kill the process, and that nothing else can."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import count

import pytest

from connector import failpoints

KILLED = (-9, 137)
"""Exit codes of a process that ended without clean-up, by signal or by code."""


class Died(Exception):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def survivable(monkeypatch: pytest.MonkeyPatch) -> None:
    def die() -> None:
        raise Died

    monkeypatch.setattr(failpoints, "_die", die)
    monkeypatch.setattr(failpoints, "_passes", count(1))


def deaths(passes: list[str]) -> list[int]:
    """Positions at which the process would have died."""
    fatal = []
    for position, name in enumerate(passes):
        try:
            failpoints.failpoint(name)
        except Died:
            fatal.append(position)
    return fatal


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        ("commit.before", [0]),
        ("commit.before:2", [3]),
        ("commit.before:3", []),
        ("commit.*", [0]),
        ("commit.*:2", [1]),
        ("write.after", [2]),
        ("commit", []),
        ("Commit.Before", []),
    ],
)
def test_a_process_dies_at_the_named_pass_and_only_there(
    value: str, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name must be whole or end in a star; other names are not counted."""
    monkeypatch.setenv(failpoints.VARIABLE, value)

    assert deaths(["commit.before", "commit.after", "write.after", "commit.before"]) == expected


def test_without_the_variable_nothing_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in every practice."""
    monkeypatch.delenv(failpoints.VARIABLE, raising=False)

    assert deaths(["commit.before", "commit.after"]) == []


def test_the_process_really_ends_without_clean_up() -> None:
    """Neither `finally` nor exit handlers run, as in a power cut."""
    program = (
        "import atexit\n"
        "from connector.failpoints import failpoint\n"
        "atexit.register(print, 'cleaned up')\n"
        "try:\n    failpoint('write.after')\nfinally:\n    print('finally')\n"
    )
    environment = {**os.environ, failpoints.VARIABLE: "write.after"}

    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)

    assert ended.returncode in KILLED
    assert ended.stdout == b""
