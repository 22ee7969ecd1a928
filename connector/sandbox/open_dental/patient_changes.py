"""Creating and changing patients through the API: what may be sent, the duplicate guard, and moves between families."""

from __future__ import annotations

import re
import sqlite3

from connector.sandbox.open_dental import wire
from connector.sandbox.open_dental.names import digits, fold
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.patients import existing, record
from connector.sandbox.open_dental.schema import BILLING_TYPES
from connector.sandbox.open_dental.wire import ApiError, Call, Reply, Source

_LENGTHS = {
    "LName": 100, "FName": 100, "MiddleI": 100, "Preferred": 100, "SSN": 100, "Address": 100, "Address2": 100,
    "City": 100, "State": 100, "Zip": 100, "Country": 255, "HmPhone": 30, "WkPhone": 30, "WirelessPhone": 30,
    "Email": 100, "ChartNumber": 100, "Language": 100,
}  # fmt: skip
_CHOICES = {
    "PatStatus": ("Patient", "NonPatient", "Inactive", "Archived", "Deceased", "Prospective"),
    "Gender": ("Male", "Female", "Unknown", "Other"),
    "Position": ("Single", "Married", "Child", "Widowed", "Divorced"),
    "TxtMsgOk": ("Unknown", "Yes", "No"),
}
_PHONES = ("HmPhone", "WkPhone", "WirelessPhone")
_CHART_NUMBER_INPUT = 15
_ZIP = re.compile(r"\d{5}(-?\d{4})?")


def create(office: Office, call: Call) -> Reply:
    """POST /patients: refuses somebody who is already there by name, birthdate and a contact."""
    body = call.body
    for name in ("LName", "FName"):
        if not wire.required(wire.text, body, name).strip():
            raise ApiError(400, f"{name} is required.")
    if wire.integer(body, "Guarantor") and wire.integer(body, "SuperFamily"):
        raise ApiError(400, "Guarantor and SuperFamily cannot both be set.")
    values = _values(office, body)
    _refuse_duplicate(office, values)
    guarantor = wire.integer(body, "Guarantor") or 0
    if guarantor and existing(office, guarantor)["Guarantor"] != guarantor:
        raise ApiError(400, "Guarantor is invalid.")
    values = {
        "BillingType": office.default_billing_type(),
        **values,
        "Guarantor": guarantor,
        "SuperFamily": wire.integer(body, "SuperFamily") or 0,
        "DateTStamp": office.stamp,
        "SecDateEntry": office.today,
    }
    number = office.insert("patient", values)
    office.db.execute("UPDATE patient SET Guarantor = PatNum WHERE PatNum = ? AND Guarantor = 0", (number,))
    return Reply(record(office, number), 201, f"patients/{number}")


def update(office: Office, call: Call) -> Reply:
    """PUT /patients/{PatNum}: fields that are left out stay as they are."""
    patient = existing(office, call.key)
    values = _values(office, call.body)
    for name in ("LName", "FName"):
        if values.get(name) == "":
            raise ApiError(400, f"{name} cannot be blank.")
    guarantor = wire.integer(call.body, "Guarantor")
    if guarantor is not None:
        _move(office, patient, guarantor)
    values["DateTStamp"] = office.stamp
    office.update("patient", "PatNum", call.key, values)
    return Reply(record(office, call.key))


def _values(office: Office, body: Source) -> dict[str, object]:
    """The columns that the body sets. Raises ApiError 400 for a value that does not fit."""
    texts = _texts(body)
    values: dict[str, object] = dict(texts)
    for name, key in (("LName", "LNameKey"), ("FName", "FNameKey")):
        if name in texts:
            values[key] = fold(texts[name])
    for name, table, key in (
        ("PriProv", "provider", "ProvNum"),
        ("SecProv", "provider", "ProvNum"),
        ("ClinicNum", "clinic", "ClinicNum"),
    ):
        if (number := wire.integer(body, name)) is not None:
            if number and not office.knows(table, key, number):
                raise ApiError(400, f"{name} is invalid.")
            values[name] = number
    if billing := wire.text(body, "BillingType"):
        values["BillingType"] = _billing_type(office, billing)
    return values


def _texts(body: Source) -> dict[str, str]:
    texts = {name: value for name, length in _LENGTHS.items() if (value := wire.text(body, name, length)) is not None}
    if texts.get("Zip") and not _ZIP.fullmatch(texts["Zip"]):
        raise ApiError(400, "Zip is invalid.")
    if len(texts.get("ChartNumber", "")) > _CHART_NUMBER_INPUT:
        raise ApiError(400, "ChartNumber cannot be longer than 15 characters.")
    for name, choices in _CHOICES.items():
        if (choice := wire.text(body, name)) is not None:
            if choice not in choices:
                raise ApiError(400, f"{name} is invalid.")
            texts[name] = choice
    if (birthdate := wire.day(body, "Birthdate")) is not None:
        texts["Birthdate"] = birthdate
    return texts


def _billing_type(office: Office, name: str) -> int:
    query = "SELECT DefNum FROM definition WHERE Category = ? AND ItemName = ?"
    row = office.db.execute(query, (BILLING_TYPES, name)).fetchone()
    if row is None:
        raise ApiError(400, "BillingType is invalid.")
    return int(row[0])


def _refuse_duplicate(office: Office, values: dict[str, object]) -> None:
    candidates = office.db.execute(
        "SELECT relative.* FROM patient p JOIN patient relative ON relative.Guarantor = p.Guarantor"
        " WHERE p.LNameKey = ? AND p.FNameKey = ? AND p.Birthdate = ? AND p.PatStatus <> 'Deleted'",
        (values["LNameKey"], values["FNameKey"], values.get("Birthdate", wire.NULL_DATE)),
    ).fetchall()
    email = str(values.get("Email", "")).lower()
    phones = {digits(str(values.get(name, ""))) for name in _PHONES} - {""}
    for row in candidates:
        if (email and row["Email"].lower() == email) or phones & {digits(row[name]) for name in _PHONES}:
            raise ApiError(400, "Patient already exists.")


def _move(office: Office, patient: sqlite3.Row, guarantor: int) -> None:
    """Another family, a family of one's own, or handing over the family that the patient heads; nothing else."""
    number, current = patient["PatNum"], patient["Guarantor"]
    if guarantor == current:
        return
    target = existing(office, guarantor)
    if current == number and target["Guarantor"] == number:
        office.db.execute("UPDATE patient SET Guarantor = ? WHERE Guarantor = ?", (guarantor, number))
        return
    family = office.db.execute("SELECT COUNT(*) FROM patient WHERE Guarantor = ?", (number,)).fetchone()[0]
    heads_others = current == number and family > 1
    if heads_others or (guarantor != number and target["Guarantor"] != guarantor):
        raise ApiError(400, "Guarantor is invalid.")
    office.db.execute("UPDATE patient SET Guarantor = ? WHERE PatNum = ?", (guarantor, number))
