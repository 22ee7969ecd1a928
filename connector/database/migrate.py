"""Brings a database to the newest version of the schema, and tells whether it is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from connector.database.engine import Database
from connector.errors import DomainError, InvariantBroken

if TYPE_CHECKING:
    from alembic.config import Config


SCHEMA_VERSION = "0009"
"""The newest migration; a test compares it with the scripts."""


def migrate(database: Database) -> None:
    """Run all migrations that are missing, each in a transaction of its own."""
    from alembic import command

    config = _config()
    with database.writer.connect() as connection, _tables_made_anew(connection), connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _tables_made_anew(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by making it anew, during which the keys that point to it must not be watched.

    Afterwards all of them are checked at once. The switch does nothing inside a transaction, so it is set before.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
        if broken := cursor.execute("PRAGMA foreign_key_check").fetchone():
            raise InvariantBroken(f"After the migration a row of the table {broken[0]} points to nothing.")
    finally:
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()


def prepare(database: Database) -> None:
    """Create the schema in an empty database; otherwise insist on the version that this program knows.

    Raises DomainError with the next step. An older database is not migrated by the way: that is worth a backup first.

    Reads the version without Alembic, whose import would cost a daemon 40 MB. Revisions are numbered, so they compare.
    """
    with database.read() as session:
        found = inspect(session.connection()).has_table("alembic_version")
        current = session.execute(text("SELECT version_num FROM alembic_version")).scalar() if found else None
    if current is None:
        migrate(database)
        return
    if current > SCHEMA_VERSION:
        raise DomainError("The database was made by a newer version of this program: install that version again.")
    if current != SCHEMA_VERSION:
        raise DomainError("The database is not set up for this version: run `connector migrate`.")


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "connector.database:migrations")
    return config
