"""Adjustments and completed procedures: what changes a balance besides payments."""

from __future__ import annotations

import sqlite3

from connector.sandbox.open_dental import wire
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.paging import page
from connector.sandbox.open_dental.patients import existing
from connector.sandbox.open_dental.schema import ADJUSTMENT_TYPES
from connector.sandbox.open_dental.wire import ApiError, Call, Reply

_STATUSES = ("TP", "C", "EC", "EO", "R", "Cn")
_SELECT = """
SELECT adjustment.*, definition.ItemName AS typeName
FROM adjustment JOIN definition ON definition.DefNum = adjustment.AdjType
"""


def listing(office: Office, call: Call) -> Reply:
    """GET /adjustments of one patient, in the order of AdjDate."""
    patient = wire.required(wire.integer, call.query, "PatNum")
    existing(office, patient)
    kind = wire.integer(call.query, "AdjType") if office.has("22.2.33") else None
    procedure = wire.integer(call.query, "ProcNum") if office.has("22.4.28") else None
    rows = office.db.execute(
        f"{_SELECT} WHERE PatNum = ?1 AND (?2 IS NULL OR AdjType = ?2) AND (?3 IS NULL OR ProcNum = ?3)"
        " ORDER BY AdjDate, AdjNum LIMIT ?4 OFFSET ?5",
        (patient, kind, procedure, *page(office, call.query)),
    )
    return Reply([_adjustment(row) for row in rows])


def create(office: Office, call: Call) -> Reply:
    """POST /adjustments: not idempotent either."""
    body = call.body
    patient = existing(office, wire.required(wire.integer, body, "PatNum"))
    columns = {
        "AdjType": wire.required(wire.integer, body, "AdjType"),
        "AdjAmt": wire.required(wire.amount, body, "AdjAmt"),
        "AdjDate": wire.required(wire.day, body, "AdjDate"),
        "PatNum": patient["PatNum"],
        "ProvNum": patient["PriProv"],
        "ClinicNum": patient["ClinicNum"],
        "ProcNum": 0,
        "ProcDate": wire.day(body, "ProcDate") or wire.NULL_DATE,
        "AdjNote": "",
        "DateEntry": office.today,
        "SecDateTEdit": office.stamp,
        **_optional(office, call, patient["PatNum"]),
    }
    _check(office, columns["AdjType"], columns["AdjAmt"], columns["AdjDate"])
    number = office.insert("adjustment", columns)
    return Reply(_adjustment(_find(office, number)), 201, f"adjustments/{number}")


def update(office: Office, call: Call) -> Reply:
    """PUT /adjustments/{AdjNum}: fields that are left out stay as they are."""
    row = _find(office, call.key)
    kind, cents = wire.integer(call.body, "AdjType"), wire.amount(call.body, "AdjAmt")
    columns = {
        "AdjType": row["AdjType"] if kind is None else kind,
        "AdjAmt": row["AdjAmt"] if cents is None else cents,
        "AdjDate": wire.day(call.body, "AdjDate") or row["AdjDate"],
        "SecDateTEdit": office.stamp,
        **_optional(office, call, row["PatNum"]),
    }
    _check(office, columns["AdjType"], columns["AdjAmt"], columns["AdjDate"])
    office.update("adjustment", "AdjNum", call.key, columns)
    return Reply(_adjustment(_find(office, call.key)))


def list_procedures(office: Office, call: Call) -> Reply:
    """GET /procedurelogs, of one patient or of all."""
    patient = wire.integer(call.query, "PatNum")
    rows = office.db.execute(
        "SELECT * FROM procedurelog WHERE (?1 IS NULL OR PatNum = ?1) ORDER BY ProcNum LIMIT ?2 OFFSET ?3",
        (patient, *page(office, call.query)),
    )
    return Reply([_procedure(row) for row in rows])


def create_procedure(office: Office, call: Call) -> Reply:
    """POST /procedurelogs: a completed one (status C) is a charge."""
    body = call.body
    patient = existing(office, wire.required(wire.integer, body, "PatNum"))
    status = wire.required(wire.text, body, "ProcStatus")
    if status not in _STATUSES:
        raise ApiError(400, "ProcStatus is invalid.")
    columns = {
        "PatNum": patient["PatNum"],
        "ProcDate": wire.required(wire.day, body, "ProcDate"),
        "ProcFee": wire.amount(body, "ProcFee") or 0,
        "ProcStatus": status,
        "procCode": wire.required(wire.text, body, "procCode"),
        "ProvNum": wire.integer(body, "ProvNum") or patient["PriProv"],
        "ClinicNum": patient["ClinicNum"],
        "DateEntryC": office.today,
        "DateTStamp": office.stamp,
    }
    number = office.insert("procedurelog", columns)
    row = office.db.execute("SELECT * FROM procedurelog WHERE ProcNum = ?", (number,)).fetchone()
    return Reply(_procedure(row), 201, f"procedurelogs/{number}")


def _optional(office: Office, call: Call, patient: int) -> dict[str, object]:
    """The fields that may be left out, as far as they were sent."""
    found: dict[str, object] = {}
    if (note := wire.text(call.body, "AdjNote")) is not None:
        found["AdjNote"] = note
    for name, table in (("ProvNum", "provider"), ("ClinicNum", "clinic"), ("ProcNum", "procedurelog")):
        if (number := wire.integer(call.body, name)) is not None:
            if number and not office.knows(table, name, number):
                raise ApiError(400, f"{name} is invalid.")
            found[name] = number
    query = "SELECT 1 FROM procedurelog WHERE ProcNum = ? AND PatNum <> ?"
    if office.db.execute(query, (found.get("ProcNum", 0), patient)).fetchone():
        raise ApiError(400, "ProcNum is of another patient.")
    return found


def _check(office: Office, kind: object, cents: object, day: object) -> None:
    """The sign of an adjustment belongs to its type, and its date is never in the future."""
    query = "SELECT ItemValue FROM definition WHERE DefNum = ? AND Category = ? AND ItemValue IN ('+', '-')"
    row = office.db.execute(query, (kind, ADJUSTMENT_TYPES)).fetchone()
    if row is None:
        raise ApiError(400, "AdjType is invalid.")
    if row[0] == "-" and int(str(cents)) > 0:
        raise ApiError(400, "AdjAmt must be negative for this AdjType.")
    if row[0] == "+" and int(str(cents)) < 0:
        raise ApiError(400, "AdjAmt must be positive for this AdjType.")
    if str(day) > office.today:
        raise ApiError(400, "AdjDate cannot be in the future.")


def _find(office: Office, number: int) -> sqlite3.Row:
    row: sqlite3.Row | None = office.db.execute(f"{_SELECT} WHERE AdjNum = ?", (number,)).fetchone()
    if row is None:
        raise ApiError(404, "Adjustment not found.")
    return row


def _adjustment(row: sqlite3.Row) -> dict[str, object]:
    columns = {name: row[name] for name in row.keys() if name != "typeName"}  # noqa: SIM118 - sqlite3.Row
    return {
        **columns,
        "AdjAmt": wire.number(row["AdjAmt"]),
        "AdjNote": wire.shown(row["AdjNote"]),
        "adjType": row["typeName"],
        "SecUserNumEntry": 0,
    }


def _procedure(row: sqlite3.Row) -> dict[str, object]:
    return {**dict(row), "ProcFee": wire.money_text(row["ProcFee"])}
