"""Fixtures for tests of the whole main job."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest
import stripe
from hypothesis import settings
from tenacity import wait_none

from connector import ids
from connector.billing.stripe.client import MeteredClient
from tests.support.practice import Practice
from tests.support.practice_setup import migrated_template, running_practice

# The same examples on each run, however slow the machine is; a new one is found by a new test, not by luck.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")
# For whoever looks for what nobody has seen yet: `pytest FILE --hypothesis-profile search`, for as long as one likes.
settings.register_profile("search", derandomize=False, max_examples=100_000, database=None, print_blob=True)

_MEMORY = Path("/dev/shm")
"""Temporary files live here where there is such a place: a hundred thousand commits need not wait for a disk."""
if os.access(_MEMORY, os.W_OK):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: tests wait for processes that start, and for timers."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated empty database file."""
    return migrated_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def hasty_stripe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stripe's library, and we, wait between attempts; how long is of no interest here."""
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.0)
    monkeypatch.setattr(stripe.HTTPClient, "MAX_DELAY", 0.0)
    monkeypatch.setattr(MeteredClient, "pause", wait_none())


@pytest.fixture
def practice(request: pytest.FixtureRequest, tmp_path: Path, template: Path, hasty_stripe: None) -> Iterator[Practice]:
    """A practice of its own for one test, whose ids are the same on each run."""
    with ids.seeded(crc32(request.node.nodeid.encode())), running_practice(tmp_path, template) as running:
        yield running
