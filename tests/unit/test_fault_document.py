"""The table of faults names a test for each, and each name is a test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"^\| ([BFI]\d+) \|(.*)\|$", (ROOT / "docs" / "faults.md").read_text(encoding="utf-8"), re.MULTILINE)
DEFINED = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
}


def test_every_fault_is_shown_by_tests_that_exist() -> None:
    """A row without a test is a wish, and a name that no test has is worse."""
    named = {fault: re.findall(r"`(test_\w+)`", text) for fault, text in ROWS}

    assert len(named) == len(ROWS)
    assert [fault for fault, tests in named.items() if not tests] == []
    assert {name for tests in named.values() for name in tests} - DEFINED == set()
