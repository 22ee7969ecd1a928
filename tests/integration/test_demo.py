"""The demo as a process: the whole main job on embedded defaults, judged from the two sandboxes' own stores."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connector.sandbox.demo.show import MARKER
from tests.support.processes import PATIENCE_SECONDS, until

KEYS = {
    "members",
    "linked",
    "in_review",
    "charges_succeeded",
    "charged_cents",
    "write_backs_confirmed",
    "written_cents",
    "waiting",
    "duplicates_in_pms",
    "lost",
    "unexplained_cents",
    "wall_seconds",
}
ZEROS = ("unexplained_cents", "duplicates_in_pms", "lost")
LONG_SECONDS = 1_800
"""A bound for the long run; passing it is a failure, whatever the machine's speed."""


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "connector", "demo", *options]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("CONNECTOR_")}


def sandboxes_of(folder: Path) -> list[int]:
    """Process numbers of the sandboxes whose state is in that folder."""
    found = []
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = status.read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if " sandbox " in line and f"{folder}/" in line:
            found.append(int(status.parent.name))
    return found


@contextmanager
def playing(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A long demo in a process group of its own, as a terminal would start it."""
    process = subprocess.Popen(
        command("--members", "200", "--folder", str(folder)),
        env=environment(),
        cwd=folder.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def played(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A whole demo in that folder."""
    return subprocess.run(
        command("--folder", str(folder), *options),
        env=environment(),
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
        check=False,
    )


def test_the_demo_ends_with_one_json_object_and_leaves_nothing_running(tmp_path: Path) -> None:
    """A small practice: the documented keys and the three zeros; what an earlier demo left is replaced."""
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / MARKER).touch()
    (folder / "sandbox-stripe.sqlite3").write_text("left by an earlier demo", encoding="utf-8")

    first = played(folder, "--exit", "--json", "--members", "25")
    result = json.loads(first.stdout)

    assert first.returncode == 0, first.stderr
    assert set(result) == KEYS
    assert result["members"] == 25
    assert result["charges_succeeded"] > 25
    assert {name: result[name] for name in ZEROS} == dict.fromkeys(ZEROS, 0)
    assert sandboxes_of(folder) == []


def test_what_the_demo_leaves_can_be_looked_at_as_it_says(tmp_path: Path) -> None:
    """The commands under 'Where to look next' work on the folder that was left behind."""
    folder = tmp_path / "demo"
    done = played(folder, "--members", "10")
    assert sandboxes_of(folder) == []

    shown = [line.split() for line in done.stdout.splitlines() if line.startswith("  CONNECTOR_DATA_DIR=")]
    results = [
        subprocess.run(
            [sys.executable, "-m", "connector", *words[2:]],
            env={**environment(), "CONNECTOR_DATA_DIR": words[0].partition("=")[2]},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        for words in shown
    ]

    assert "Doubled in the practice system: 0. Lost: 0. Unexplained: 0.00." in done.stdout
    assert len(results) == 3
    assert [(result.returncode, result.stderr) for result in results] == [(0, "")] * 3
    assert "The book adds up." in results[-1].stdout


def test_the_demo_does_not_touch_a_folder_that_it_did_not_make(tmp_path: Path) -> None:
    """Somebody's files stay where they are."""
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work", encoding="utf-8")

    done = played(folder, "--members", "10")

    assert done.returncode == 1
    assert done.stderr == (
        f"Error: The folder {folder} is not empty and was not made by a demo: choose another with --folder.\n"
    )
    assert [(file.name, file.read_text(encoding="utf-8")) for file in folder.iterdir()] == [
        ("thesis.txt", "years of work")
    ]


@pytest.mark.parametrize("how", ["a key of the terminal", "a supervisor"])
def test_a_demo_that_is_stopped_says_one_sentence_and_leaves_nothing_running(tmp_path: Path, how: str) -> None:
    """Ctrl-C reaches the sandboxes as well, a supervisor's SIGTERM only the demo itself."""
    folder = tmp_path / "demo"

    with playing(folder) as demo:
        assert demo.stdout is not None
        while "Week" not in (line := demo.stdout.readline()):
            assert line, "The demo has ended before it could be stopped."
        started = sandboxes_of(folder)
        if how == "a supervisor":
            demo.terminate()
        else:
            os.killpg(demo.pid, signal.SIGINT)
        _, errors = demo.communicate(timeout=PATIENCE_SECONDS)

    assert demo.returncode == 1
    assert errors.strip() == "Error: Stopped. Nothing was left half done; the same command can be run again."
    assert len(started) == 2
    until(lambda: sandboxes_of(folder) == [], "both sandboxes are gone")


def test_three_months_of_a_practice_end_with_every_cent_explained(tmp_path: Path) -> None:
    """The whole main job with the troubles of a real practice; `make demo` plays it with a thousand members."""
    folder = tmp_path / "demo"

    done = played(folder, "--exit", "--json", "--members", "300")

    result = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert result["members"] == 300
    assert result["linked"] + result["in_review"] >= 270
    assert result["charges_succeeded"] > 1_200
    assert result["write_backs_confirmed"] > 900
    assert result["write_backs_confirmed"] + result["waiting"] >= result["charges_succeeded"]
    assert {name: result[name] for name in ZEROS} == dict.fromkeys(ZEROS, 0)
    assert sandboxes_of(folder) == []
