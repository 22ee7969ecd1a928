"""Money without a debt: what is void cannot be paid any more, and what is kept or given back too much has a name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connector.billing.agreements.payment_requests import InstantPayment, RequestStatus
from connector.billing.collecting.charges import ABANDONED, ChargeAttempt, Payment
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.money import Money
from connector.reconciliation.differences import Balance, DifferenceKind, surpluses
from connector.use_cases.books.report_day import report_day
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.patient_pages.pay_invoice import pay_invoice
from connector.use_cases.requests.request_payment import cancel_request, request_payment
from connector.use_cases.returns.record_bank_refund import record_bank_refund
from tests.support.patient_browser import Browser, browsing
from tests.support.practice import Enrolled, Practice

DUE = Money(18_000, "aud")


@pytest.fixture
def browser(practice: Practice) -> Iterator[Browser]:
    with browsing(practice) as opened:
        yield opened


def at_the_bank(practice: Practice, browser: Browser) -> tuple[Enrolled, str, str]:
    """Somebody is asked for money and is sent to a page of the bank; the request's id and that page's address."""
    person = practice.enrol("pm_card_visa")
    practice.work()
    practice.sign_up(person, "pm_card_authenticationRequired")
    request_id = request_payment(browser.context, person.member_id, [(DUE, None)], "front desk")
    return person, request_id, browser.press(browser.path(request_id), "pay").headers["Location"]


def test_a_page_of_the_bank_that_was_left_takes_nothing_once_it_is_given_up(
    practice: Practice, browser: Browser
) -> None:
    """The request is cancelled, asked for anew and paid; the old page, confirmed after all, does nothing."""
    person, request_id, page = at_the_bank(practice, browser)
    practice.advance(minutes=70)
    practice.charge()
    cancel_request(browser.context, request_id, "front desk")
    practice.sign_up(person, "pm_card_mastercard")
    again = request_payment(browser.context, person.member_id, [(DUE, None)], "front desk")
    browser.press(browser.path(again), "pay")

    practice.stripe.client.post(page, data={"outcome": "success"})
    practice.charge()

    taken = [charge["amount"] for charge in practice.stripe_charges() if charge["amount"] == DUE.cents]
    assert taken == [DUE.cents]
    assert [row.status for row in practice.all(InstantPayment)] == [RequestStatus.CANCELLED, RequestStatus.COMPLETED]
    assert ABANDONED in [row.failure_code for row in practice.all(ChargeAttempt)]
    assert verify_ledger(practice.context).faults == []


def test_an_invoice_whose_page_was_given_up_is_paid_with_another_payment_object(
    practice: Practice, browser: Browser
) -> None:
    """The first object is cancelled for good; the link goes on working."""
    person, request_id, _ = at_the_bank(practice, browser)
    practice.advance(minutes=70)
    practice.charge()
    practice.sign_up(person, "pm_card_mastercard")

    browser.press(browser.path(request_id), "pay")
    practice.charge()

    assert [row.status for row in practice.all(InstantPayment)] == [RequestStatus.COMPLETED]
    assert practice.all(Payment)[-1].amount_cents == DUE.cents
    practice.assert_exactly_once()


def test_money_that_arrives_for_a_void_invoice_leaves_it_void_and_is_named(practice: Practice) -> None:
    """Whatever the way that it took: the day's report says so until it is given back."""
    practice.enrol("pm_becs_success")
    practice.work()
    with practice.context.database.unit_of_work() as session:
        session.query(Invoice).one().status = InvoiceStatus.CANCELLED
    for _ in range(5):
        practice.advance(days=1)
        practice.work()

    (payment,) = practice.all(Payment)
    found = report_day(practice.context, practice.location, payment.business_date)
    assert practice.all(Invoice)[0].status is InvoiceStatus.CANCELLED
    assert [(row.kind, row.cents) for row in found.differences] == [
        (DifferenceKind.KEPT_TOO_MUCH, payment.amount_cents)
    ]


def test_what_is_given_back_twice_is_named_and_the_book_has_no_fault(practice: Practice) -> None:
    """The practice has refunded from its own bank, and somebody refunds all of it at Stripe as well."""
    practice.paid()
    practice.write()
    (payment,) = practice.all(Payment)
    record_bank_refund(practice.context, payment.id, Money(2_000, "aud"), practice.today, "cash", "front desk")

    practice.refund()
    practice.charge()

    found = report_day(practice.context, practice.location, practice.today)
    assert [(row.kind, row.cents) for row in found.differences] == [(DifferenceKind.GIVEN_BACK_TOO_MUCH, -2_000)]
    assert verify_ledger(practice.context).faults == []


def test_an_invoice_is_kept_exactly_or_named() -> None:
    """Nothing kept, all kept and a part given back are in order; more than is owed and less than nothing are not."""
    owed = Money(100, "aud")

    def named(kept: int, demand: Money = owed) -> list[DifferenceKind]:
        return [found.kind for found in surpluses([Balance("LEURA-000001", demand, Money(kept, "aud"))])]

    assert [named(0), named(40), named(100)] == [[], [], []]
    assert named(101) == named(1, Money(0, "aud")) == [DifferenceKind.KEPT_TOO_MUCH]
    assert named(-1) == [DifferenceKind.GIVEN_BACK_TOO_MUCH]


def disputed(practice: Practice, payment: Payment, cents: int) -> str:
    """The payer's bank fetches so much of the payment back; returns the dispute's id."""
    practice.advance(minutes=1)
    practice.stripe.post("disputes", charge=payment.processor_charge_id, amount=cents)
    practice.work()
    return str(practice.stripe_listed("disputes")[-1]["id"])


def won(practice: Practice, dispute: str) -> InvoiceStatus:
    """The practice wins it; returns how the only invoice stands then."""
    practice.advance(minutes=1)
    practice.stripe.post("disputes/won", dispute=dispute)
    practice.work()
    practice.settle()
    (invoice,) = practice.all(Invoice)
    return invoice.status


def test_a_dispute_that_is_won_closes_an_unpaid_invoice_and_its_surplus_is_told(practice: Practice) -> None:
    """Ten dollars were fetched back and paid again, five of those too: with the ten won, five are too much."""
    practice.paid()
    practice.settle()
    first = disputed(practice, practice.all(Payment)[0], 1_000)
    pay_invoice(practice.context, practice.all(Invoice)[0].id, "https://example.com/back")
    practice.work()
    practice.settle()
    disputed(practice, practice.all(Payment)[-1], 500)

    assert won(practice, first) is InvoiceStatus.COMPLETED

    found = report_day(practice.context, practice.location, practice.today).differences
    assert [(row.kind, row.cents) for row in found] == [(DifferenceKind.KEPT_TOO_MUCH, 500)]
    assert [row.kind for row in practice.all(Message)].count(MessageKind.KEPT_TOO_MUCH) == 1
    assert verify_ledger(practice.context).faults == []
