"""What a newcomer meets first: forgotten settings, wrong folders, taken ports; each ends in one sentence."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from connector.database.engine import Database
from connector.errors import DomainError
from connector.sandbox.demo.show import MARKER, _empty
from connector.use_cases.context import Context, PmsConnections
from connector.use_cases.practice.set_up_location import add_location
from tests.support.commands import command
from tests.support.practice import Practice


def run(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A `connector` command in a folder, with no settings but these."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CONNECTOR_")}
    command = [sys.executable, "-m", "connector", *words]
    return subprocess.run(
        command, cwd=folder, env={**plain, **variables}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("words", [("run-due",), ("serve",)], ids=" ".join)
def test_without_a_stripe_key_nothing_begins(tmp_path: Path, words: tuple[str, ...]) -> None:
    """The setting is named, and no invoice is issued meanwhile."""
    ended = run(tmp_path, *words)

    assert (ended.returncode, ended.stderr) == (1, "Error: No Stripe key is set: set CONNECTOR_STRIPE__SECRET_KEY.\n")
    assert list(tmp_path.iterdir()) == []


def test_a_command_in_the_wrong_folder_makes_no_second_installation(tmp_path: Path) -> None:
    """Only adding a location, migrating, serving and the demo begin one."""
    ended = run(tmp_path, "members", "list", "--location", "bondi")

    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: There is no database ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("locations", "list"), ("ledger", "verify"), ("run-due", "--dry-run")])
def test_an_empty_file_in_the_place_of_the_database_is_refused(practice: Practice, words: tuple[str, ...]) -> None:
    """Whatever has emptied it, an installation without any member is not what was there."""
    assert practice.context.database.path is not None
    file = practice.context.database.path.with_name("lost.sqlite3")
    file.touch()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Practice, "environment", lambda _self: {"CONNECTOR_DATABASE__URL": f"sqlite:///{file.as_posix()}"}
        )
        done = command(practice, *words)

    assert (done.code, done.out) == (1, "")
    assert f"The database {file} is empty: restore a backup in its place, or begin with" in done.err
    assert file.stat().st_size == 0


@pytest.mark.parametrize("typed", ["{folder}\n", "", "\n"])
def test_a_setting_is_read_from_a_pipe_without_any_warning(tmp_path: Path, typed: str) -> None:
    """A script gives a key without showing it; one that gives nothing is told so, by the name of the setting."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CONNECTOR_")}
    place = ("--timezone", "Australia/Sydney", "--currency", "aud", "--pms", "file_drop", "--pms-setting", "folder=-")
    command_line = [sys.executable, "-m", "connector", "locations", "add", "bondi", "--name", "Bondi", *place]

    ended = subprocess.run(
        command_line,
        cwd=tmp_path,
        env=plain,
        input=typed.format(folder=tmp_path / "drop"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    if typed.strip():
        assert (ended.returncode, ended.stderr) == (0, "")
        return
    assert ended.returncode == 2
    assert "Nothing was given for 'folder': type it, or pipe it in." in " ".join(ended.stderr.split())
    assert "Warning" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_sandbox_whose_port_is_taken_says_so(tmp_path: Path) -> None:
    """With the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run(tmp_path, "sandbox", "stripe", "--port", str(taken.getsockname()[1]))

    assert ended.returncode == 1
    assert "is taken: choose another with --port" in ended.stderr


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "data").write_text("not a folder", encoding="utf-8")

    ended = run(tmp_path, "migrate")

    assert ended.returncode == 1
    assert "data cannot be used" in ended.stderr
    assert "CONNECTOR_DATA_DIR" in ended.stderr


def test_the_demo_never_removes_a_location_that_somebody_added_to_its_folder(
    practice: Practice, template: Path, tmp_path: Path
) -> None:
    """Whoever went on working in the demo's folder keeps the work."""
    folder = tmp_path / "demo-data"
    folder.mkdir()
    (folder / MARKER).touch()
    (folder / "connector.sqlite3").write_bytes(template.read_bytes())
    database = Database(f"sqlite:///{(folder / 'connector.sqlite3').as_posix()}")
    context = Context(database, practice.clock, practice.context.processor, PmsConnections(practice.clock))
    add_location(
        context,
        slug="bondi",
        name="Bondi",
        timezone="Australia/Sydney",
        currency="aud",
        pms="file_drop",
        pms_settings={"folder": str(tmp_path)},
    )
    database.close()

    with pytest.raises(DomainError, match="bondi"):
        _empty(folder)

    assert (folder / "connector.sqlite3").exists()
