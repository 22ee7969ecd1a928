"""The simulated Open Dental's ledger: payments, refunds, splits, adjustments and balances."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.sandbox.open_dental.allocation import Charge, Wish, allocate
from connector.sandbox.open_dental.options import Allocation
from tests.support.open_dental_office import ADA, BEN, ZOE, RunningOffice, running_office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[RunningOffice]:
    with running_office(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningOffice]:
    with running_office(tmp_path_factory.mktemp("office")) as running:
        yield running


def charge(office: RunningOffice, fee: str, day: str, patient: int = ADA) -> int:
    """A completed procedure; returns its number."""
    body = {"PatNum": patient, "ProcDate": day, "ProcStatus": "C", "procCode": "011", "ProcFee": fee}
    answer = office.api("POST", "procedurelogs", body)
    assert answer.status_code == 201, answer.text
    number: int = answer.json()["ProcNum"]
    return number


def splits(office: RunningOffice, payment: dict[str, Any]) -> list[tuple[float, int, int, str]]:
    """Amount, patient, procedure and unearned type of each split."""
    rows = office.get("paysplits", PayNum=payment["PayNum"])
    return [(row["SplitAmt"], row["PatNum"], row["ProcNum"], row["unearnedType"]) for row in rows]


def test_a_payment_is_echoed_in_the_vendors_forms(office: RunningOffice) -> None:
    """Amount and clinic are text without trailing zeros, numbers are numbers, and a null date is the year 1."""
    created = office.pay("39.50", CheckNum="MB7K2Q9F4T1XW8", PayNote="two\r\nlines")

    listed = office.get("payments")[0]

    assert created["PayAmt"] == "39.5"
    assert (created["PatNum"], created["ClinicNum"], created["DepositNum"]) == (ADA, "0", 0)
    assert (created["PayDate"], created["DateEntry"]) == ("2026-03-02", "2026-03-02")
    assert (created["PayNote"], created["RecurringChargeDate"]) == ("two lines", "0001-01-01")
    assert (created["PaymentSource"], created["ProcessStatus"]) == ("API", "OfficeProcessed")
    assert (created["payType"], created["IsRecurringCC"]) == ("Credit Card", "false")
    assert (created["serverDateTime"], listed["serverDateTime"]) == ("", "2026-03-02 12:00:00")
    assert {**created, "serverDateTime": ""} == {**listed, "serverDateTime": ""}


def test_creating_answers_201_with_the_rows_location(office: RunningOffice) -> None:
    """The new payment's path is in the location header."""
    answer = office.api("POST", "payments", {"PayAmt": 39, "PatNum": ADA})

    assert (answer.status_code, answer.headers["location"]) == (201, f"/api/v1/payments/{answer.json()['PayNum']}")


@pytest.mark.parametrize(
    ("sent", "echoed"), [("39.00", "39"), (39, "39"), (0.6, "0.6"), ("0.05", "0.05"), ("100", "100")]
)
def test_trailing_zeros_of_an_amount_are_dropped(office: RunningOffice, sent: object, echoed: str) -> None:
    """An amount is taken as text or number and given back as text."""
    assert office.api("POST", "payments", {"PayAmt": sent, "PatNum": ADA}).json()["PayAmt"] == echoed


def test_two_equal_posts_make_two_payments(office: RunningOffice) -> None:
    """Nothing recognises a repeated call."""
    numbers = [office.pay(CheckNum="TOKEN")["PayNum"] for _ in range(2)]

    assert [row["PayNum"] for row in office.get("payments")] == numbers
    assert numbers[0] != numbers[1]
    assert office.control("totals")["duplicates"] == 1


def test_long_references_are_cut_to_25_characters(office: RunningOffice) -> None:
    """An over-long CheckNum or BankBranch is stored short, with no error; PayNote is not."""
    reference = "pi_3MtwBwLkdIwHu7ix28a3tqPa"

    created = office.pay(CheckNum=reference, BankBranch=reference, PayNote=reference)

    assert (created["CheckNum"], created["BankBranch"]) == (reference[:25], reference[:25])
    assert created["PayNote"] == reference


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"PayAmt": "abc"}, "PayAmt is invalid."),
        ({"PayAmt": "1.005"}, "PayAmt is invalid."),
        ({"PayAmt": "0"}, "PayAmt must be greater than 0."),
        ({"PayAmt": "-5"}, "PayAmt must be greater than 0."),
        ({"PayAmt": None}, "PayAmt is required."),
        ({"PayDate": "2026-03-03"}, "PayDate cannot be in the future."),
        ({"PayDate": "1879-12-31"}, "PayDate is invalid. Use the format yyyy-MM-dd."),
        ({"PayDate": "2026-W10-1"}, "PayDate is invalid. Use the format yyyy-MM-dd."),
        ({"PayType": 1}, "PayType is invalid."),
        ({"ClinicNum": 9}, "ClinicNum is invalid."),
        ({"isPrepayment": True}, "isPrepayment is invalid. Use true or false."),
        ({"procNums": "13"}, "procNums is invalid."),
        ({"payPlanNum": 9}, "payPlanNum is invalid."),
    ],
)
def test_a_wrong_field_is_refused_and_nothing_is_stored(
    untouched: RunningOffice, fields: dict[str, object], sentence: str
) -> None:
    """Validation names the field."""
    answer = untouched.api("POST", "payments", {"PayAmt": "39", "PatNum": ADA, **fields})

    assert (answer.status_code, answer.text) == (400, sentence)
    assert untouched.get("payments") == []


def test_a_payment_for_nobody_is_refused(office: RunningOffice) -> None:
    """The patient must exist."""
    answer = office.api("POST", "payments", {"PayAmt": "39", "PatNum": 77})

    assert (answer.status_code, answer.text) == (404, "Patient not found.")


def test_switches_allow_future_dates_and_negative_amounts(office: RunningOffice) -> None:
    """Both are settings of an office."""
    office.control("options", {"future_dates_allowed": True, "negative_payments": True})

    created = office.pay("-5", PayDate="2026-03-09")

    assert (created["PayAmt"], created["PayDate"], created["DateEntry"]) == ("-5", "2026-03-09", "2026-03-02")
    assert splits(office, created) == [(-5, ADA, 0, "")]


def test_dates_are_those_of_the_office(office: RunningOffice) -> None:
    """The office's day begins at its own midnight, not at that of UTC."""
    office.control("clock", {"now": "2026-03-02T13:30:00+00:00"})

    created = office.pay()

    assert (created["PayDate"], created["DateEntry"]) == ("2026-03-03", "2026-03-03")
    assert created["SecDateTEdit"] == "2026-03-03 00:30:00"


def test_the_list_filters_by_entry_date_payer_and_type(office: RunningOffice) -> None:
    """DateEntry means on or after, and is the true day also for a back-dated payment."""
    cash = next(row["DefNum"] for row in office.get("definitions", Category=10) if row["ItemName"] == "Cash")
    first = office.pay(PayDate="2026-03-02")["PayNum"]
    office.control("clock", {"now": "2026-03-04T12:00:00+11:00"})
    second = office.pay(patient=ZOE, PayDate="2026-02-01", PayType=cash)["PayNum"]

    def found(**query: object) -> list[int]:
        return [row["PayNum"] for row in office.get("payments", **query)]

    assert found() == [first, second]
    assert found(DateEntry="2026-03-03") == [second]
    assert found(DateEntry="2026-03-02") == [first, second]
    assert found(PatNum=ADA) == [first]
    assert found(PayType=cash) == [second]
    assert found(PatNum=BEN) == []


def test_put_changes_only_the_texts_and_the_type(office: RunningOffice) -> None:
    """Amount, date and patient are immutable: such fields are ignored, and what is left out stays."""
    number = office.pay(CheckNum="OLD", PayNote="note")["PayNum"]
    office.control("clock", {"now": "2026-03-02T13:00:00+11:00"})

    answer = office.api("PUT", f"payments/{number}", {"CheckNum": "N" * 30, "PayAmt": "1", "PatNum": BEN})

    row = office.get("payments")[0]
    assert answer.status_code == 200
    assert (row["CheckNum"], row["PayNote"], row["PayAmt"], row["PatNum"]) == ("N" * 25, "note", "39", ADA)
    assert row["SecDateTEdit"] == "2026-03-02 13:00:00"


def test_the_processing_status_takes_only_the_online_values(office: RunningOffice) -> None:
    """OfficeProcessed is the default and cannot be set."""
    number = office.pay()["PayNum"]

    answers = [
        office.api("PUT", f"payments/{number}", {"ProcessStatus": status}).status_code
        for status in ("OfficeProcessed", "OnlinePending")
    ]

    assert answers == [400, 200]


@pytest.mark.parametrize("copied", [False, True])
def test_a_refund_is_the_negative_of_the_payment(office: RunningOffice, copied: bool) -> None:
    """A refund is dated today and does not look API-made; the reference is copied only where the office does so."""
    office.control("options", {"refund_copies_reference": copied})
    number = charge(office, "30", "2026-03-01")
    paid = office.pay("39.00", CheckNum="TOKEN", PayNote="note", PayDate="2026-02-01")

    answer = office.api("POST", "payments/Refund", {"PayNum": paid["PayNum"]})

    refund = answer.json()
    assert answer.status_code == 201
    assert (refund["PayAmt"], refund["PayDate"], refund["PaymentSource"]) == ("-39", "2026-03-02", "None")
    assert (refund["CheckNum"], refund["PayNote"]) == (("TOKEN", "note") if copied else ("", ""))
    assert splits(office, refund) == [(-30, ADA, number, ""), (-9, ADA, 0, "Prepayment")]
    assert office.get(f"accountmodules/{ADA}/Aging")["PatEstBal"] == 30


def test_a_payment_can_be_refunded_twice_but_a_refund_cannot(office: RunningOffice) -> None:
    """Only negative splits are checked; a second refund of one payment passes."""
    paid = office.pay()["PayNum"]
    refund = office.api("POST", "payments/Refund", {"PayNum": paid}).json()["PayNum"]

    again = office.api("POST", "payments/Refund", {"PayNum": paid})
    of_refund = office.api("POST", "payments/Refund", {"PayNum": refund})

    assert (again.status_code, of_refund.status_code) == (201, 400)
    assert office.control("totals")["refunds"] == {"count": 2, "cents": 7800}


def test_money_goes_to_the_oldest_charges_and_the_rest_is_unearned(office: RunningOffice) -> None:
    """FIFO over the whole family, then one unearned split."""
    young = charge(office, "20", "2026-02-20", ADA)
    old = charge(office, "10", "2026-02-10", BEN)

    created = office.pay("35.5")

    assert splits(office, created) == [(10, BEN, old, ""), (20, ADA, young, ""), (5.5, ADA, 0, "Prepayment")]


def test_the_payers_own_charges_can_come_first(office: RunningOffice) -> None:
    """isPatientPreferred puts the patient before the family, and procNums comes before both."""
    young = charge(office, "20", "2026-02-20", ADA)
    old = charge(office, "10", "2026-02-10", BEN)
    strange = charge(office, "10", "2026-02-10", ZOE)

    preferred = office.pay("20", isPatientPreferred="true")
    named = office.pay("4", procNums=[old, strange])

    assert splits(office, preferred) == [(20, ADA, young, "")]
    assert splits(office, named) == [(4, BEN, old, "")]


@pytest.mark.parametrize(
    ("mode", "fields", "unearned"),
    [
        ("auto", {"isPrepayment": "true"}, "Prepayment"),
        ("rigorous", {"isPrepayment": "true"}, "Prepayment"),
        ("manual", {"isPrepayment": "true"}, ""),
        ("manual", {}, ""),
        ("manual", {"isUnallocatedPrepayment": "true"}, "Prepayment"),
    ],
)
def test_prepayments_and_the_manual_mode_make_one_split(
    office: RunningOffice, mode: str, fields: dict[str, str], unearned: str
) -> None:
    """Open charges are left alone; the manual mode knows the unearned type only when it is forced."""
    charge(office, "20", "2026-02-20")
    office.control("options", {"allocation": mode})

    assert splits(office, office.pay("39", ADA, **fields)) == [(39, ADA, 0, unearned)]


def test_a_payment_plan_is_paid_first_and_blocks_the_refund(office: RunningOffice) -> None:
    """Plan-attached payments cannot be refunded, and isPrepayment keeps the plan out."""
    charge(office, "20", "2026-01-01")
    plan = office.staff("add_payment_plan", PatNum=ADA, PayAmt="50")["PayPlanNum"]

    prepaid = office.pay("30", isPrepayment="true")
    paid = office.pay("30")

    assert office.get("paysplits", PayNum=prepaid["PayNum"])[0]["PayPlanNum"] == 0
    assert [row["PayPlanNum"] for row in office.get("paysplits", PayNum=paid["PayNum"])] == [plan]
    assert office.api("POST", "payments/Refund", {"PayNum": paid["PayNum"]}).status_code == 400
    assert office.api("POST", "payments/Refund", {"PayNum": prepaid["PayNum"]}).status_code == 201


def test_partial_replaces_the_splits_and_must_add_up(office: RunningOffice) -> None:
    """A total that differs from PayAmt leaves the splits as they were."""
    first, second = charge(office, "20", "2026-01-01"), charge(office, "40", "2026-01-02")
    paid = office.pay("30")
    before = splits(office, paid)
    path = f"payments/{paid['PayNum']}/Partial"

    wrong = office.api("PUT", path, {"procNumsAndAmounts": [{"ProcNum": second, "Amount": 29}]})
    kept = splits(office, paid)
    right = office.api("PUT", path, {"procNumsAndAmounts": [{"ProcNum": second, "Amount": 30}]})

    assert before == kept == [(20, ADA, first, ""), (10, ADA, second, "")]
    assert (wrong.status_code, right.status_code) == (400, 200)
    assert splits(office, paid) == [(30, ADA, second, "")]


def test_an_adjustment_must_agree_with_the_sign_of_its_type(office: RunningOffice) -> None:
    """A type with '-' takes only negative amounts, a type with '+' only positive ones, and never a future date."""
    kinds = {row["ItemName"]: row["DefNum"] for row in office.get("definitions", Category=1)}
    body = {"PatNum": ADA, "AdjType": kinds["Discount"], "AdjAmt": "-5.00", "AdjDate": "2026-03-02", "AdjNote": "n"}

    def answer(**fields: object) -> str:
        return office.api("POST", "adjustments", {**body, **fields}).text

    created = office.api("POST", "adjustments", body)

    assert (created.status_code, created.json()["AdjAmt"], created.json()["adjType"]) == (201, -5, "Discount")
    assert answer(AdjAmt="5") == "AdjAmt must be negative for this AdjType."
    assert answer(AdjType=kinds["Finance Charge"]) == "AdjAmt must be positive for this AdjType."
    assert answer(AdjDate="2026-03-03") == "AdjDate cannot be in the future."
    assert answer(AdjType=1) == "AdjType is invalid."
    assert len(office.get("adjustments", PatNum=ADA)) == 1


def test_an_adjustment_can_be_changed(office: RunningOffice) -> None:
    """PUT is sparse and keeps to the same rules."""
    kinds = {row["ItemName"]: row["DefNum"] for row in office.get("definitions", Category=1)}
    body = {"PatNum": ADA, "AdjType": kinds["Discount"], "AdjAmt": "-5", "AdjDate": "2026-03-02"}
    number = office.api("POST", "adjustments", body).json()["AdjNum"]

    changed = office.api("PUT", f"adjustments/{number}", {"AdjAmt": "-0.60"})
    refused = office.api("PUT", f"adjustments/{number}", {"AdjAmt": "6"})

    assert (changed.json()["AdjAmt"], refused.status_code) == (-0.6, 400)
    assert [row["AdjAmt"] for row in office.get("adjustments", PatNum=ADA)] == [-0.6]


def test_balances_follow_charges_adjustments_and_payments(office: RunningOffice) -> None:
    """The account shows the family by age, and payments count against the oldest charge."""
    charge(office, "100", "2025-11-01", BEN)
    charge(office, "40", "2026-01-15", ADA)
    charge(office, "30", "2026-03-01", ADA)
    office.pay("120.50", isPrepayment="true")

    aging = office.get(f"accountmodules/{ADA}/Aging")
    rows = office.get(f"accountmodules/{BEN}/PatientBalances")

    assert (aging["BalOver90"], aging["Bal_31_60"], aging["Bal_0_30"]) == (0, 19.5, 30)
    assert (aging["Total"], aging["PatEstBal"], aging["Unearned"]) == (49.5, -50.5, 120.5)
    assert [(row["PatNum"], row["Balance"]) for row in rows] == [(ADA, -50.5), (BEN, 100), (ADA, 49.5)]
    assert rows[-1]["Name"] == "Entire Family"


def test_the_balance_on_the_patient_is_refreshed_by_payments_only(office: RunningOffice) -> None:
    """EstBalance is stale until something runs the aging; BalTotal is kept on the guarantor."""
    charge(office, "100", "2026-02-01", BEN)
    stale = office.get(f"patients/{BEN}")["EstBalance"]

    office.pay("40", BEN)

    ben, ada = office.get(f"patients/{BEN}"), office.get(f"patients/{ADA}")
    assert stale == 0
    assert (ben["EstBalance"], ben["BalTotal"]) == (60, 0)
    assert (ada["EstBalance"], ada["BalTotal"]) == (0, 60)


@given(
    cents=st.integers(1, 10_000_000),
    owed=st.lists(st.integers(1, 100_000), max_size=8),
    mode=st.sampled_from(Allocation),
    patient_first=st.booleans(),
    prepayment=st.booleans(),
)
def test_splits_always_add_up_to_the_payment(
    cents: int, owed: list[int], mode: Allocation, patient_first: bool, prepayment: bool
) -> None:
    """Whatever is open, no cent is lost and no charge is paid more than it is owed."""
    charges = [Charge(one, f"2026-01-{i + 1:02d}", 1 + i % 2, 1, procedure=i + 1) for i, one in enumerate(owed)]
    wish = Wish(cents, 1, 1, 301, mode, patient_first=patient_first, prepayment=prepayment)

    parts = allocate(wish, charges)

    assert sum(part.cents for part in parts) == cents
    assert all(part.cents > 0 for part in parts)
    assert all(part.cents <= owed[part.procedure - 1] for part in parts if part.procedure)
