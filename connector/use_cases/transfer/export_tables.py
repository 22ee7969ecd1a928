"""Export the tables of the database as they are, row by row, without what is secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, select
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.intake.cells import guarded
from connector.errors import DomainError
from connector.pms_adapters.registry import adapter
from connector.use_cases.tables import METADATA

ROWS = 1_000
"""Fetched at once: memory does not grow with the database."""
SECRET_COLUMNS = {("secure_link", "token_hash")}


def tables() -> Sequence[Table]:
    """All tables, each after those that it points to."""
    return METADATA.sorted_tables


def columns_of(table: Table) -> list[str]:
    """The columns that are exported."""
    return [column.name for column in table.columns if (table.name, column.name) not in SECRET_COLUMNS]


def rows_of(
    session: Session, table: Table, location: Location | None, hide: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> Iterator[list[str]]:
    """The rows as cells, of one location or all. `hide` takes what is secret off the connection settings.

    A table that belongs to no location, e.g. payouts, has no rows for one.
    """
    where = scope(table, location) if location else None
    if location and where is None:
        return
    query = select(*(table.columns[name] for name in columns_of(table))).order_by(*table.primary_key.columns)
    if where is not None:
        query = query.where(where)
    for row in session.execute(query.execution_options(yield_per=ROWS)).mappings():
        values = dict(row)
        if table is Location.__table__:
            values["pms_settings"] = hide(values)
        yield [cell(value) for value in values.values()]


def scope(table: Table, location: Location, before: frozenset[str] = frozenset()) -> ColumnElement[bool] | None:
    """Which rows belong to the location: by a column of their own, or else by a row that they point to."""
    if table.name in ("location", "clinic"):
        return table.columns["id"] == (location.id if table.name == "location" else location.clinic_id)
    if "location_id" in table.columns:
        return table.columns["location_id"] == location.id
    if table.name == "staff_user":
        at = METADATA.tables["staff_location"].columns
        return table.columns["id"].in_(select(at["staff_user_id"]).where(at["location_id"] == location.id))
    for key in sorted(table.foreign_keys, key=lambda key: key.parent.name):
        other = key.column.table
        if other.name not in before | {table.name, "clinic", "staff_user"}:
            where = scope(other, location, before | {table.name})
            if where is not None:
                return key.parent.in_(select(key.column).where(where))
    return None


def public_settings(row: Mapping[str, Any]) -> dict[str, Any]:
    """The connection settings of a location that its adapter's manifest does not call secret."""
    try:
        fields = adapter(str(row["pms_adapter"])).manifest.settings
    except DomainError:
        # An adapter that is not installed cannot say what is secret.
        return {}
    public = {field.name for field in fields if not field.secret}
    return {name: value for name, value in row["pms_settings"].items() if name in public}


def cell(value: object) -> str:
    """A value as a cell: instants and dates in ISO 8601, truth as true and false, what has parts as JSON.

    A text that a spreadsheet would run as a formula gets an apostrophe; see `guarded`.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return guarded(value) if isinstance(value, str) else str(value)
