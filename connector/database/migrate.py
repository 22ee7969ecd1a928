"""Brings a database to the newest version of the schema, and tells whether it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from connector.database.engine import Database
from connector.errors import DomainError

if TYPE_CHECKING:
    from alembic.config import Config


SCHEMA_VERSION = "0001"
"""The newest migration; a test compares it with the scripts."""


def migrate(database: Database) -> None:
    """Run all migrations that are missing, each in a transaction of its own."""
    from alembic import command

    config = _config()
    with database.writer.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


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
