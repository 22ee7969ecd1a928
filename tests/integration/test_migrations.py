"""The schema: migrations arrive at what the models declare, on both databases, and guard what has happened."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, inspect, text
from sqlalchemy.exc import DBAPIError

from connector.database import migrate as module
from connector.database.engine import Database
from connector.database.migrate import SCHEMA_VERSION, migrate, prepare
from connector.errors import DomainError
from connector.use_cases.tables import METADATA
from tests.support.book import Book, opened_book
from tests.support.postgres import PostgresServer

APPEND_ONLY: tuple[str, ...] = import_module("connector.database.migrations.versions.0001_the_first_schema").APPEND_ONLY


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{(tmp_path / 'empty.db').as_posix()}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def book(url: str, tmp_path: Path) -> Iterator[Book]:
    with opened_book(url, tmp_path) as opened:
        yield opened


def test_migrations_arrive_at_the_models(database: Database) -> None:
    """Tables, columns, types, keys, indexes and constraints: nothing is missing, nothing is left over."""
    migrate(database)

    with database.writer.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_the_checks_of_the_models_are_in_the_database(database: Database) -> None:
    """The comparison above does not see check constraints."""
    migrate(database)

    inspector = inspect(database.writer)
    found = {check["name"] for table in METADATA.tables for check in inspector.get_check_constraints(table)}
    declared = {
        str(constraint.name)
        for table in METADATA.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert declared <= found
    assert "ck_write_back_amount_positive" in declared


def test_migrating_again_changes_nothing(database: Database) -> None:
    """`connector migrate` may be run at any time."""
    migrate(database)
    migrate(database)

    assert _version(database) == SCHEMA_VERSION


def test_an_empty_database_is_set_up_when_it_is_prepared(database: Database) -> None:
    """A first start needs no other command; a second one finds everything there."""
    prepare(database)
    prepare(database)

    assert set(METADATA.tables) <= set(inspect(database.writer).get_table_names())
    assert _version(database) == SCHEMA_VERSION


@pytest.mark.parametrize(
    ("found", "words"),
    [("9999", "made by a newer version of this program"), ("0000", "run `connector migrate`")],
)
def test_a_database_of_another_version_is_refused_with_the_next_step(
    found: str, words: str, database: Database
) -> None:
    """An older one is not migrated by the way, because a backup should come first."""
    migrate(database)
    with database.writer.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :found"), {"found": found})

    with pytest.raises(DomainError, match=words):
        prepare(database)

    assert _version(database) == found


def test_the_program_knows_the_newest_migration() -> None:
    """The number in the program is compared without loading Alembic, so it must be kept up to date."""
    scripts = ScriptDirectory.from_config(module._config())

    assert scripts.get_current_head() == SCHEMA_VERSION


@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_what_has_happened_cannot_be_changed_or_removed(table: str, verb: str, book: Book) -> None:
    """The database itself refuses, whatever program asks."""
    book.whole_story()
    column = next(iter(METADATA.tables[table].columns)).name
    statement = f"UPDATE {table} SET {column} = {column}" if verb == "UPDATE" else f"DELETE FROM {table}"

    with pytest.raises(DBAPIError, match=f"{table} is append-only"), book.context.database.writer.begin() as connection:
        connection.execute(text(statement))

    with book.context.database.read() as session:
        assert session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() > 0


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_postgresql_does_not_truncate_what_has_happened(table: str, postgres: PostgresServer, tmp_path: Path) -> None:
    """TRUNCATE removes rows without touching each; SQLite has no such statement."""
    database = Database(postgres.new_database())
    prepare(database)

    with pytest.raises(DBAPIError, match="is append-only"), database.writer.begin() as connection:
        connection.execute(text(f"TRUNCATE {table} CASCADE"))
    database.close()


def test_every_table_of_what_has_happened_is_guarded() -> None:
    """The list in the migration names these; a new table of facts belongs on it."""
    assert set(APPEND_ONLY) == {
        "journal_entry",
        "posting",
        "write_back_step",
        "payment",
        "returned_payment",
        "day_close",
    }


def _version(database: Database) -> str:
    with database.read() as session:
        return str(session.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
