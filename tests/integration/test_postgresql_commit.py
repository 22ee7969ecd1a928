"""A PostgreSQL server that goes away while it commits: nobody knows whether it did, and nothing depends on knowing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event, text

from connector.database.engine import Database, DatabaseUnavailable
from tests.support.postgres import PostgresServer
from tests.support.practice import Practice
from tests.support.practice_setup import running_practice


@pytest.fixture
def practice(postgres: PostgresServer, tmp_path: Path, hasty_stripe: None) -> Iterator[Practice]:
    """A practice of its own, with its book on the server."""
    with running_practice(tmp_path, database_url=postgres.new_database()) as running:
        yield running


@pytest.mark.parametrize("kept", [False, True], ids=["before", "after"])
def test_a_server_that_goes_away_while_it_commits_loses_and_doubles_nothing(practice: Practice, kept: bool) -> None:
    """The n-th commit of charging and writing loses its connection, for n = 1, 2, 3 ... until a round gets through."""
    for number in count(1):
        assert number < 60
        practice.enrol()
        with losing(practice.context.database, number, kept=kept) as lost:
            try:
                problems = practice.charge()
                practice.write()
            except DatabaseUnavailable:
                """Told to whoever started it; the next round begins again."""
        for _ in range(3):
            practice.advance(minutes=6)
            practice.work()
        practice.settle()
        assert len(practice.stripe_charges()) == number
        practice.assert_all_written()
        if not lost:
            break
    assert problems == []
    assert number > 10


@contextmanager
def losing(database: Database, number: int, *, kept: bool) -> Iterator[list[int]]:
    """The server ends the connection of that commit: just before it, or when it is `kept` and nobody was told so."""
    passed, lost = count(1), list[int]()
    elsewhere = create_engine(database.url.set(drivername="postgresql+psycopg"))

    def lose(connection: Connection) -> None:
        if next(passed) != number:
            return
        raw: Any = connection.connection.dbapi_connection
        pid = raw.info.backend_pid
        if kept:
            raw.commit()
        with elsewhere.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        lost.append(pid)

    event.listen(database.writer, "commit", lose)
    try:
        yield lost
    finally:
        event.remove(database.writer, "commit", lose)
        elsewhere.dispose()
