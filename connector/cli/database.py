"""`connector migrate`: bring the database to this program's version."""

from __future__ import annotations

import click

from connector.cli.output import json_option, print_json
from connector.database.engine import Database, sqlite_version
from connector.database.migrate import SCHEMA_VERSION
from connector.database.migrate import migrate as run_migrations
from connector.settings import load_settings


@click.command()
@json_option
def migrate(as_json: bool) -> None:
    """Create the database, or bring it to this program's version."""
    database = Database(load_settings().database_url)
    try:
        run_migrations(database)
    finally:
        database.close()
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, "sqlite": sqlite_version()})
    else:
        click.echo(f"The database is at version {SCHEMA_VERSION}.")
