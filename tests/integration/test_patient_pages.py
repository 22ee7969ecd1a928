"""The patients' pages over real HTTP: invoices, requests, plans, holds and changes, from the link to the money."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.agreements.instalment_terms import PlanOffer
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import HoldStatus, InstantPayment, PaymentHold, RequestStatus
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import AttemptState, ChargeAttempt, Origin, Payment
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.links import SecureLink
from connector.billing.offers.plan_changes import PlanChange, PlanChangeStatus
from connector.money import Money
from connector.use_cases.collection.plan_attempts import payers, plan_again
from connector.use_cases.payment_plans.agree_payment_plan import propose_payment_plan
from connector.use_cases.plans.change_plan import change_plan
from connector.use_cases.requests.hold_payment import request_hold
from connector.use_cases.requests.request_payment import request_payment
from tests.support.patient_browser import Browser, browsing, text_of
from tests.support.practice import Practice


@pytest.fixture
def browser(practice: Practice) -> Iterator[Browser]:
    """A patient's browser on the practice's pages."""
    with browsing(practice) as running:
        yield running


def aud(cents: int) -> Money:
    return Money(cents, "aud")


def overdue(browser: Browser, method: str = "pm_card_declineOnce_insufficient_funds") -> Invoice:
    """A member whose second payment was declined."""
    practice = browser.practice
    person = practice.paid()
    practice.sign_up(person, method)
    practice.advance(days=31)
    practice.charge()
    (invoice,) = (row for row in practice.all(Invoice) if row.period == 1)
    assert invoice.status is InvoiceStatus.OVERDUE
    return invoice


def test_a_declined_invoice_is_paid_on_its_page_once(browser: Browser) -> None:
    """The page shows what is due and the last digits; one button pays; afterwards the link is used."""
    invoice = overdue(browser)
    path = browser.path(invoice.id)

    shown = text_of(browser.get(path).text)
    assert "A payment is overdue" in shown
    assert "$29.90" in shown and "due 01/10/2026" in shown
    assert "Pay now with card ending" in shown
    done = browser.press(path, "pay")

    assert done.status_code == 200
    assert "has been paid" in text_of(done.text)
    assert browser.practice.all(Invoice)[1].status is InvoiceStatus.COMPLETED
    assert browser.get(path).status_code == 404
    assert "has been paid already" in text_of(browser.press(path, "pay").text)
    assert len(browser.practice.all(Payment)) == 2
    browser.practice.assert_exactly_once()


def test_a_decline_says_nothing_about_a_stolen_card_and_another_card_pays(browser: Browser) -> None:
    """Lost and stolen read like any other decline, and the payer can use another card at once."""
    invoice = overdue(browser, "pm_card_decline_stolen_card")
    path = browser.path(invoice.id)

    shown = browser.get(path).text

    assert "Your bank declined the payment" in text_of(shown)
    assert "stolen" not in shown and "lost" not in shown
    assert "Pay now with" not in shown
    browser.give(browser.press(path, "method"))
    browser.hear()
    browser.practice.charge()
    assert browser.practice.all(Invoice)[1].status is InvoiceStatus.COMPLETED
    assert browser.get(path).status_code == 404
    browser.practice.assert_exactly_once()


def test_a_bank_that_asks_gets_its_answer_and_the_page_shows_how_it_stands(browser: Browser) -> None:
    """The browser is sent to the bank; before the answer the link shows that; after it the payment is there, once."""
    invoice = overdue(browser, "pm_card_authenticationRequired")
    path = browser.path(invoice.id)

    away = browser.press(path, "pay")

    assert away.status_code == 303
    assert "Your bank is asking you" in browser.get(path).text
    back = browser.practice.stripe.client.post(away.headers["Location"], data={"outcome": "success"})
    assert back.headers["Location"].startswith("https://pay.leura.example/thank-you")
    assert "token" not in back.headers["Location"] and path not in back.headers["Location"]
    browser.hear()
    assert browser.practice.all(Invoice)[1].status is InvoiceStatus.COMPLETED
    assert browser.get(path).status_code == 404
    browser.practice.assert_exactly_once()


def test_a_payer_who_left_the_bank_page_can_begin_anew(browser: Browser) -> None:
    """Nothing was taken by the first try; the second one is an attempt of its own on the same payment object."""
    invoice = overdue(browser, "pm_card_authenticationRequired")
    path = browser.path(invoice.id)
    browser.press(path, "pay")

    away = browser.press(path, "pay")
    assert away.status_code == 303, text_of(away.text)
    browser.practice.stripe.client.post(away.headers["Location"], data={"outcome": "success"})
    browser.hear()

    tries = [row.state for row in browser.practice.all(ChargeAttempt) if row.origin is Origin.PAYER]
    assert tries == [AttemptState.FAILED, AttemptState.SUCCEEDED]
    browser.practice.assert_exactly_once()


def test_paying_takes_the_place_of_the_planned_retry(browser: Browser) -> None:
    """What was planned for the day is called off, so it cannot charge again."""
    invoice = overdue(browser)
    with browser.context.database.unit_of_work() as session:
        row = session.get_one(Invoice, invoice.id)
        payer = payers(session, {row.member_id})[row.member_id]
        later = browser.practice.today + timedelta(days=3)
        assert plan_again(
            session, browser.practice.location, row, payer.method_id, Origin.RETRY, later, browser.context.clock.now()
        )

    browser.press(browser.path(invoice.id), "pay")

    states = {row.origin: row.state for row in browser.practice.all(ChargeAttempt)[-2:]}
    assert states == {Origin.RETRY: AttemptState.WITHDRAWN, Origin.PAYER: AttemptState.SUCCEEDED}


def test_the_invoice_can_be_read_while_the_link_is_good(browser: Browser) -> None:
    """As a page of its own that loads nothing, with the policy that forbids it to."""
    invoice = overdue(browser)
    path = browser.path(invoice.id)

    answer = browser.get(f"{path}/invoice")

    assert answer.status_code == 200
    assert "LEURA-000002" in text_of(answer.text)
    assert "form-action 'none'" in answer.headers["Content-Security-Policy"]
    browser.press(path, "pay")
    assert browser.get(f"{path}/invoice").status_code == 404


def test_a_processor_that_is_away_takes_nothing_and_the_payer_can_try_again(browser: Browser) -> None:
    """What was certainly not sent is called off."""
    invoice = overdue(browser)
    path = browser.path(invoice.id)
    browser.practice.stripe.post(
        "faults", method="POST", path="/v1/checkout/sessions", kind="status_before", status=503, count=9
    )

    refused = browser.press(path, "method")

    assert "try again in a few minutes" in text_of(refused.text)
    assert "has been paid" in text_of(browser.press(path, "pay").text)


def test_an_instant_payment_is_paid_now_and_later(browser: Browser) -> None:
    """What is due is charged while the payer is there; the rest on its day, by the run."""
    practice = browser.practice
    person = practice.paid()
    later = practice.today + timedelta(days=10)
    request_id = request_payment(
        browser.context, person.member_id, [(aud(5000), None), (aud(2500), later)], "front desk", "Crown"
    )
    path = browser.path(request_id)

    shown = text_of(browser.get(path).text)
    assert "Crown" in shown and "$50.00" in shown and "$25.00" in shown and "11/09/2026" in shown
    assert "Thank you" in browser.press(path, "pay").text

    paid = {row.amount_cents: row.status for row in practice.all(Invoice) if row.instant_payment_id}
    assert paid == {5000: InvoiceStatus.COMPLETED, 2500: InvoiceStatus.OPEN}
    practice.advance(days=10)
    practice.charge()
    assert practice.all(InstantPayment)[0].status is RequestStatus.COMPLETED
    assert browser.get(path).status_code == 404
    practice.assert_exactly_once()


def test_a_declined_request_shows_how_it_stands_and_can_be_paid_with_another_card(browser: Browser) -> None:
    """The acceptance is made, so the link goes on showing the present state until it is paid."""
    practice = browser.practice
    person = practice.paid()
    practice.sign_up(person, "pm_card_decline_insufficient_funds")
    request_id = request_payment(browser.context, person.member_id, [(aud(5000), None)], "front desk")
    path = browser.path(request_id)

    assert "enough money" in text_of(browser.press(path, "pay").text)
    assert "Payment request" in browser.get(path).text
    browser.give(browser.press(path, "method"))
    browser.hear()
    practice.charge()

    assert practice.all(InstantPayment)[0].status is RequestStatus.COMPLETED
    assert browser.get(path).status_code == 404
    practice.assert_exactly_once()


def test_a_payment_plan_shows_its_whole_schedule_and_is_accepted_once(browser: Browser) -> None:
    """With the card on file one button is enough; the second press accepts nothing more."""
    practice = browser.practice
    person = practice.paid()
    first = practice.today + timedelta(days=7)
    offer = PlanOffer(aud(120_000), aud(20_000), aud(1_500), 4, Frequency.MONTHLY, first)
    plan_id = propose_payment_plan(browser.context, person.member_id, offer, "front desk").plan_id
    path = browser.path(plan_id)

    shown = text_of(browser.get(path).text)
    assert "$1,200.00" in shown and "Today 01/09/2026 $215.00" in shown
    assert [f"Instalment {number}" in shown for number in range(1, 5)] == [True] * 4
    assert "08/12/2026 $250.00" in shown
    assert "Your payment plan is set up" in browser.agree(path).text
    assert "Your payment plan is set up" in browser.press(path, "accept").text

    assert practice.all(PaymentPlan)[0].status is AgreementStatus.ACTIVE
    practice.charge()
    assert max(payment.amount_cents for payment in practice.all(Payment)) == 21_500


def test_a_payment_plan_is_accepted_by_giving_a_card(browser: Browser) -> None:
    """Somebody without a method accepts on the processor's page."""
    practice = browser.practice
    person = practice.enrol(None)
    offer = PlanOffer(aud(90_000), aud(0), aud(0), 3, Frequency.MONTHLY, practice.today)
    plan_id = propose_payment_plan(browser.context, person.member_id, offer, "front desk").plan_id
    path = browser.path(plan_id)

    browser.give(browser.agree(path, "method"), "pm_becs_success")
    assert browser.get(path).status_code == 200
    browser.hear()

    assert practice.all(PaymentPlan)[0].status is AgreementStatus.ACTIVE
    assert browser.get(path).status_code == 404


def test_a_hold_is_put_on_a_card_and_never_on_a_bank_account(browser: Browser) -> None:
    """A bank account is kept, but the request goes on waiting for a card."""
    practice = browser.practice
    person = practice.enrol(None)
    hold_id = request_hold(browser.context, person.member_id, aud(20_000), "front desk", "Deposit")
    path = browser.path(hold_id)
    browser.give(browser.press(path, "method"), "pm_becs_success")
    browser.hear()
    assert practice.all(PaymentHold)[0].status is HoldStatus.REQUESTED
    assert "Give a card" in browser.get(path).text

    practice.advance(minutes=1)
    browser.give(browser.press(path, "method"))
    browser.hear()

    assert practice.all(PaymentHold)[0].status is HoldStatus.AUTHORISED
    assert browser.get(path).status_code == 404
    assert practice.all(Payment) == []


def test_a_hold_goes_on_the_card_on_file(browser: Browser) -> None:
    """One button; nothing is charged by it."""
    practice = browser.practice
    person = practice.paid()
    path = browser.path(request_hold(browser.context, person.member_id, aud(20_000), "front desk"))

    answer = browser.press(path, "accept")

    assert "Nothing was charged" in text_of(answer.text)
    assert practice.all(PaymentHold)[0].status is HoldStatus.AUTHORISED
    assert browser.get(path).status_code == 404


@pytest.mark.parametrize(
    ("action", "status"), [("accept", PlanChangeStatus.ACCEPTED), ("decline", PlanChangeStatus.WITHDRAWN)]
)
def test_a_change_of_plan_is_shown_and_answered_once(browser: Browser, action: str, status: PlanChangeStatus) -> None:
    """Old and new terms stand side by side; the first answer counts."""
    person = browser.practice.paid()
    change_id = change_plan(browser.context, person.contract_id, person.member_id, "Premium", "front desk")
    path = browser.path(change_id)

    shown = text_of(browser.get(path).text)
    assert "$29.90" in shown and "$64.50" in shown and "Essential" in shown and "Premium" in shown
    assert browser.press(path, action).status_code == 200
    other = browser.press(path, "decline" if action == "accept" else "accept")

    assert other.status_code == 404
    assert browser.practice.all(PlanChange)[0].status is status
    assert [link.ended_because for link in browser.practice.all(SecureLink)] == ["consumed"]
