"""The simulated Open Dental's surroundings: late writes, staff, faults, totals, and what survives a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.open_dental_office import ADA, BEN, KEYS, NOON, ZOE, RunningOffice, patient_file, running_office

_PROGRAM = """
import sys
from pathlib import Path
from connector.sandbox.open_dental import create_app
from connector.sandbox.server import serve
serve(create_app(Path(sys.argv[1]), Path(sys.argv[2])), 0, "open-dental")
"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[RunningOffice]:
    with running_office(tmp_path) as running:
        yield running


@contextmanager
def office_process(folder: Path) -> Iterator[RunningOffice]:
    """An office in a process of its own, which is killed at the end without a chance to tidy up."""
    arguments = [sys.executable, "-c", _PROGRAM, str(folder / "office.db"), str(folder / "patients.csv")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        office = RunningOffice(json.loads(process.stdout.readline())["address"])
        try:
            yield office
        finally:
            office.close()
            process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)


def test_a_late_write_lands_after_the_answer(office: RunningOffice) -> None:
    """The caller hears 504, the row is not there, and later it is, dated at its own time."""
    office.control("late-writes", {"delay_seconds": 55, "count": 1})

    answer = office.api("POST", "payments", {"PayAmt": "39", "PatNum": ADA, "CheckNum": "TOKEN"})
    at_once = office.get("payments")
    office.control("clock", {"now": "2026-03-02T12:00:54+11:00"})
    just_before = office.get("payments")
    office.control("clock", {"now": "2026-03-02T12:10:00+11:00"})
    landed = office.get("payments")

    assert answer.status_code == 504
    assert at_once == just_before == []
    assert [(row["CheckNum"], row["SecDateTEdit"]) for row in landed] == [("TOKEN", "2026-03-02 12:00:55")]
    assert office.pay()["PayNum"] > landed[0]["PayNum"]


def test_late_writes_are_counted_and_bad_ones_never_land(office: RunningOffice) -> None:
    """Only the next n are late, and one that the office would refuse leaves nothing behind."""
    office.control("late-writes", {"delay_seconds": 10, "count": 2})
    bodies = [{"PayAmt": "1", "PatNum": ADA}, {"PayAmt": "1", "PatNum": 77}, {"PayAmt": "2", "PatNum": ADA}]

    statuses = [office.api("POST", "payments", body).status_code for body in bodies]
    office.control("clock", {"now": "2026-03-02T12:01:00+11:00"})

    assert statuses == [504, 504, 201]
    assert sorted(row["PayAmt"] for row in office.get("payments")) == ["1", "2"]


def test_a_killed_office_comes_back_with_everything(tmp_path: Path) -> None:
    """Payments, late writes, numbers and the clock survive; the patient file is not read again."""
    patient_file(tmp_path)
    with office_process(tmp_path) as office:
        office.control("clock", {"now": NOON})
        kept = office.pay(CheckNum="KEPT")
        office.control("late-writes", {"delay_seconds": 30, "count": 1})
        office.api("POST", "payments", {"PayAmt": "5", "PatNum": BEN, "CheckNum": "LATE"})
    patient_file(tmp_path, "no longer a patient file")

    with office_process(tmp_path) as office:
        clock = office.control("clock")["now"]
        before = office.get("payments")
        office.control("clock", {"now": "2026-03-02T12:00:30+11:00"})
        after = office.get("payments")

    assert clock == "2026-03-02T01:00:00+00:00"
    assert [row["PayNum"] for row in before] == [kept["PayNum"]]
    assert [row["CheckNum"] for row in after] == ["KEPT", "LATE"]


def test_the_clock_never_goes_back(office: RunningOffice) -> None:
    """A server that stamps what it stores does not travel in time, and an instant needs a zone."""
    office.control("clock", {"now": "2026-03-01T12:00:00+11:00"})

    assert office.control("clock")["now"] == "2026-03-02T01:00:00+00:00"
    assert office.refused("clock", {"now": "2026-03-05T12:00:00"}).status_code == 400


def test_staff_edits_show_in_the_list(office: RunningOffice) -> None:
    """Staff can overwrite what the API cannot, and the splits follow."""
    number = office.pay("39", CheckNum="TOKEN")["PayNum"]
    office.control("clock", {"now": "2026-03-02T15:00:00+11:00"})

    office.staff("edit_payment", PayNum=number, PayAmt="93", PayDate="2026-02-28", PatNum=ZOE, PayNote="typo")

    row, split = office.get("payments")[0], office.get("paysplits", PayNum=number)[0]
    assert (row["PayAmt"], row["PayDate"], row["PatNum"], row["PayNote"]) == ("93", "2026-02-28", ZOE, "typo")
    assert (row["CheckNum"], row["SecDateTEdit"]) == ("TOKEN", "2026-03-02 15:00:00")
    assert (split["SplitAmt"], split["PatNum"], split["DatePay"]) == (93, ZOE, "2026-02-28")
    assert office.get(f"patients/{ADA}")["EstBalance"] == 0
    assert office.get(f"patients/{ZOE}")["EstBalance"] == -93


def test_staff_retype_a_check_number(office: RunningOffice) -> None:
    """The reference in CheckNum is not safe from staff, while the note keeps it."""
    number = office.pay(CheckNum="TOKEN", PayNote="TOKEN dues")["PayNum"]

    office.staff("retype_check_number", PayNum=number, CheckNum="4411")

    assert [(row["CheckNum"], row["PayNote"]) for row in office.get("payments")] == [("4411", "TOKEN dues")]


def test_a_deleted_payment_leaves_no_trace_and_its_number_is_not_used_again(office: RunningOffice) -> None:
    """There is no tombstone, and later rows move up in the paging."""
    first, second = office.pay()["PayNum"], office.pay()["PayNum"]

    office.staff("delete_payment", PayNum=second)

    assert [row["PayNum"] for row in office.get("payments")] == [first]
    assert office.get("paysplits", PayNum=second) == []
    assert office.pay()["PayNum"] > second


def test_a_payment_by_staff_is_not_the_apis(office: RunningOffice) -> None:
    """Its source is None, and the judge does not count it."""
    office.staff("add_payment", PatNum=ADA, PayAmt="12.30", CheckNum="55")

    row = office.get("payments")[0]
    assert (row["PaymentSource"], row["PayAmt"], row["CheckNum"]) == ("None", "12.3", "55")
    assert office.control("totals")["payments"] == {"count": 0, "cents": 0}


def test_a_merge_moves_everything_to_the_surviving_patient(office: RunningOffice) -> None:
    """The old number still exists, but no longer matches its payments."""
    number = office.pay()["PayNum"]
    office.api("PUT", "patfields", {"PatNum": ADA, "FieldName": "Membership", "FieldValue": "gold"})

    office.staff("merge_patients", PatNum=ADA, IntoPatNum=BEN)

    assert office.get("payments", PatNum=ADA) == []
    assert [row["PayNum"] for row in office.get("payments", PatNum=BEN)] == [number]
    assert [row["PatNum"] for row in office.get("paysplits", PayNum=number)] == [BEN]
    assert [row["PatNum"] for row in office.get("patfields")] == [BEN]
    assert [row["PatNum"] for row in office.get("patients", LName="Ferris", showArchived="true")] == [BEN]
    assert office.get(f"patients/{ADA}")["PatStatus"] == "Archived"
    assert office.get(f"patients/{BEN}")["Guarantor"] == BEN


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("staff", {"action": "burn"}),
        ("staff", {"action": "merge_patients", "PatNum": ADA, "IntoPatNum": ADA}),
        ("late-writes", {"count": 1, "delay_seconds": "soon"}),
        ("slow", {}),
        ("econnector", {"down": "yes"}),
    ],
)
def test_a_wrong_control_request_is_refused(office: RunningOffice, path: str, body: dict[str, object]) -> None:
    """A test that asks for nonsense hears of it."""
    answer = office.refused(path, body)

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_an_econnector_that_is_down_answers_400_in_remote_mode(office: RunningOffice) -> None:
    """The Service mode does not need it."""
    office.control("econnector", {"down": True})

    remote = office.api("POST", "payments", {"PayAmt": "39", "PatNum": ADA})
    office.control("options", {"mode": "service"})

    assert remote.status_code == 400
    assert office.get("payments") == []


def test_slow_requests_overlap(office: RunningOffice) -> None:
    """Eight slow requests at once take about as long as one, and each takes its time."""
    office.control("slow", {"milliseconds": 150})
    elapsed: list[float] = []

    def ask() -> None:
        elapsed.append(httpx.get(f"{office.address}/api/v1/clinics", headers=KEYS).elapsed.total_seconds())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(elapsed) == len(threads)
    assert min(elapsed) >= 0.15
    assert max(elapsed) < 8 * 0.15


@pytest.mark.parametrize(
    ("kind", "rows"), [("status_before", 0), ("status_after", 1), ("reset_before", 0), ("reset_after", 1)]
)
def test_faults_strike_before_or_after_the_write(office: RunningOffice, kind: str, rows: int) -> None:
    """The script of faults works on the API's paths, and only once."""
    office.control("faults", {"kind": kind, "method": "POST", "path": "/api/v1/payments", "status": 504})

    if kind.startswith("reset"):
        with pytest.raises(httpx.TransportError):
            office.api("POST", "payments", {"PayAmt": "39", "PatNum": ADA})
    else:
        assert office.api("POST", "payments", {"PayAmt": "39", "PatNum": ADA}).status_code == 504

    assert len(office.get("payments")) == rows


def test_the_judge_sees_counts_cents_and_surplus_rows(office: RunningOffice) -> None:
    """A refund that copies the reference is no duplicate; a third equal row is two surplus rows."""
    office.control("options", {"refund_copies_reference": True})
    first = office.pay("39.00", CheckNum="A", PayDate="2026-03-01")["PayNum"]
    others = [office.pay("1.10", ZOE, CheckNum="B")["PayNum"] for _ in range(3)]
    refund = office.api("POST", "payments/Refund", {"PayNum": first}).json()["PayNum"]

    totals, listed = office.control("totals"), office.control("payments")

    assert totals == {
        "payments": {"count": 4, "cents": 4230},
        "by_pay_date": {"2026-03-01": {"count": 1, "cents": 3900}, "2026-03-02": {"count": 3, "cents": 330}},
        "refunds": {"count": 1, "cents": 3900},
        "duplicates": 2,
    }
    assert listed["by_check_number"] == {"A": [first, refund], "B": others}
    assert [row["cents"] for row in listed["payments"]] == [3900, 110, 110, 110, -3900]
