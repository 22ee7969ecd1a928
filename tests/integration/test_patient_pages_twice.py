"""Whoever submits a page twice reads what came of it; whoever only has a used link reads nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from connector.billing.agreements.instalment_terms import PlanOffer
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import Payment
from connector.billing.invoices import Invoice
from connector.use_cases.patient_pages.manage_links import list_links, revoke_link
from connector.use_cases.payment_plans.agree_payment_plan import propose_payment_plan
from connector.use_cases.plans.change_plan import change_plan
from connector.use_cases.requests.hold_payment import request_hold
from connector.use_cases.requests.request_payment import request_payment
from tests.support.patient_browser import Browser, browsing, field, text_of
from tests.support.practice import Practice
from tests.support.requests import STAFF, aud


@pytest.fixture
def browser(practice: Practice) -> Iterator[Browser]:
    """A patient's browser on the practice's pages."""
    with browsing(practice) as running:
        yield running


def invoice(browser: Browser) -> str:
    """A second payment that was declined."""
    practice = browser.practice
    person = practice.paid()
    practice.sign_up(person, "pm_card_declineOnce_insufficient_funds")
    practice.advance(days=31)
    practice.charge()
    return practice.all(Invoice)[1].id


def request(browser: Browser) -> str:
    return request_payment(browser.context, browser.practice.paid().member_id, [(aud(5_000), None)], STAFF)


def plan(browser: Browser) -> str:
    offer = PlanOffer(aud(30_000), aud(0), aud(0), 3, Frequency.MONTHLY, browser.practice.today)
    return propose_payment_plan(browser.context, browser.practice.paid().member_id, offer, STAFF).plan_id


def hold(browser: Browser) -> str:
    return request_hold(browser.context, browser.practice.paid().member_id, aud(20_000), STAFF)


def change(browser: Browser) -> str:
    person = browser.practice.paid()
    return change_plan(browser.context, person.contract_id, person.member_id, "Premium", STAFF)


EACH = [
    (invoice, "pay", "has been paid already"),
    (request, "pay", "has been paid already"),
    (plan, "accept", "Your payment plan is set up"),
    (hold, "accept", "Nothing was charged"),
    (change, "accept", "You have accepted the change"),
    (change, "decline", "You have declined the change"),
]


@pytest.mark.parametrize(("ask", "action", "sentence"), EACH)
def test_the_slower_of_two_clicks_reads_what_came_of_the_first(
    browser: Browser, ask: Callable[[Browser], str], action: str, sentence: str
) -> None:
    """For some minutes and nothing is done twice; looking, another button and a later click find a used link."""
    path = browser.path(ask(browser))
    page = browser.get(path).text
    form = {"shown": field(page, "shown")} if "shown" in page else {}
    assert browser.press(path, action, **form).status_code == 200
    paid = len(browser.practice.all(Payment))

    again = browser.press(path, action, **form)

    assert again.status_code == 200
    assert sentence in text_of(again.text) and "Leura Dental" in again.text
    used = [browser.get(path), browser.press(path, "sign_up"), browser.press(path, "decline-it")]
    browser.practice.clock.advance(timedelta(minutes=11))
    used.append(browser.press(path, action, **form))
    assert [answer.status_code for answer in used] == [404] * 4
    assert len({answer.text for answer in used}) == 1
    assert len(browser.practice.all(Payment)) == paid


def test_whoever_signs_up_in_two_windows_reads_in_the_second_that_it_is_done(browser: Browser) -> None:
    """The first one was completed at Stripe meanwhile."""
    path = browser.path(browser.practice.enrol(None).contract_id)
    page = browser.get(path).text
    browser.give(browser.sign(path))
    browser.hear()

    second = browser.press(path, "sign_up", shown=field(page, "shown"), agreed="yes")

    assert "You have joined already" in text_of(second.text)
    assert browser.get(path).status_code == 404


def test_a_link_that_was_revoked_or_replaced_tells_nothing_of_what_was_paid_with_another(browser: Browser) -> None:
    """Whoever should not have had it learns nothing by submitting it."""
    request_id = request(browser)
    revoked = browser.path(request_id)
    revoke_link(browser.context, list_links(browser.context, browser.practice.location)[0].id, STAFF)
    replaced, good = browser.path(request_id), browser.path(request_id)

    assert browser.press(good, "pay").status_code == 200

    assert [browser.press(path, "pay").status_code for path in (revoked, replaced, good)] == [404, 404, 200]


def test_a_request_that_is_paid_long_after_it_was_agreed_to_tells_it_to_the_second_click(browser: Browser) -> None:
    """The link ended with the acceptance, an hour before another card paid."""
    practice = browser.practice
    person = practice.paid()
    practice.sign_up(person, "pm_card_declineOnce_insufficient_funds")
    path = browser.path(request_payment(browser.context, person.member_id, [(aud(5_000), None)], STAFF))
    assert "enough money" in text_of(browser.press(path, "pay").text)
    practice.advance(hours=1)

    assert "is paid" in text_of(browser.press(path, "pay").text)
    assert "has been paid already" in text_of(browser.press(path, "pay").text)
    practice.assert_exactly_once()
