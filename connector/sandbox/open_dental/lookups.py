"""The small lists: definitions, preferences, providers, clinics, and the permissions of the calling key pair."""

from __future__ import annotations

import sqlite3

from connector.sandbox.open_dental import wire
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.options import PERMISSIONS
from connector.sandbox.open_dental.paging import page
from connector.sandbox.open_dental.schema import CATEGORY_NAMES
from connector.sandbox.open_dental.wire import ApiError, Call, Reply


def permissions(office: Office, call: Call) -> Reply:  # noqa: ARG001 - the signature of every endpoint
    """GET /securityperms: every permission group, and whether the key pair holds it."""
    held = office.options.permissions
    return Reply([{"Permission": name, "HasPermission": wire.truth(name in held)} for name in PERMISSIONS])


def definitions(office: Office, call: Call) -> Reply:
    """GET /definitions: of one category by its number, or all."""
    rows = office.db.execute(
        "SELECT * FROM definition WHERE (?1 IS NULL OR Category = ?1) AND (?2 OR isHidden = 0)"
        " ORDER BY Category, DefNum LIMIT ?3 OFFSET ?4",
        (
            wire.integer(call.query, "Category"),
            wire.flag(call.query, "includeHidden"),
            *page(office, call.query),
        ),
    )
    return Reply([_definition(row) for row in rows])


def define(office: Office, call: Call) -> Reply:
    """POST /definitions: a new item of a category that is given by name."""
    name, category = wire.required(wire.text, call.body, "ItemName"), wire.required(wire.text, call.body, "category")
    numbers = {category_name: number for number, category_name in CATEGORY_NAMES.items()}
    if category not in numbers:
        raise ApiError(400, "category is invalid.")
    value = wire.text(call.body, "ItemValue") or ""
    statement = "INSERT INTO definition (Category, ItemName, ItemValue) VALUES (?, ?, ?)"
    number = office.db.execute(statement, (numbers[category], name, value)).lastrowid
    row = office.db.execute("SELECT * FROM definition WHERE DefNum = ?", (number,)).fetchone()
    return Reply(_definition(row), 201, f"definitions/{number}")


def preferences(office: Office, call: Call) -> Reply:
    """GET /preferences: one by its name, or all."""
    rows = office.db.execute(
        "SELECT * FROM preference WHERE (?1 IS NULL OR PrefName = ?1) ORDER BY PrefNum LIMIT ?2 OFFSET ?3",
        (wire.text(call.query, "PrefName"), *page(office, call.query)),
    )
    return Reply([dict(row) for row in rows])


def providers(office: Office, call: Call) -> Reply:
    """GET /providers."""
    rows = office.db.execute("SELECT * FROM provider ORDER BY ProvNum LIMIT ? OFFSET ?", page(office, call.query))
    return Reply([_provider(row) for row in rows])


def provider(office: Office, call: Call) -> Reply:
    """GET /providers/{ProvNum}."""
    row = office.db.execute("SELECT * FROM provider WHERE ProvNum = ?", (call.key,)).fetchone()
    if row is None:
        raise ApiError(404, "Provider not found.")
    return Reply(_provider(row))


def clinics(office: Office, call: Call) -> Reply:
    """GET /clinics: an empty list where the clinics feature is off."""
    rows = office.db.execute("SELECT * FROM clinic ORDER BY ClinicNum LIMIT ? OFFSET ?", page(office, call.query))
    return Reply([{**dict(row), "isHidden": "false"} for row in rows])


def _definition(row: sqlite3.Row) -> dict[str, object]:
    category = CATEGORY_NAMES[row["Category"]]
    return {**dict(row), "category": category, "isHidden": wire.truth(row["isHidden"])}


def _provider(row: sqlite3.Row) -> dict[str, object]:
    return {**dict(row), "isHidden": "false"}
