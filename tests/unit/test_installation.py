"""An installation belongs to the machine that it was set up on, where machines have numbers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from connector.database import installation as module
from connector.database.installation import ALONE, NAME_FILE, installation

GoTo = Callable[[str], None]


@pytest.fixture
def on_machine(monkeypatch: pytest.MonkeyPatch) -> GoTo:
    """Says on which machine the test goes on."""

    def go(number: str) -> None:
        monkeypatch.setattr(module, "machine_number", lambda: number)

    go("one")
    return go


def test_a_folder_stays_at_home_on_its_machine(tmp_path: Path, on_machine: GoTo) -> None:
    first = installation(tmp_path)
    assert (installation(tmp_path).id, first.is_elsewhere) == (first.id, False)


def test_a_folder_that_was_copied_to_another_machine_knows_it(tmp_path: Path, on_machine: GoTo) -> None:
    first = installation(tmp_path / "data")
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    on_machine("two")
    copy = installation(tmp_path / "copy")

    assert (copy.id, copy.is_elsewhere) == (first.id, True)
    copy.settle_here()
    assert installation(tmp_path / "copy").is_elsewhere is False
    on_machine("one")
    assert installation(tmp_path / "data").is_elsewhere is False


@pytest.mark.parametrize(("before", "after"), [("", "two"), ("one", "")])
def test_without_a_number_nobody_can_tell(tmp_path: Path, on_machine: GoTo, before: str, after: str) -> None:
    on_machine(before)
    installation(tmp_path)
    on_machine(after)
    assert installation(tmp_path).is_elsewhere is False


def test_a_folder_of_a_former_version_is_bound_where_it_is(tmp_path: Path, on_machine: GoTo) -> None:
    (tmp_path / NAME_FILE).write_text("inst_FORMER", encoding="utf-8")
    assert (installation(tmp_path).id, installation(tmp_path).is_elsewhere) == ("inst_FORMER", False)
    assert "one" not in (tmp_path / NAME_FILE).read_text(encoding="utf-8").split()
    assert len((tmp_path / NAME_FILE).read_text(encoding="utf-8").splitlines()) == 2


def test_who_has_no_folder_is_everywhere_at_home() -> None:
    ALONE.settle_here()
    assert ALONE.is_elsewhere is False
