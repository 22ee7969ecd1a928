"""Write-backs under every disturbance between us and the practice system: one entry per payment, and never two."""

from __future__ import annotations

import json

import pytest

from connector.ledger.write_back import queue
from connector.ledger.write_back.states import WriteBackState
from connector.use_cases.books.connection_troubles import retry_connection
from tests.support.practice import PAYMENTS_PATH, Practice

S = WriteBackState

LANDED = [
    pytest.param({"kind": "status_after", "status": 504}, id="504"),
    pytest.param({"kind": "status_after", "status": 500}, id="500"),
    pytest.param({"kind": "reset_after"}, id="reset"),
    pytest.param({"kind": "truncate"}, id="truncated-json"),
    pytest.param({"kind": "status_after", "status": 201, "body": '{"PayNum": "?"}'}, id="garbled-number"),
]
NOT_LANDED = [
    pytest.param({"kind": "status_before", "status": 504}, id="504"),
    pytest.param({"kind": "status_before", "status": 503}, id="503"),
    pytest.param({"kind": "reset_before"}, id="reset"),
    pytest.param({"kind": "html_200"}, id="guest-network-page"),
    pytest.param({"kind": "status_before", "status": 200, "body": '{"ok": true}'}, id="foreign-json"),
    pytest.param({"kind": "status_before", "status": 201, "body": "[]"}, id="foreign-list"),
    pytest.param({"kind": "status_before", "status": 302}, id="redirect"),
    pytest.param({"kind": "rate_limit"}, id="429"),
]
READ_TROUBLE = [
    pytest.param({"kind": "status_before", "status": 500}, id="500"),
    pytest.param({"kind": "reset_before"}, id="reset"),
    pytest.param({"kind": "truncate"}, id="truncated-json"),
    pytest.param({"kind": "html_200"}, id="guest-network-page"),
    pytest.param({"kind": "status_before", "status": 200, "body": '{"ok": true}'}, id="foreign-json"),
    pytest.param({"kind": "rate_limit"}, id="429"),
    pytest.param({"kind": "status_before", "status": 401}, id="401"),
]


def test_while_the_practice_system_resets_connections_the_row_stays_queued(practice: Practice) -> None:
    """Nothing is burnt during an outage, and the payment goes out once afterwards."""
    practice.paid()
    practice.office.post("down", down=True)

    tallies = [practice.write() for _ in range(3)]

    waiting = practice.write_back()
    assert all(tally.problem and tally.sent == 0 for tally in tallies)
    assert (waiting.state, waiting.attempts, practice.pms_rows()) == (S.QUEUED, 0, [])
    practice.office.post("down", down=False)
    practice.advance(minutes=1)
    practice.write()
    practice.assert_all_written()


def test_while_nobody_listens_the_row_stays_queued(practice: Practice) -> None:
    """A refused connection burns nothing, and the payment goes out once when the server is back."""
    practice.paid()
    practice.office_server.stop()

    tally = practice.write()

    assert tally.problem is not None
    assert (practice.write_back().state, practice.write_back().attempts) == (S.QUEUED, 0)
    practice.office_server.start()
    practice.write()
    practice.assert_all_written()


@pytest.mark.parametrize("fault", LANDED)
def test_a_write_that_landed_without_a_clear_answer_is_found_by_looking(
    practice: Practice, fault: dict[str, object]
) -> None:
    """It is unknown, is not sent again, and is confirmed by our reference."""
    practice.paid()
    practice.office.post("faults", method="POST", path=PAYMENTS_PATH, **fault)

    practice.write()

    assert practice.states() == [S.UNKNOWN]
    practice.write()
    assert len(practice.pms_rows()) == 1
    practice.settle()
    row = practice.write_back()
    assert practice.history(row) == [S.QUEUED, S.SENDING, S.UNKNOWN, S.CONFIRMED]
    practice.assert_all_written()


@pytest.mark.parametrize("fault", NOT_LANDED)
def test_a_write_that_did_not_land_is_sent_again_only_after_two_looks(
    practice: Practice, fault: dict[str, object]
) -> None:
    """Absent twice, a settle window apart, and only then a second request."""
    practice.paid()
    practice.office.post("faults", method="POST", path=PAYMENTS_PATH, **fault)

    practice.write()

    assert (practice.states(), practice.pms_rows()) == ([S.UNKNOWN], [])
    practice.advance(minutes=5)
    practice.write()
    looked = practice.write_back()
    assert (looked.state, looked.looks, practice.pms_rows()) == (S.UNKNOWN, 1, [])
    practice.advance(minutes=5)
    practice.write()
    row = practice.write_back()
    assert practice.history(row) == [S.QUEUED, S.SENDING, S.UNKNOWN, S.QUEUED, S.SENDING, S.ACCEPTED, S.CONFIRMED]
    practice.assert_all_written()


def test_a_write_that_lands_forty_seconds_after_the_504_is_not_repeated(practice: Practice) -> None:
    """The first look waits until a late write can no longer land unseen."""
    practice.paid()
    practice.office.post("late-writes", delay_seconds=40, count=1)

    practice.write()

    assert (practice.states(), practice.pms_rows()) == ([S.UNKNOWN], [])
    for _ in range(20):
        practice.advance(seconds=15)
        practice.write()
    assert practice.write_back().attempts == 1
    practice.assert_all_written()


@pytest.mark.parametrize("fault", READ_TROUBLE)
def test_without_a_look_before_it_nothing_is_sent(practice: Practice, fault: dict[str, object]) -> None:
    """Reading comes first: while it fails the row stays queued, and recovers by itself."""
    practice.paid()
    practice.office.post("faults", method="GET", path=PAYMENTS_PATH, count=3, **fault)

    tally = practice.write()

    assert tally.sent == 0
    assert (practice.states(), practice.pms_rows()) == ([S.QUEUED], [])
    practice.settle()
    practice.settle()
    practice.assert_all_written()


@pytest.mark.parametrize("fault", READ_TROUBLE)
def test_a_look_that_fails_proves_nothing(practice: Practice, fault: dict[str, object]) -> None:
    """An unknown row stays unknown while the practice system cannot be read, and is found afterwards."""
    practice.paid()
    practice.fault("reset_after")
    practice.write()
    practice.office.post("faults", method="GET", path=PAYMENTS_PATH, count=3, **fault)

    practice.advance(minutes=5)
    practice.write()

    row = practice.write_back()
    assert (row.state, row.looks, row.attempts) == (S.UNKNOWN, 0, 1)
    practice.settle()
    practice.settle()
    practice.assert_all_written()


def test_a_write_that_cannot_be_looked_up_for_long_is_held_and_found_when_posted_again(practice: Practice) -> None:
    """A person is told after many failed looks; posting by hand looks first and does not write it twice."""
    practice.paid()
    practice.fault("reset_after")
    practice.write()
    practice.fault("status_before", method="GET", status=500, count=None)

    for _ in range(12):
        practice.advance(hours=2)
        practice.write()

    assert practice.states() == [S.HELD]
    practice.office.client.delete(f"{practice.office.address}/_sandbox/faults").raise_for_status()
    practice.by_hand(queue.post_by_person)
    practice.write()
    assert practice.write_back().attempts == 1
    practice.assert_all_written()


def test_a_write_that_never_arrives_is_held_after_some_attempts(practice: Practice) -> None:
    """Endless repetition helps nobody: a person is told, and can post it once the way is free."""
    practice.paid()
    practice.fault("html_200", count=5)

    for _ in range(20):
        practice.advance(minutes=5)
        practice.write()

    row = practice.write_back()
    assert (row.state, row.attempts, practice.pms_rows()) == (S.HELD, 5, [])
    practice.by_hand(queue.post_by_person)
    practice.write()
    practice.assert_all_written()


def test_a_refused_payment_waits_for_a_person_and_can_be_posted_again(practice: Practice) -> None:
    """A clear 400 means that nothing was changed: rejected with a reason, and never repeated by itself."""
    practice.paid()
    practice.fault("status_before", status=400, body="PayType is invalid.")

    practice.write()

    row = practice.write_back()
    assert row.state is S.REJECTED
    assert row.reason is not None
    assert "400" in row.reason
    practice.settle()
    assert practice.pms_rows() == []
    practice.by_hand(queue.post_by_person)
    practice.write()
    practice.assert_all_written()


def test_a_wrong_key_stops_the_run_and_recovers_when_the_key_is_right_again(practice: Practice) -> None:
    """The problem is named, no row is burnt, and a person may have it tried at once."""
    practice.paid()
    practice.office.post("options", key_enabled=False)

    tally = practice.write()

    assert tally.problem is not None
    assert "401" in tally.problem
    assert (practice.write_back().state, practice.write_back().attempts) == (S.QUEUED, 0)
    practice.office.post("options", key_enabled=True)
    assert retry_connection(practice.context, practice.location)
    practice.write()
    practice.assert_all_written()


def test_a_missing_permission_sends_the_row_back_to_the_queue(practice: Practice) -> None:
    """Reading works and writing is forbidden: queued with the reason, one request a run, and well again afterwards."""
    everything = practice.office.get("/_sandbox/options")["permissions"]
    for _ in range(3):
        practice.enrol()
    practice.charge()
    practice.office.post("options", permissions=[name for name in everything if name != "ApiPayments"])

    tally = practice.write()

    assert tally.problem is not None
    assert "permissions" in tally.problem
    assert (practice.states(), tally.sent, practice.pms_rows()) == ([S.QUEUED] * 3, 1, [])
    practice.office.post("options", permissions=everything)
    practice.advance(minutes=15)
    practice.write()
    practice.assert_all_written()


def test_hours_without_permission_do_not_use_up_the_attempts(practice: Practice) -> None:
    """Refusals that certainly changed nothing do not count towards being held."""
    everything = practice.office.get("/_sandbox/options")["permissions"]
    practice.paid()
    practice.office.post("options", permissions=[name for name in everything if name != "ApiPayments"])
    for _ in range(8):
        practice.advance(hours=1)
        practice.write()
    practice.office.post("options", permissions=everything)
    practice.fault("status_before", status=504)

    practice.advance(hours=1)
    practice.write()

    assert (practice.states(), practice.write_back().attempts) == ([S.UNKNOWN], 1)
    practice.settle()
    practice.assert_all_written()


def test_an_office_that_allows_few_requests_is_written_to_completely(practice: Practice) -> None:
    """429 on reads and writes slows the work and neither loses nor repeats an entry."""
    for _ in range(4):
        practice.enrol()
    practice.charge()
    practice.fault("rate_limit", method="GET", skip=1, count=4)
    practice.fault("rate_limit", method="POST", skip=1, count=2)

    for _ in range(8):
        practice.write()
        practice.advance(minutes=5)

    practice.assert_all_written()
    assert len(practice.pms_rows()) == 4


def test_an_entry_that_was_promised_and_is_not_there_is_held(practice: Practice) -> None:
    """201 is a claim; two complete looks that do not show the entry make it a person's matter, not a second write."""
    person = practice.paid()
    answer = json.dumps({"PayNum": 9_999, "PatNum": int(person.patient_id), "PayAmt": 29.90})
    practice.fault("status_before", status=201, body=answer)

    practice.write()

    assert practice.states() == [S.ACCEPTED]
    practice.settle()
    row = practice.write_back()
    assert (row.state, row.attempts, practice.pms_rows()) == (S.HELD, 1, [])
    practice.by_hand(queue.post_by_person)
    practice.write()
    practice.assert_all_written()
