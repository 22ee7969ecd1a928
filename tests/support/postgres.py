"""A real PostgreSQL server for tests, the one that simulations use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connector.simulation.postgres_server import PostgresServer, running_server

__all__ = ["PostgresServer", "postgres"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the whole test run; every test makes a database of its own."""
    with running_server() as server:
        yield server
