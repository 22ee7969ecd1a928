"""Triggers that refuse to change or remove rows of what has happened, on both kinds of database."""

from __future__ import annotations

from collections.abc import Iterable

from alembic import op


def guard(tables: Iterable[str]) -> None:
    """Make these tables append-only. The function that PostgreSQL's triggers call is there since the first schema."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in tables:
        for statement in _sqlite(table) if is_sqlite else _postgresql(table):
            op.execute(statement)


def _sqlite(table: str) -> list[str]:
    return [
        f"CREATE TRIGGER tr_{table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    ]


def _postgresql(table: str) -> list[str]:
    change = f"CREATE TRIGGER tr_{table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW"
    truncate = f"CREATE TRIGGER tr_{table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT"
    return [f"{trigger} EXECUTE FUNCTION refuse_change()" for trigger in (change, truncate)]
