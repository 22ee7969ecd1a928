"""Fills a new office with the patients of a CSV file; PatNum follows file order, ChartNumber is the file's id."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

from connector.errors import DomainError
from connector.sandbox.open_dental.names import fold
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.wire import NULL_DATE

REQUIRED = ("id", "given_name", "family_name", "date_of_birth", "address", "suburb", "state", "postcode")
OPTIONAL = ("email", "phone", "guarantor_id", "preferred_name", "middle_name")

_INSERT = """
INSERT INTO patient (ChartNumber, FName, LName, Birthdate, Address, City, State, Zip, Email, WirelessPhone, Preferred,
                     MiddleI, FNameKey, LNameKey, DateTStamp, SecDateEntry)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def load(office: Office, file: Path) -> int:
    """Add the file's patients and return how many. Raises DomainError when the file is not as described above."""
    rows = _read(file)
    with office.work():
        for row in rows:
            names = fold(row["given_name"]), fold(row["family_name"])
            values = [row.get(column, "") for column in (*REQUIRED, "email", "phone", "preferred_name", "middle_name")]
            office.db.execute(_INSERT, (*values, *names, office.stamp, office.today))
        office.db.execute("UPDATE patient SET Guarantor = PatNum, BillingType = ?", (office.default_billing_type(),))
        office.db.executemany(
            "UPDATE patient SET Guarantor = (SELECT PatNum FROM patient WHERE ChartNumber = ?) WHERE ChartNumber = ?",
            [(row["guarantor_id"], row["id"]) for row in rows if row.get("guarantor_id")],
        )
    return len(rows)


def _read(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restval="", strict=True)
            missing = [column for column in REQUIRED if column not in (reader.fieldnames or ())]
            if missing:
                raise DomainError(f"The patient file {file.name} has no column {missing[0]!r}.")
            rows = [_checked(row, f"line {reader.line_num} of {file.name}") for row in reader]
    except OSError:
        raise DomainError(f"The patient file {file} cannot be read.") from None
    except (csv.Error, UnicodeDecodeError):
        raise DomainError(f"The patient file {file.name} is not CSV in UTF-8.") from None
    ids = [row["id"] for row in rows]
    if len(set(ids)) < len(ids):
        raise DomainError(f"The patient file {file.name} uses an id twice: every id must be its own.")
    heads = {row["id"]: row.get("guarantor_id") or row["id"] for row in rows}
    for patient, head in heads.items():
        if heads.get(head) != head:
            raise DomainError(
                f"Patient {patient!r} of {file.name} needs a guarantor_id of somebody who pays for himself."
            )
    return rows


def _checked(row: dict[str, str], where: str) -> dict[str, str]:
    if None in row:
        raise DomainError(f"There are more values than columns in {where}.")
    row = {name: value.strip() for name, value in row.items()}
    # Names may be empty: real offices have such rows, and whoever links patients must cope with them.
    if not row["id"]:
        raise DomainError(f"The column 'id' is empty in {where}.")
    try:
        row["date_of_birth"] = date.fromisoformat(row["date_of_birth"] or NULL_DATE).isoformat()
    except ValueError:
        raise DomainError(f"The date_of_birth in {where} is not a date: write it like 1988-03-09.") from None
    return row
