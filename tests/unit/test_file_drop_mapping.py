"""The columns of the file drop: what we write, and what a practice may have written."""

from __future__ import annotations

import csv
import io
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import Rejected, UnexpectedResponse
from connector.money import CENTS_MAX, Money
from connector.pms_adapters.file_drop import mapping
from connector.pms_adapters.file_drop.client import Line
from connector.pms_adapters.records import PatientQuery, PaymentCommand, ReversalCommand

DAY = date(2026, 3, 2)
PATIENT = {
    "id": "P7",
    "given_name": "Ada",
    "family_name": "Ferris",
    "date_of_birth": "1988-03-09",
    "email": "Ada@example.com",
    "phone": "+61 491 570 156",
    "address": "",
    "suburb": "",
    "state": "",
    "postcode": "",
}
ACK = {"reference": "sp7", "pms_entry_id": "E1", "patient_id": "P7", "amount": "-20.50", "entry_date": "2026-03-02"}


def command(**changes: object) -> PaymentCommand:
    fields: dict[str, object] = {
        "reference": "SP7",
        "patient_id": "P7",
        "amount": Money(2050, "aud"),
        "entry_date": DAY,
        "payment_type": "Card",
        "note": "dues",
        **changes,
    }
    return PaymentCommand(**fields)  # type: ignore[arg-type]


def row(content: bytes) -> dict[str, str]:
    (found,) = csv.DictReader(io.StringIO(content.decode(), newline=""))
    return found


def test_a_payment_and_a_reversal_are_written_with_every_column() -> None:
    """Amounts are positive; the kind tells the direction."""
    taken_back = ReversalCommand("SP8", "E1", "P7", Money(2050, "aud"), DAY, "Card", "given back")

    assert row(mapping.outbox_file(command())) == {
        "kind": "payment",
        "reference": "SP7",
        "original_entry_id": "",
        "patient_id": "P7",
        "entry_date": "2026-03-02",
        "amount": "20.50",
        "currency": "AUD",
        "payment_type": "Card",
        "prepayment": "yes",
        "note": "dues",
    }
    written = row(mapping.outbox_file(taken_back))
    assert (written["kind"], written["original_entry_id"], written["amount"]) == ("reversal", "E1", "20.50")
    assert mapping.outbox_file(command()).count(b"\r\n") == 2


@given(note=st.text(max_size=60), cents=st.integers(1, CENTS_MAX))
def test_no_note_becomes_a_formula_or_a_second_line(note: str, cents: int) -> None:
    """A spreadsheet must show what we wrote and compute nothing; the amount stays exact."""
    content = mapping.outbox_file(command(note=note.encode("utf-8", "ignore").decode(), amount=Money(cents, "aud")))

    written = row(content)
    assert not written["note"].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert len(content.decode().split("\r\n")) == 3
    assert Money.parse(written["amount"], "aud").cents == cents


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", " =", "\n@"])
def test_a_formula_is_disarmed(start: str) -> None:
    """Wherever the text comes from, and also when white space hides its start."""
    assert mapping.guarded(f"{start}1+1").startswith("'")


@pytest.mark.parametrize("reference", ["", "../x", "a b", "a.csv", "-x", "é", "CON", "lpt1", "X" * 61, "a/b", "a\\b"])
def test_a_reference_that_cannot_name_a_file_is_rejected(reference: str) -> None:
    """On no system may it leave the folder or meet a device."""
    with pytest.raises(Rejected):
        mapping.file_name(reference, 60)
    assert mapping.file_name("sp-7_K", 60) == "SP-7_K.csv"


@pytest.mark.parametrize("cents", [0, -1])
def test_an_amount_that_is_not_positive_is_rejected(cents: int) -> None:
    """The direction is told by the kind alone."""
    with pytest.raises(Rejected):
        mapping.outbox_file(command(amount=Money(cents, "aud")))


def test_an_acknowledgement_is_read() -> None:
    """The reference is cleaned; a reversal comes back negative."""
    entry = mapping.ack(Line("a.csv, line 2", ACK), "aud")

    assert (entry.id, entry.patient_id, entry.amount) == ("E1", "P7", Money(-2050, "aud"))
    assert (entry.entry_date, entry.references, entry.foreign) == (DAY, frozenset({"SP7"}), False)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("amount", "20.505"),
        ("amount", "$20"),
        ("amount", "20,50"),
        ("amount", "1e999999"),
        ("amount", "٢٠"),
        ("amount", "NaN"),
        ("entry_date", "02/03/2026"),
        ("entry_date", "20260302"),
        ("entry_date", "2026-W10-1"),
        ("entry_date", "2026-02-30"),
    ],
)
def test_a_malformed_value_is_named_by_its_place_and_not_shown(column: str, value: str) -> None:
    """The practice finds it by file and line."""
    with pytest.raises(UnexpectedResponse) as caught:
        mapping.ack(Line("a.csv, line 2", {**ACK, column: value}), "aud")

    assert "a.csv, line 2" in str(caught.value)
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        (PatientQuery(given_name="ad"), True),
        (PatientQuery(family_name="FERR", date_of_birth=date(1988, 3, 9)), True),
        (PatientQuery(phone="0491 570 156"), True),
        (PatientQuery(email=" ada@EXAMPLE.com"), True),
        (PatientQuery(given_name="Bo"), False),
        (PatientQuery(given_name="Ada", family_name="Lind"), False),
        (PatientQuery(date_of_birth=date(1988, 3, 10)), False),
        (PatientQuery(phone="0491 570 157"), False),
        (PatientQuery(email="ada@example.co"), False),
    ],
    ids=range(9),
)
def test_a_patient_fits_a_query_when_every_field_agrees(query: PatientQuery, fits: bool) -> None:
    """Names are prefixes; phones agree with and without country code."""
    assert mapping.fits(mapping.patient(Line("patients.csv, line 2", PATIENT)), query) is fits
