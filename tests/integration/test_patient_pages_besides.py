"""A new card pays all that is overdue: each page on which one can be given says so, with the sum, beforehand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connector.billing.collecting.charges import Payment
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.use_cases.requests.hold_payment import request_hold
from connector.use_cases.requests.request_payment import request_payment
from tests.support.patient_browser import Browser, browsing, text_of
from tests.support.practice import Enrolled, Practice
from tests.support.requests import STAFF, aud


@pytest.fixture
def browser(practice: Practice) -> Iterator[Browser]:
    """A patient's browser on the practice's pages."""
    with browsing(practice) as running:
        yield running


@pytest.fixture
def owing(practice: Practice) -> Enrolled:
    """A member whose second and third payment were declined."""
    person = practice.paid()
    practice.sign_up(person, "pm_card_decline_insufficient_funds")
    for _ in range(2):
        practice.advance(days=31)
        practice.charge()
    states = [invoice.status for invoice in practice.all(Invoice)]
    assert states == [InvoiceStatus.COMPLETED, InvoiceStatus.OVERDUE, InvoiceStatus.OVERDUE]
    return person


@pytest.mark.usefixtures("owing")
def test_the_page_of_an_overdue_invoice_says_what_a_new_card_pays_in_all(browser: Browser) -> None:
    """Invoices and sum stand on our page and beside the button of Stripe's, and that sum is what is taken."""
    practice = browser.practice
    path = browser.path(practice.all(Invoice)[2].id)

    shown = text_of(browser.get(path).text)
    assert "Invoice LEURA-000002, overdue since 01/10/2026, taken on 03/11/2026 $29.90" in shown
    assert "The amount above $29.90" in shown and "In all $59.80" in shown
    assert "Pay now with card ending 0341" in shown and "Pay $59.80 with another card or bank account" in shown
    away = browser.press(path, "method")
    at_stripe = text_of(practice.stripe.client.get(away.headers["Location"]).text)
    assert "What else is overdue, $29.90 in all, is collected, too: LEURA-000002 due 01/10/2026." in at_stripe
    browser.give(away)
    browser.hear()
    practice.charge()
    practice.advance(days=1)
    practice.charge()

    assert [payment.amount_cents for payment in practice.all(Payment)] == [2990, 2990, 2990]
    practice.assert_exactly_once()


def test_pages_of_other_things_say_what_else_a_new_card_pays(browser: Browser, owing: Enrolled) -> None:
    """A request adds it to what is due now; a hold takes nothing itself."""
    asked = request_payment(browser.context, owing.member_id, [(aud(5_000), None)], STAFF)
    held = request_hold(browser.context, owing.member_id, aud(20_000), STAFF)

    request, hold = (text_of(browser.get(browser.path(subject)).text) for subject in (asked, held))

    assert "The amount above $50.00" in request and "In all $109.80" in request
    assert "Overdue in all $59.80" in hold


def test_what_is_owed_alone_is_not_listed(browser: Browser) -> None:
    """Neither on the page of the only overdue invoice, nor where nothing is overdue."""
    practice = browser.practice
    person = practice.paid()
    asked = request_payment(browser.context, person.member_id, [(aud(5_000), None)], STAFF)
    assert "Paid with the card" not in browser.get(browser.path(asked)).text
    practice.sign_up(person, "pm_card_decline_insufficient_funds")
    practice.advance(days=31)
    practice.charge()

    (overdue,) = (row for row in practice.all(Invoice) if row.status is InvoiceStatus.OVERDUE)
    page = browser.get(browser.path(overdue.id)).text

    assert "Paid with the card" not in page and "Use another card or bank account" in page
