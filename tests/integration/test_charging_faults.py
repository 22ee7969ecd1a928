"""Charging under every disturbance between us and Stripe: one successful charge per invoice, and never two."""

from __future__ import annotations

from collections import Counter
from threading import Barrier, Thread
from typing import Any

import pytest

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import AttemptState, Charge, ChargeAttempt, Payment
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.stripe.client import THROTTLED_SENDS
from connector.use_cases.collection.read_news import read_news
from connector.use_cases.collection.run_due import DueReport, run_due
from tests.support.practice import Practice

CREATE, CONFIRM = "/v1/payment_intents", "/v1/payment_intents/*/confirm"
LIBRARY_ATTEMPTS = 3
"""Stripe's library repeats a request twice with its key; a fault that lasts longer reaches our own code."""
DISTURBANCES = [
    pytest.param({"kind": "status_before", "status": 503}, id="503-before"),
    pytest.param({"kind": "status_after", "status": 500}, id="500-after"),
    pytest.param({"kind": "reset_before"}, id="reset-before"),
    pytest.param({"kind": "reset_after"}, id="reset-after"),
    pytest.param({"kind": "truncate"}, id="truncated-json"),
    pytest.param({"kind": "html_200"}, id="guest-network-page"),
    pytest.param({"kind": "rate_limit", "count": THROTTLED_SENDS}, id="429"),
]


def disturb(practice: Practice, path: str, count: int | None = LIBRARY_ATTEMPTS, **fault: object) -> None:
    """Disturb our next POSTs to that path at Stripe."""
    practice.stripe.post("faults", method="POST", path=path, count=count, **fault)


@pytest.mark.parametrize("path", [CREATE, CONFIRM], ids=["create", "confirm"])
@pytest.mark.parametrize("fault", DISTURBANCES)
def test_a_disturbed_charge_ends_as_one_payment(practice: Practice, path: str, fault: dict[str, Any]) -> None:
    """Whatever happened to the first requests, the runs after it end with one charge, one payment and one entry."""
    practice.enrol()
    disturb(practice, path, **fault)

    report = run_due(practice.context)

    assert report.problems != []
    practice.stripe_well_again()
    for _ in range(2):
        practice.advance(minutes=6)
        practice.work()
    assert len(practice.stripe_charges()) == len(practice.all(Payment)) == 1
    practice.assert_all_written()


@pytest.mark.parametrize("path", [CREATE, CONFIRM], ids=["create", "confirm"])
@pytest.mark.parametrize("kind", ["status_before", "status_after", "reset_before", "reset_after"])
def test_a_single_failure_is_repeated_at_once_under_the_same_key(practice: Practice, path: str, kind: str) -> None:
    """One lost answer costs nothing: the same run takes the money, once."""
    practice.enrol()
    disturb(practice, path, kind=kind, count=1)

    report = run_due(practice.context)

    assert (report.problems, report.charged) == ([], 1)
    practice.work()
    practice.assert_all_written()


@pytest.mark.parametrize("path", [CREATE, CONFIRM], ids=["create", "confirm"])
def test_an_answer_that_comes_too_late_is_asked_for_again(practice: Practice, path: str) -> None:
    """The request is still under way when it is repeated: Stripe says so, and that is no refusal."""
    practice.enrol()
    disturb(practice, path, kind="hang", delay_seconds=2.3, count=1)

    run_due(practice.context)

    (attempt,) = practice.all(ChargeAttempt)
    assert attempt.state is not AttemptState.FAILED
    for _ in range(100):
        # The server's own delay runs in real time, so the key may be in use a little longer.
        practice.advance(minutes=6)
        practice.work()
        if practice.states():
            break
    practice.assert_all_written()
    assert len(practice.stripe_charges()) == 1


def test_while_nothing_reaches_stripe_every_attempt_is_kept(practice: Practice) -> None:
    """An outage of an hour stops each run early; afterwards everybody is charged once."""
    for _ in range(5):
        practice.enrol()
    practice.stripe.post("down", down=True)

    for _ in range(6):
        assert run_due(practice.context).charged == 0
        practice.advance(minutes=10)

    assert {row.state for row in practice.all(ChargeAttempt)} == {AttemptState.PLANNED}
    practice.stripe.post("down", down=False)
    practice.work()
    assert len(practice.stripe_charges()) == 5
    practice.assert_all_written()


def test_a_key_that_stripe_refuses_stops_the_run_and_burns_no_attempt(practice: Practice) -> None:
    """After the first 401 nothing more is sent; with the right key everybody is charged."""
    for _ in range(3):
        practice.enrol()
    error = '{"error": {"type": "invalid_request_error", "message": "Invalid API Key provided."}}'
    disturb(practice, "/v1/*", count=2, kind="status_before", status=401, body=error)

    report = run_due(practice.context)

    assert (report.charged, report.stopped, practice.stripe_listed("payment_intents")) == (0, True, [])
    assert "check the Stripe key" in report.problems[0]
    assert len(practice.stripe.get("/_sandbox/faults")["faults"]) == 1
    assert {row.state for row in practice.all(ChargeAttempt)} == {AttemptState.PLANNED}
    practice.stripe_well_again()
    practice.work()
    assert len(practice.stripe_charges()) == 3
    practice.assert_all_written()


def test_a_day_after_its_answer_was_lost_the_charge_is_looked_up_and_not_confirmed_again(practice: Practice) -> None:
    """Stripe has forgotten the key by then, and the object itself says that the money was taken."""
    practice.enrol()
    disturb(practice, CONFIRM, kind="reset_after")
    run_due(practice.context)
    assert len(practice.stripe_charges()) == 1

    practice.advance(hours=25)
    disturb(practice, CONFIRM, kind="status_before", count=None)
    report = run_due(practice.context)

    assert report.problems == []
    assert len(practice.all(Payment)) == 1
    practice.work()
    practice.assert_all_written()


def test_a_charge_that_was_prepared_before_a_days_outage_is_still_taken(practice: Practice) -> None:
    """The object says that it was never confirmed, so it is confirmed now: nobody is overdue for our outage."""
    practice.enrol()
    disturb(practice, CONFIRM, kind="status_before")
    run_due(practice.context)
    assert practice.stripe_charges() == []

    practice.advance(hours=25)
    practice.work()

    assert len(practice.stripe_charges()) == 1
    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.COMPLETED]
    practice.assert_all_written()


def test_a_charge_that_stripe_cannot_confirm_for_days_becomes_overdue(practice: Practice) -> None:
    """Asked again for three days, then given up without money taken, so that a person hears of it."""
    practice.enrol("pm_card_apiError")

    for _ in range(20):
        practice.work()
        practice.advance(hours=6)

    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.OVERDUE]
    assert practice.all(ChargeAttempt)[0].failure_code == "unanswered"
    assert practice.stripe_charges() == []
    practice.assert_exactly_once()


def test_a_payment_object_whose_answer_was_lost_for_a_day_takes_no_money(practice: Practice) -> None:
    """A second object is made under the forgotten key; only the one that we know is ever confirmed."""
    practice.enrol()
    disturb(practice, CREATE, kind="reset_after")
    run_due(practice.context)

    practice.advance(hours=25)
    practice.work()

    intents = practice.stripe_listed("payment_intents")
    assert sorted(intent["status"] for intent in intents) == ["requires_payment_method", "succeeded"]
    assert len(practice.stripe_charges()) == 1
    practice.assert_all_written()


def test_running_again_charges_nobody_again(practice: Practice) -> None:
    """The due date has moved on with the invoice."""
    for _ in range(3):
        practice.enrol()

    for _ in range(3):
        practice.work()

    assert len(practice.all(Invoice)) == len(practice.stripe_charges()) == 3
    practice.assert_all_written()


def test_two_runs_at_once_charge_everybody_once(practice: Practice) -> None:
    """Two threads issue and collect the same periods at the same time."""
    for _ in range(6):
        practice.enrol()
    start, reports = Barrier(2), list[DueReport]()

    def run() -> None:
        start.wait()
        reports.append(run_due(practice.context))

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(reports) == 2
    practice.advance(minutes=6)
    practice.work()
    assert sum(report.invoiced for report in reports) == len(practice.all(Invoice)) == 6
    assert len(practice.all(Charge)) == len(practice.stripe_charges()) == 6
    practice.assert_all_written()


def test_periods_missed_while_the_program_was_off_are_charged_once_each(practice: Practice) -> None:
    """Ten weeks without the program: an invoice a week with its own due date, and a charge for each on its own day."""
    practice.set_policy(catch_up="all")
    practice.enrol(frequency=Frequency.WEEKLY)
    practice.work()

    practice.advance(weeks=10)
    for _ in range(13):
        practice.work()
        practice.advance(days=1)

    invoices = practice.all(Invoice)
    # The eleventh week falls due while the ten before it are caught up with.
    assert [row.period for row in sorted(invoices, key=lambda row: row.period)] == list(range(12))
    assert len({row.due_date for row in invoices}) == 12
    days = [attempt.debit_on for attempt in practice.all(ChargeAttempt)]
    assert len(set(days)) == len(days) == 12
    assert len(practice.stripe_charges()) == 12
    practice.assert_all_written()


def test_every_week_is_charged_once_across_the_change_to_summer_time(practice: Practice) -> None:
    """Daily runs from September into October bring one invoice per week on the same weekday."""
    practice.enrol(frequency=Frequency.WEEKLY)
    for _ in range(43):
        practice.work()
        practice.advance(days=1)

    due = [row.due_date for row in sorted(practice.all(Invoice), key=lambda row: row.period)]
    assert [day.isoformat() for day in due] == [
        *("2026-09-01", "2026-09-08", "2026-09-15", "2026-09-22", "2026-09-29", "2026-10-06", "2026-10-13"),
    ]
    assert Counter(row["PayDate"] for row in practice.pms_rows()) == Counter(day.isoformat() for day in due)
    practice.assert_all_written()


def test_a_member_whose_very_first_charge_is_declined_has_not_begun(practice: Practice) -> None:
    """Nothing else is invoiced; a card that works begins the membership, and the months between are never billed."""
    person = practice.enrol("pm_card_chargeCustomerFail")
    practice.work()
    assert practice.all(Contract)[0].status is AgreementStatus.FAILED
    practice.advance(days=70)
    practice.work()
    assert len(practice.all(Invoice)) == 1

    practice.sign_up(person, "pm_card_visa")
    practice.work()

    (contract,) = practice.all(Contract)
    assert (contract.status, contract.next_period, str(contract.next_due)) == (AgreementStatus.ACTIVE, 3, "2026-12-01")
    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.COMPLETED]
    practice.assert_all_written()


def test_a_declined_member_is_overdue_and_still_invoiced_for_the_next_period(practice: Practice) -> None:
    """A decline is an answer, not a fault: no repeat within the period, and the next period is tried on its own."""
    practice.enrol("pm_card_declineOnce_insufficient_funds", adopted=True)
    practice.work()
    (invoice,) = practice.all(Invoice)
    assert (invoice.status, practice.stripe_charges()) == (InvoiceStatus.OVERDUE, [])
    assert practice.all(ChargeAttempt)[0].failure_code == "insufficient_funds"

    practice.advance(days=31)
    practice.work()

    statuses = [row.status for row in sorted(practice.all(Invoice), key=lambda row: row.period)]
    assert statuses == [InvoiceStatus.OVERDUE, InvoiceStatus.COMPLETED]
    assert practice.all(Contract)[0].status is AgreementStatus.OVERDUE
    assert len(practice.stripe_charges("failed")) == 1
    practice.assert_all_written()


def test_nobody_is_charged_before_the_sign_up(practice: Practice) -> None:
    """A pending contract brings no invoice; the day of the sign-up is the first due date."""
    person = practice.enrol(None)
    practice.advance(days=40)
    practice.work()
    assert practice.all(Invoice) == []

    practice.sign_up(person, "pm_card_visa")
    practice.work()

    (invoice,) = practice.all(Invoice)
    assert invoice.due_date == practice.today
    practice.assert_all_written()


def test_news_of_a_charge_that_is_still_being_confirmed_changes_nothing(practice: Practice) -> None:
    """Events of other accounts' charges and of unconfirmed ones are read and left alone."""
    practice.enrol()
    disturb(practice, CONFIRM, kind="status_before")
    run_due(practice.context)

    for _ in range(3):
        assert read_news(practice.context).problems == []

    assert practice.all(ChargeAttempt)[0].state is AttemptState.SENDING
    practice.advance(minutes=6)
    practice.work()
    practice.assert_all_written()


def test_bursts_of_too_many_requests_hold_nobody_up(practice: Practice) -> None:
    """Forty-eight answers say so, in bursts: all is sent again after a pause, and each charge is made once, at once."""
    for _ in range(12):
        practice.enrol()
    for _ in range(8):
        practice.stripe.post("faults", method="POST", path="/v1/payment_intents*", kind="rate_limit", skip=2, count=6)

    report = run_due(practice.context)

    assert report.problems == []
    assert len(practice.stripe_charges()) == len(practice.all(Payment)) == 12
    practice.assert_exactly_once()
