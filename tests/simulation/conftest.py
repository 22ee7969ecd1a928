"""A practice on its first morning, for stories about its billing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.billing_story import opened_practice


@pytest.fixture(scope="session")
def first_morning(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a practice that has plans and no members; each story has a copy of its own."""
    return opened_practice(template, tmp_path_factory.mktemp("first-morning"))
