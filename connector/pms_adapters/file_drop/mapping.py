"""Translates between the columns of the files and the records of the port; pure."""

from __future__ import annotations

import csv
import io
import re
from datetime import date

from connector.errors import Rejected, UnexpectedResponse
from connector.money import Money
from connector.pms_adapters.file_drop.client import Line
from connector.pms_adapters.records import (
    EntryKind,
    PatientQuery,
    PaymentCommand,
    PmsEntry,
    PmsPatient,
    ReversalCommand,
)

OUTBOX_COLUMNS = (
    "kind",
    "reference",
    "original_entry_id",
    "patient_id",
    "entry_date",
    "amount",
    "currency",
    "payment_type",
    "prepayment",
    "note",
)
ACK_COLUMNS = ("reference", "pms_entry_id", "patient_id", "amount", "entry_date")
DAY_SHEET_COLUMNS = ("pms_entry_id", "patient_id", "amount", "entry_date")
PATIENT_COLUMNS = ("id", "given_name", "family_name")
PATIENT_EXTRAS = ("date_of_birth", "email", "phone", "address", "suburb", "state", "postcode")

_REFERENCE = re.compile(r"[A-Z0-9][A-Z0-9_-]*", re.IGNORECASE | re.ASCII)
_DEVICES = re.compile(r"CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9]", re.IGNORECASE | re.ASCII)
_AMOUNT = re.compile(r"-?[0-9]{1,6}(\.[0-9]{1,2})?", re.ASCII)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_PHONE_DIGITS = 8
"""So many digits at the end are the same with and without country and area code."""


def file_name(reference: str, longest: int) -> str:
    """The name of an entry's file; one per reference on every file system. Raises Rejected when it makes none."""
    if not _REFERENCE.fullmatch(reference) or _DEVICES.fullmatch(reference) or len(reference) > longest:
        raise Rejected("The reference cannot name a file, so nothing was written: use letters, digits, - and _.")
    return f"{reference.upper()}.csv"


def outbox_file(command: PaymentCommand | ReversalCommand) -> bytes:
    """The whole file of one entry: always the same bytes for the same command."""
    if command.amount.cents <= 0:
        raise Rejected("The amount is not a positive one, so nothing was written.")
    payment = isinstance(command, PaymentCommand)
    row = (
        EntryKind.PAYMENT if payment else EntryKind.REVERSAL,
        command.reference,
        "" if isinstance(command, PaymentCommand) else command.original_entry_id,
        command.patient_id,
        command.entry_date.isoformat(),
        command.amount.decimal,
        command.amount.currency.upper(),
        command.payment_type,
        "yes" if isinstance(command, PaymentCommand) and command.prepayment else "no",
        command.note,
    )
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(OUTBOX_COLUMNS)
    writer.writerow(guarded(value) for value in row)
    return stream.getvalue().encode()


def guarded(value: str) -> str:
    """Text on one line that a spreadsheet does not take for a formula."""
    line = " ".join(value.split())
    return f"'{line}" if value.startswith(_FORMULA_STARTS) or line.startswith(_FORMULA_STARTS) else line


def ack(line: Line, currency: str) -> PmsEntry:
    """One acknowledged entry. Raises UnexpectedResponse."""
    return PmsEntry(
        id=_id(line, "pms_entry_id"),
        patient_id=_id(line, "patient_id"),
        amount=_money(line, currency),
        entry_date=_day(line, "entry_date"),
        references=frozenset({_id(line, "reference").upper()}),
    )


def day_sheet_entry(line: Line, currency: str, day: date) -> PmsEntry:
    """One entry of the day sheet. Raises UnexpectedResponse, also when it is of another day."""
    entry_date = _day(line, "entry_date")
    if entry_date != day:
        raise UnexpectedResponse(f"{line.place}, is of another day than the file's name: export that day again.")
    reference = _id(line, "reference").upper()
    return PmsEntry(
        id=_id(line, "pms_entry_id"),
        patient_id=_id(line, "patient_id"),
        amount=_money(line, currency),
        entry_date=entry_date,
        references=frozenset({reference} if reference else ()),
    )


def patient(line: Line) -> PmsPatient:
    """One patient of the list. Raises UnexpectedResponse for a malformed id or date of birth."""
    values = line.values
    return PmsPatient(
        id=_id(line, "id"),
        given_name=values["given_name"],
        family_name=values["family_name"],
        date_of_birth=_day(line, "date_of_birth") if values["date_of_birth"] else None,
        email=values["email"],
        phones=(values["phone"],) if values["phone"] else (),
        address=values["address"],
        suburb=values["suburb"],
        state=values["state"],
        postcode=values["postcode"],
    )


def fits(person: PmsPatient, query: PatientQuery) -> bool:
    """Whether the patient agrees with every field that the query gives."""
    return (
        person.given_name.casefold().startswith(query.given_name.strip().casefold())
        and person.family_name.casefold().startswith(query.family_name.strip().casefold())
        and query.date_of_birth in (None, person.date_of_birth)
        and query.email.strip().casefold() in ("", person.email.casefold())
        and (not query.phone.strip() or _phone_end(query.phone) in map(_phone_end, person.phones))
    )


def _phone_end(phone: str) -> str:
    return "".join(filter(str.isdigit, phone))[-_PHONE_DIGITS:]


def _id(line: Line, column: str) -> str:
    """An id is shown to people and sent back, so what cannot be seen in it is a fault of the export."""
    if not line.values[column].isprintable():
        raise UnexpectedResponse(f"{line.place}, has a {column} with unprintable characters: export the file again.")
    return line.values[column]


def _money(line: Line, currency: str) -> Money:
    if not _AMOUNT.fullmatch(line.values["amount"]):
        raise UnexpectedResponse(f"{line.place}, has an amount that cannot be read: write it like 20.50.")
    return Money.parse(line.values["amount"], currency)


def _day(line: Line, column: str) -> date:
    value = line.values[column]
    try:
        found = date.fromisoformat(value)
    except ValueError:
        found = None
    # Other ISO forms, such as week dates, are more likely a mistake than meant.
    if found is None or found.isoformat() != value:
        raise UnexpectedResponse(f"{line.place}, has a {column} that is not a date: write it like 2026-03-02.")
    return found
