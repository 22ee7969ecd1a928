"""Translates between Open Dental's JSON and the records of the port; pure.

Its JSON is loosely typed: the same field comes as a number from one version and as text from another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from connector.errors import Rejected, UnexpectedResponse
from connector.money import Money
from connector.pms_adapters.records import PatientQuery, PmsPatient

Row = Mapping[str, object]

NULL_YEAR = 1
INCOME_TRANSFER = 0
"""The PayType of rows that move income between providers; they are not payments."""
OUR_SOURCE = "API"
NO_SOURCE = "None"

_STATUSES = ("Patient", "NonPatient", "Inactive", "Prospective", "Archived", "Deceased", "Deleted")
_GONE = ("Archived", "Deceased", "Deleted")
DELETED = "Deleted"
_DIGITS = 12


@dataclass(frozen=True, slots=True, repr=False)
class Payment:
    """One row of /payments, typed. `amount` is negative when money went back."""

    number: int
    patient: int
    amount: Money
    pay_date: date
    entry_date: date
    pay_type: int
    source: str
    marks: frozenset[str]
    """The texts in CheckNum and at the start of PayNote, cleaned."""
    announced: str
    """The text in BankBranch, cleaned: on our rows the reference of the reversal that was announced."""


def payment(row: Row, currency: str) -> Payment:
    """Read a row of /payments. Raises UnexpectedResponse."""
    words = text(row, "PayNote").split(maxsplit=1)
    marks = {clean(text(row, "CheckNum")), clean(words[0]) if words else ""}
    return Payment(
        number=number(row, "PayNum"),
        patient=number(row, "PatNum"),
        amount=money(row, "PayAmt", currency),
        pay_date=_known_day(row, "PayDate"),
        entry_date=_known_day(row, "DateEntry"),
        pay_type=number(row, "PayType"),
        # Versions that do not tell the source leave it open, which is not the same as telling that it was an office.
        source=text(row, "PaymentSource"),
        marks=frozenset(marks - {""}),
        announced=clean(text(row, "BankBranch")),
    )


def patient(row: Row) -> PmsPatient:
    """Read a full or short row of /patients. Raises UnexpectedResponse."""
    status = text(row, "PatStatus")
    if status not in _STATUSES:
        raise UnexpectedResponse("Open Dental gave a patient a PatStatus that is not known: update this adapter.")
    phones = (text(row, name) for name in ("WirelessPhone", "HmPhone", "WkPhone"))
    guarantor = number(row, "Guarantor") if row.get("Guarantor") is not None else 0
    return PmsPatient(
        id=str(number(row, "PatNum")),
        given_name=text(row, "FName"),
        family_name=text(row, "LName"),
        date_of_birth=day(row, "Birthdate"),
        preferred_name=text(row, "Preferred"),
        middle_name=text(row, "MiddleI"),
        email=text(row, "Email"),
        phones=tuple(phone for phone in phones if phone),
        address=" ".join(part for part in (text(row, "Address"), text(row, "Address2")) if part),
        suburb=text(row, "City"),
        state=text(row, "State"),
        postcode=text(row, "Zip"),
        guarantor_id=str(guarantor) if guarantor else None,
        active=status not in _GONE,
    )


def patient_search(query: PatientQuery) -> dict[str, str | int]:
    """The parameters of GET /patients; empty when the query is."""
    given = {
        "LName": query.family_name,
        "FName": query.given_name,
        "Birthdate": query.date_of_birth.isoformat() if query.date_of_birth else "",
        "Phone": query.phone,
        "Email": query.email,
    }
    return {name: value.strip() for name, value in given.items() if value.strip()}


def marking(reference: str, note: str) -> dict[str, object]:
    """The fields that carry our reference: twice, because staff may retype one of them."""
    return {"CheckNum": reference, "PayNote": " ".join(f"{reference} {note}".split())}


def created_number(answer: object, patient_number: int, amount: Money) -> int:
    """The PayNum of a payment just made. Raises UnexpectedResponse when the answer does not echo what was sent."""
    if not isinstance(answer, dict):
        raise UnexpectedResponse("Open Dental's answer shows no payment.")
    created = number(answer, "PayNum")
    if created <= 0 or number(answer, "PatNum") != patient_number or money(answer, "PayAmt", amount.currency) != amount:
        raise UnexpectedResponse("Open Dental's answer shows another payment than the one that was sent.")
    return created


def id_number(identifier: str) -> int:
    """A PatNum or PayNum from the port's text. Raises Rejected for anything but a positive whole number."""
    if not re.fullmatch(r"[0-9]{1,18}", identifier, re.ASCII) or int(identifier) == 0:
        raise Rejected("Open Dental numbers its records, and this id is not a number: link the patient again.")
    return int(identifier)


def clean(reference: str) -> str:
    """A reference as it is compared: without spaces around it and in capitals."""
    return reference.strip().upper()


def text(row: Row, name: str) -> str:
    """Text, also where it comes as a number; empty when absent. Raises UnexpectedResponse."""
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise _unreadable(name)
    return str(value).strip()


def number(row: Row, name: str) -> int:
    """A whole number, also where it comes as text. Raises UnexpectedResponse."""
    value = text(row, name)
    if not re.fullmatch(r"-?[0-9]{1,19}", value, re.ASCII):
        raise _unreadable(name)
    return int(value)


def money(row: Row, name: str, currency: str) -> Money:
    """An amount, from text or a number, without rounding. Raises UnexpectedResponse when it is not in whole cents."""
    try:
        cents = Decimal(text(row, name)).scaleb(2)
        if not cents.is_finite() or cents != cents.to_integral_value() or cents.adjusted() > _DIGITS:
            raise _unreadable(name)
        return Money(int(cents), currency)
    except ArithmeticError:
        # Decimal's way of saying that a text is no number, or a number beyond all bounds.
        raise _unreadable(name) from None


def day(row: Row, name: str) -> date | None:
    """A date, also where a time follows it; None for the null date. Raises UnexpectedResponse."""
    value = text(row, name)
    if not value:
        return None
    try:
        found = date.fromisoformat(value[:10])
    except ValueError:
        raise _unreadable(name) from None
    return found if found.year > NULL_YEAR else None


def _known_day(row: Row, name: str) -> date:
    found = day(row, name)
    if found is None:
        raise _unreadable(name)
    return found


def _unreadable(name: str) -> UnexpectedResponse:
    return UnexpectedResponse(f"Open Dental's field {name} has a form that this adapter does not know.")
