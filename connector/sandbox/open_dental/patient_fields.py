"""Custom fields of patients (patfields) and their definitions; field names are compared exactly."""

from __future__ import annotations

import sqlite3

from connector.sandbox.open_dental import wire
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.paging import page
from connector.sandbox.open_dental.patients import existing
from connector.sandbox.open_dental.wire import ApiError, Call, Reply


def listing(office: Office, call: Call) -> Reply:
    """GET /patfields."""
    patient, name = wire.integer(call.query, "PatNum"), wire.text(call.query, "FieldName")
    if not office.has("22.4.5") and (patient is None or name is None):
        raise ApiError(400, "PatNum and FieldName are required.")
    if patient is not None:
        existing(office, patient)
    rows = office.db.execute(
        "SELECT * FROM patfield WHERE (?1 IS NULL OR PatNum = ?1) AND (?2 IS NULL OR FieldName = ?2)"
        " AND SecDateTEdit >= ?3 ORDER BY PatFieldNum LIMIT ?4 OFFSET ?5",
        (patient, name, wire.moment(call.query, "SecDateTEdit") or "", *page(office, call.query)),
    )
    return Reply([_shown(row) for row in rows])


def create(office: Office, call: Call) -> Reply:
    """POST /patfields."""
    patient, name, value = _checked(office, call)
    if _find(office, patient, name):
        raise ApiError(400, "PatField already exists for this patient.")
    number = _insert(office, patient, name, value)
    return Reply(_one(office, number), 201, f"patfields/{number}")


def put(office: Office, call: Call) -> Reply:
    """PUT /patfields: addressed by patient and name; makes the field when the patient has none."""
    patient, name, value = _checked(office, call)
    row = _find(office, patient, name)
    if row is None:
        return Reply(_one(office, _insert(office, patient, name, value)))
    office.db.execute(
        "UPDATE patfield SET FieldValue = ?, SecDateTEdit = ? WHERE PatFieldNum = ?",
        (value, office.stamp, row["PatFieldNum"]),
    )
    return Reply(_one(office, row["PatFieldNum"]))


def delete(office: Office, call: Call) -> Reply:
    """DELETE /patfields: addressed by patient and name in the body."""
    patient, name = wire.required(wire.integer, call.body, "PatNum"), wire.required(wire.text, call.body, "FieldName")
    row = _find(office, patient, name)
    if row is None:
        raise ApiError(404, "PatField not found.")
    office.db.execute("DELETE FROM patfield WHERE PatFieldNum = ?", (row["PatFieldNum"],))
    return Reply("")


def definitions(office: Office, call: Call) -> Reply:
    """GET /patfielddefs."""
    query = "SELECT FieldName FROM patfielddef ORDER BY FieldName LIMIT ? OFFSET ?"
    return Reply([{"FieldName": row[0]} for row in office.db.execute(query, page(office, call.query))])


def define(office: Office, call: Call) -> Reply:
    """POST /patfielddefs."""
    name = wire.required(wire.text, call.body, "FieldName")
    try:
        office.db.execute("INSERT INTO patfielddef VALUES (?)", (name,))
    except sqlite3.IntegrityError:
        raise ApiError(400, "FieldName already exists.") from None
    return Reply({"FieldName": name}, 201, "patfielddefs")


def _checked(office: Office, call: Call) -> tuple[int, str, str]:
    patient = wire.required(wire.integer, call.body, "PatNum")
    name, value = wire.required(wire.text, call.body, "FieldName"), wire.required(wire.text, call.body, "FieldValue")
    existing(office, patient)
    if not office.db.execute("SELECT 1 FROM patfielddef WHERE FieldName = ?", (name,)).fetchone():
        raise ApiError(400, "FieldName is invalid.")
    return patient, name, value


def _find(office: Office, patient: int, name: str) -> sqlite3.Row | None:
    query = "SELECT * FROM patfield WHERE PatNum = ? AND FieldName = ?"
    row: sqlite3.Row | None = office.db.execute(query, (patient, name)).fetchone()
    return row


def _insert(office: Office, patient: int, name: str, value: str) -> int:
    statement = "INSERT INTO patfield (PatNum, FieldName, FieldValue, SecDateTEdit) VALUES (?, ?, ?, ?)"
    return office.db.execute(statement, (patient, name, value, office.stamp)).lastrowid or 0


def _one(office: Office, number: int) -> dict[str, object]:
    return _shown(office.db.execute("SELECT * FROM patfield WHERE PatFieldNum = ?", (number,)).fetchone())


def _shown(row: sqlite3.Row) -> dict[str, object]:
    return {**dict(row), "FieldValue": wire.shown(row["FieldValue"])}
