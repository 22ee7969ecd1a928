"""A payer whose card was declined gives another one, and what is overdue is collected with it, once."""

from __future__ import annotations

from datetime import timedelta

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.collecting.charges import AttemptState, ChargeAttempt, Payment
from connector.billing.inbox import InboxEvent
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.use_cases.collection.read_news import NewsReport, handle_events
from connector.use_cases.collection.run_due import run_due
from tests.support.practice import Practice


def test_a_new_card_pays_what_is_overdue_and_the_contract_goes_on(practice: Practice) -> None:
    """The same payment object is confirmed again, so there is one success for the invoice."""
    person = practice.enrol("pm_card_chargeCustomerFail")
    practice.work()
    assert practice.all(Contract)[0].status is AgreementStatus.FAILED

    practice.sign_up(person, "pm_card_visa")
    practice.work()
    practice.settle()

    assert [invoice.status for invoice in practice.all(Invoice)] == [InvoiceStatus.COMPLETED]
    assert practice.all(Contract)[0].status is AgreementStatus.ACTIVE
    assert len(practice.stripe_listed("payment_intents")) == 1
    practice.assert_all_written()


def test_a_second_card_that_fails_too_leaves_the_invoice_overdue(practice: Practice) -> None:
    """Two attempts are on record, and a third card on the same day is asked for on a page of its own."""
    person = practice.enrol("pm_card_chargeCustomerFail")
    practice.work()
    practice.advance(hours=1)
    practice.sign_up(person, "pm_card_decline_insufficient_funds")
    practice.work()

    assert [attempt.failure_code for attempt in practice.all(ChargeAttempt)] == [
        "generic_decline",
        "insufficient_funds",
    ]
    assert [invoice.status for invoice in practice.all(Invoice)] == [InvoiceStatus.OVERDUE]
    practice.sign_up(person, "pm_card_visa")
    practice.work()
    assert len(practice.all(Payment)) == 1
    practice.assert_exactly_once()


def test_late_news_of_the_first_failure_does_not_end_the_second_attempt(practice: Practice) -> None:
    """The payment object shows the old failure until the new confirmation arrives."""
    person = practice.enrol("pm_card_chargeCustomerFail")
    practice.work()
    practice.sign_up(person, "pm_card_visa")
    practice.stripe.post("faults", method="POST", path="/v1/payment_intents/*/confirm", kind="status_before", count=3)
    run_due(practice.context)
    with practice.context.database.unit_of_work() as session:
        for event in session.query(InboxEvent):
            event.handled_at = None

    handle_events(practice.context, NewsReport())

    assert practice.all(ChargeAttempt)[-1].state is AttemptState.SENDING
    practice.advance(minutes=10)
    practice.work()
    assert [invoice.status for invoice in practice.all(Invoice)] == [InvoiceStatus.COMPLETED]
    practice.assert_exactly_once()


def test_an_invoice_that_nobody_could_be_charged_for_is_collected_once_there_is_a_card(practice: Practice) -> None:
    """No method was usable when it was issued; the first that comes pays it."""
    person = practice.enrol("pm_becs_fail_account_closed")
    practice.work()
    practice.advance(days=32)
    practice.work()
    assert [invoice.status for invoice in practice.all(Invoice)] == [InvoiceStatus.OVERDUE] * 2

    practice.sign_up(person, "pm_card_visa")
    practice.work()
    practice.settle()

    assert [invoice.status for invoice in practice.all(Invoice)] == [InvoiceStatus.COMPLETED] * 2
    assert practice.clock.now() - practice.all(Invoice)[0].issued_at > timedelta(days=31)
    practice.assert_all_written()
