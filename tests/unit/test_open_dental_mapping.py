"""Open Dental's JSON to records and back, with payloads in the forms that offices send."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import Rejected, UnexpectedResponse
from connector.money import CENTS_MAX, Money
from connector.pms_adapters.open_dental import mapping, reversals
from connector.pms_adapters.records import PatientQuery
from connector.pms_adapters.transport import decode_json

PAYMENT = {
    "PayNum": 90417,
    "PayType": 412,
    "payType": "Membership Card",
    "PayDate": "2026-03-02",
    "PayAmt": "39",
    "CheckNum": "sp7k2q ",
    "BankBranch": "",
    "PayNote": "SP7K2Q membership dues",
    "PatNum": 2201,
    "ClinicNum": "0",
    "DateEntry": "2026-03-03",
    "PaymentSource": "API",
    "serverDateTime": "",
}
PATIENT = {
    "PatNum": 2201,
    "LName": "Ferris",
    "FName": "Ada",
    "MiddleI": "B",
    "Preferred": "",
    "PatStatus": "Patient",
    "Birthdate": "1988-03-09",
    "Address": "1 Quay St",
    "Address2": "Unit 4",
    "City": "Sydney",
    "State": "NSW",
    "Zip": 2000,
    "HmPhone": "",
    "WkPhone": "02 5550 1234",
    "WirelessPhone": "0491570156",
    "Email": "ada@example.com",
    "Guarantor": "2200",
}


def wire(row: Mapping[str, object]) -> Mapping[str, object]:
    found = decode_json(json.dumps(row).encode())
    assert isinstance(found, dict)
    return found


def row(number: int, cents: int, **changes: object) -> mapping.Payment:
    amount = str(Decimal(cents).scaleb(-2))
    return mapping.payment(wire({**PAYMENT, "PayNum": number, "PayAmt": amount, **changes}), "aud")


@pytest.mark.parametrize(
    ("sent", "cents"),
    [("39", 3900), ("0.6", 60), (39, 3900), (0.6, 60), (0.29, 29), (-12.05, -1205), ("-12.05", -1205), ("39.00", 3900)],
)
def test_amounts_are_read_exactly_in_every_typing(sent: object, cents: int) -> None:
    """Versions send amounts as text or as numbers, without trailing zeros."""
    assert mapping.money(wire({"PayAmt": sent}), "PayAmt", "aud") == Money(cents, "aud")


@given(cents=st.integers(-CENTS_MAX, CENTS_MAX), as_number=st.booleans())
def test_every_amount_survives_the_way_through_json(cents: int, as_number: bool) -> None:
    """Whatever form it has on the wire, no cent is lost."""
    amount = Decimal(cents).scaleb(-2).normalize()
    text = f'{{"PayAmt": {float(amount)!r}}}' if as_number else f'{{"PayAmt": "{amount:f}"}}'
    read = decode_json(text.encode())

    assert isinstance(read, dict)
    assert mapping.money(read, "PayAmt", "aud").cents == cents


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("PayAmt", "39.001"),
        ("PayAmt", "NaN"),
        ("PayAmt", "1e99"),
        ("PayAmt", "1e999999"),
        ("PayAmt", ""),
        ("PayAmt", True),
        ("PayAmt", ["39"]),
        ("PayAmt", "39,00"),
        ("PayNum", None),
        ("PayNum", "9x"),
        ("PayNum", 1.5),
        ("PatNum", {"a": 1}),
        ("PayDate", "0001-01-01"),
        ("PayDate", "02/03/2026"),
        ("DateEntry", ""),
        ("DateEntry", "2026-13-01"),
    ],
    ids=str,
)
def test_a_payment_row_that_makes_no_sense_is_refused_without_showing_it(field: str, value: object) -> None:
    """Leaving the row out would make an incomplete list look complete."""
    with pytest.raises(UnexpectedResponse) as caught:
        mapping.payment(wire({**PAYMENT, field: value}), "aud")

    assert field in str(caught.value)
    assert not any(text in str(caught.value) for text in ("90417", "2201", "membership", "39"))


def test_a_payment_row_is_read() -> None:
    """The ledger date and the entry date are two things; references are cleaned."""
    read = mapping.payment(wire({**PAYMENT, "PayDate": "2026-03-02T00:00:00", "PayNum": "90417"}), "aud")

    entry = reversals.entry(read, ())
    assert (entry.id, entry.patient_id, entry.amount) == ("90417", "2201", Money(3900, "aud"))
    assert (entry.entry_date, read.entry_date) == (date(2026, 3, 2), date(2026, 3, 3))
    assert entry.references == {"SP7K2Q"}


@pytest.mark.parametrize(
    ("source", "cents", "foreign"),
    [
        ("API", 100, False),
        ("None", 100, True),
        ("XCharge", 100, True),
        ("", 100, False),
        ("None", -100, False),
        ("XCharge", -100, True),
        ("API", -100, False),
    ],
)
def test_an_entry_is_foreign_only_when_its_source_says_so(source: str, cents: int, foreign: bool) -> None:
    """Refunds made through the API have no source, as those of the office have."""
    assert reversals.entry(row(1, cents, PaymentSource=source), ()).foreign is foreign


def test_a_patient_is_read_from_the_full_and_from_the_short_record() -> None:
    """The search shows no guarantor and the postcode as a number."""
    full = mapping.patient(wire(PATIENT))
    short = mapping.patient(wire({name: value for name, value in PATIENT.items() if name != "Guarantor"}))

    assert (full.id, full.given_name, full.family_name, full.middle_name) == ("2201", "Ada", "Ferris", "B")
    assert (full.date_of_birth, full.postcode, full.address) == (date(1988, 3, 9), "2000", "1 Quay St Unit 4")
    assert (full.phones, full.guarantor_id, full.active) == (("0491570156", "02 5550 1234"), "2200", True)
    assert short.guarantor_id is None
    assert mapping.patient(wire({**PATIENT, "Birthdate": "0001-01-01"})).date_of_birth is None


@pytest.mark.parametrize(
    ("status", "active"),
    [
        ("Patient", True),
        ("NonPatient", True),
        ("Inactive", True),
        ("Prospective", True),
        ("Archived", False),
        ("Deceased", False),
    ],
)
def test_archived_and_deceased_patients_are_inactive(status: str, active: bool) -> None:
    """Nobody links a member to them by accident."""
    assert mapping.patient(wire({**PATIENT, "PatStatus": status})).active is active


@pytest.mark.parametrize("status", ["Ghost", "", None, "patient"])
def test_an_unknown_status_is_refused(status: object) -> None:
    """A status of a later version could mean anything."""
    with pytest.raises(UnexpectedResponse):
        mapping.patient(wire({**PATIENT, "PatStatus": status}))


def test_a_query_uses_the_vendors_parameters() -> None:
    """Empty fields are left out, because the API would search for them."""
    query = PatientQuery("Ada ", "Ferris", date(1988, 3, 9), "0491570156", "a@example.com")

    assert mapping.patient_search(PatientQuery()) == {}
    assert mapping.patient_search(query) == {
        "LName": "Ferris",
        "FName": "Ada",
        "Birthdate": "1988-03-09",
        "Phone": "0491570156",
        "Email": "a@example.com",
    }


@pytest.mark.parametrize(
    "answer",
    [None, [], "90417", {}, {**PAYMENT, "PayNum": 0}, {**PAYMENT, "PatNum": 1}, {**PAYMENT, "PayAmt": "38"}],
    ids=str,
)
def test_an_answer_that_does_not_echo_the_payment_proves_nothing(answer: object) -> None:
    """Then the outcome is unknown."""
    with pytest.raises(UnexpectedResponse):
        mapping.created_number(answer, 2201, Money(3900, "aud"))
    assert mapping.created_number(PAYMENT, 2201, Money(3900, "aud")) == 90417


@pytest.mark.parametrize("identifier", ["", "0", "-1", "1/2", "../7", "٣", " 7", "7a", "1" * 19])
def test_an_id_that_is_no_number_is_rejected(identifier: str) -> None:
    """It would otherwise become part of a path."""
    with pytest.raises(Rejected):
        mapping.id_number(identifier)


def test_an_unmarked_refund_is_given_the_announced_reference() -> None:
    """Also when it copied the payment's own texts, and with a note that staff added."""
    paid = row(1, 3900, BankBranch="REV1")
    blank = row(2, -3900, CheckNum="", PayNote="", PaymentSource="None")
    copied = row(2, -3900, PaymentSource="None")
    noted = row(2, -3900, CheckNum="", PayNote="asked by phone", PaymentSource="None")

    assert reversals.references(blank, [paid, blank]) == {"REV1"}
    assert reversals.references(copied, [paid, copied]) == {"REV1"}
    assert reversals.references(noted, [paid, noted]) == {"REV1", "ASKED"}


def test_a_refund_is_not_given_a_reference_that_cannot_be_its_own() -> None:
    """Another amount, an earlier entry, or a reference that another refund carries."""
    paid = row(1, 3900, BankBranch="REV1")
    texts = {"CheckNum": "", "PayNote": "", "PaymentSource": "None"}
    marked = row(2, -3900, **{**texts, "CheckNum": "REV1"})
    others = [row(3, -3800, **texts), row(4, -3900, **texts, DateEntry="2026-03-02"), row(5, -3900, **texts)]

    for other in others:
        assert reversals.references(other, [paid, marked, other]) == frozenset()
    assert reversals.references(marked, [paid, marked]) == {"REV1"}


def test_a_refund_that_could_be_either_of_two_is_given_both_references() -> None:
    """Two candidates are a matter for a person, never a reason to refund again."""
    texts = {"CheckNum": "", "PayNote": "", "PaymentSource": "None"}
    history = [row(1, 3900, BankBranch="REV1"), row(2, 3900, BankBranch="REV2"), row(3, -3900, **texts)]

    assert reversals.references(history[2], history) == {"REV1", "REV2"}


def test_a_refund_that_is_marked_is_not_given_the_reference_of_an_equal_one() -> None:
    """Of two equal payments that are taken back, one refund was marked and the other was not."""
    texts = {"CheckNum": "", "PayNote": "", "PaymentSource": "None"}
    paid = [row(1, 3900, BankBranch="REV1"), row(2, 3900, BankBranch="REV2")]
    marked, blank = row(3, -3900, **{**texts, "CheckNum": "REV1"}), row(4, -3900, **texts)
    history = [*paid, marked, blank]

    assert reversals.references(marked, history) == {"REV1"}
    assert reversals.references(blank, history) == {"REV2"}


def test_a_refund_by_staff_is_seen_and_ours_is_not_mistaken_for_it() -> None:
    """A payment may have been taken back by hand when an equal refund belongs to nothing of ours."""
    texts = {"CheckNum": "", "PayNote": "", "PaymentSource": "None"}
    paid, other = row(1, 3900), row(2, 3900, BankBranch="REV2")
    staff, ours, negative = row(3, -3900, **texts), row(4, -3900, **{**texts, "CheckNum": "REV2"}), row(5, -3900)

    assert reversals.unexplained(paid, [paid, other, ours, negative]) is None
    assert reversals.unexplained(paid, [paid, other, ours, staff]) is staff
