"""What people do with money, at a practice whose book is on a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from prometheus_client import generate_latest
from sqlalchemy import false

from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.agreements.instalment_terms import PlanOffer
from connector.billing.agreements.payment_requests import HoldStatus, PaymentHold
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment, RefundState
from connector.billing.invoices import CreditNote, Invoice, InvoiceStatus
from connector.billing.prices.discounts import PromoCode
from connector.billing.prices.pricing import PromoTerms
from connector.daemon.health import Health, health_app
from connector.database.sums import sum_of
from connector.ledger.write_back.models import Leg, WriteBack
from connector.use_cases.books.report_day import report_day
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.patient_pages.pay_invoice import pay_invoice
from connector.use_cases.patient_pages.promo_tries import OF_NO_USE
from connector.use_cases.payment_plans.agree_payment_plan import propose_payment_plan
from connector.use_cases.payment_plans.change_payment_plan import change_payday
from connector.use_cases.payment_plans.pay_plan_early import pay_early, pay_off
from connector.use_cases.plans.promo_codes import add_promo_code
from connector.use_cases.requests.hold_payment import authorise_hold
from connector.use_cases.requests.settle_hold import capture_hold, release_hold
from connector.use_cases.returns.refund_payment import refund_payment
from tests.support.at_once import at_once
from tests.support.commands import command, document
from tests.support.patient_browser import Browser, browsing, field, text_of
from tests.support.platform_fees import on_tier
from tests.support.post import Post
from tests.support.postgres import PostgresServer
from tests.support.practice import Practice
from tests.support.practice_setup import running_practice
from tests.support.requests import STAFF, aud, give, hold_for, invoices, method_of, plan_of

PRICE = 2_990


@pytest.fixture
def practice(postgres: PostgresServer, tmp_path: Path, hasty_stripe: None) -> Iterator[Practice]:
    """A practice of its own, with its book on the server."""
    with running_practice(tmp_path, database_url=postgres.new_database()) as running:
        yield running


@pytest.fixture
def browser(practice: Practice) -> Iterator[Browser]:
    """A patient's browser on that practice's pages."""
    with browsing(practice) as running:
        yield running


def metrics(practice: Practice) -> str:
    """What the daemon tells of the queue."""
    health = Health(practice.clock)
    health_app(practice.context.database, health, practice.clock)
    return generate_latest(health.registry).decode()


def test_a_sum_of_cents_is_a_whole_number_also_of_nothing(practice: Practice) -> None:
    """The server's own SUM is a decimal, or nothing, and money takes neither."""
    practice.paid()

    with practice.context.database.read() as session:
        sums = [sum_of(session, Payment.amount_cents), sum_of(session, Payment.amount_cents, false())]

    assert sums == [PRICE, 0]
    assert {type(cents) for cents in sums} == {int}


def test_a_payment_with_the_patients_fee_is_given_back_in_parts(practice: Practice) -> None:
    """At Stripe's dashboard, here, and from the practice's bank: shown, credited, reversed and verified to the cent."""
    on_tier(practice, fee_bearer="patient")
    practice.paid()
    practice.settle()
    (payment,) = practice.all(Payment)
    for cents in ("500", "700"):
        practice.refund(amount=cents)
        assert practice.charge() == []

    refund = document(practice, "payments", "refund", payment.id, "--amount", "3.00", "--reason", "goodwill", "--yes")
    day = f"{practice.today:%Y-%m-%d}"
    noted = command(practice, "payments", "record-refund", payment.id, "--amount", "2.00", "--on", day, "--yes")
    shown = document(practice, "payments", "show", payment.id)

    assert (refund["state"], noted.code) == ("succeeded", 0), noted
    assert (shown["payment"]["returned_cents"], shown["refundable_cents"]) == (1_700, payment.amount_cents - 1_700)
    assert [note.amount_cents for note in practice.all(CreditNote)] == [500, 700, 300, 200]
    assert sum(row.amount_cents for row in practice.all(WriteBack) if row.leg is Leg.REVERSAL) < 1_700
    assert verify_ledger(practice.context).faults == []
    assert 'connector_write_backs_waiting_cents{state="queued"}' in metrics(practice)


def test_a_dispute_that_is_won_too_late_leaves_money_that_staff_hear_of(practice: Practice, tmp_path: Path) -> None:
    """The invoice was paid a second time meanwhile. What is given back of it makes no credit note."""
    post = Post(practice, tmp_path / "outbox")
    with practice.context.database.unit_of_work() as session:
        session.get_one(Location, practice.location.id).email = "office@example.org"
    person = post.enrol()
    assert practice.charge() == []
    (first,) = practice.all(Payment)
    practice.stripe.post("disputes", charge=first.processor_charge_id)
    practice.advance(days=1)
    assert practice.charge() == []
    (invoice,) = practice.all(Invoice)
    assert invoice.status is InvoiceStatus.OVERDUE
    give(practice, person, "pm_card_mastercard")
    pay_invoice(practice.context, invoice.id, "https://example.com/back")

    practice.stripe.post("disputes/won", dispute=practice.stripe_listed("disputes")[0]["id"])
    practice.advance(days=1)
    assert practice.charge() == []
    post.send()

    assert any("$29.90 too much for LEURA-000001" in mail for mail in post.mails())
    refund_payment(practice.context, first.id, aud(PRICE), "paid twice", STAFF)
    assert practice.all(CreditNote) == []
    assert verify_ledger(practice.context).faults == []
    assert report_day(practice.context, practice.location, practice.today).differences == ()


def test_a_payment_is_given_back_by_one_of_two_at_once(practice: Practice) -> None:
    """The other hears that nothing is left of it."""
    practice.paid()
    (payment,) = practice.all(Payment)

    def refund() -> RefundState:
        return refund_payment(practice.context, payment.id, payment.amount, "", STAFF).state

    ends = at_once(practice.context.database, refund, refund)

    assert RefundState.SUCCEEDED in ends
    assert [end for end in ends if str(end).startswith(f"Nothing is left of the payment {payment.id}")]
    assert len(practice.stripe_listed("refunds")) == len(practice.all(CreditNote)) == 1


def test_holds_are_taken_in_part_or_let_go(practice: Practice) -> None:
    """Of two who decide at once one does; what is taken has its invoice, what is let go has none."""
    payer = practice.enrol(frequency=Frequency.ANNUALLY)
    assert practice.charge() == []
    taken, let_go, contested = (hold_for(practice, payer, cents) for cents in (12_000, 5_000, 3_000))
    for hold_id in (taken, let_go, contested):
        authorise_hold(practice.context, hold_id, method_of(practice, payer))

    capture_hold(practice.context, taken, aud(7_550), STAFF)
    release_hold(practice.context, let_go, STAFF)
    ends = at_once(
        practice.context.database,
        lambda: capture_hold(practice.context, contested, None, STAFF),
        lambda: release_hold(practice.context, contested, STAFF),
    )
    practice.advance(minutes=6)
    assert practice.charge() == []

    found = {hold.id: hold.status for hold in practice.all(PaymentHold)}
    assert (found[taken], found[let_go]) == (HoldStatus.CAPTURED, HoldStatus.RELEASED)
    won = found[contested] is HoldStatus.CAPTURED
    refused = "there is nothing to release" if won else "only an authorised one can be captured"
    assert found[contested] in ends
    assert any(refused in end for end in ends), ends
    assert [row.amount_cents for row in invoices(practice)] == [7_550] + [3_000] * won
    assert verify_ledger(practice.context).faults == []


def test_a_payment_plan_is_accepted_moved_and_paid_early_once(browser: Browser) -> None:
    """Whoever presses twice at once agrees once, and the rest is paid off once; the amounts add up to the cent."""
    practice, database = browser.practice, browser.context.database
    person = practice.enrol(frequency=Frequency.ANNUALLY)
    assert practice.charge() == []
    offer = PlanOffer(aud(100_001), aud(0), aud(2_500), 6, Frequency.MONTHLY, practice.today)
    plan_id = propose_payment_plan(practice.context, person.member_id, offer, STAFF).plan_id
    path = browser.path(plan_id)

    answers = at_once(database, lambda: browser.agree(path).status_code, lambda: browser.agree(path).status_code)
    assert practice.charge() == []
    pay_early(practice.context, plan_id, 1, STAFF)
    change_payday(practice.context, plan_id, practice.today + timedelta(days=75), STAFF)
    ends = at_once(database, *[lambda: pay_off(practice.context, plan_id, STAFF).draft.period] * 2)
    assert practice.charge() == []

    assert answers == [200, 200], answers
    assert [end for end in ends if isinstance(end, str)] == [
        f"All instalments of the payment plan {plan_id} are invoiced: their invoices are to be paid."
    ]
    assert plan_of(practice).status is AgreementStatus.COMPLETED
    assert sum(row.amount_cents for row in invoices(practice)) == 102_501
    practice.assert_exactly_once()


def test_the_last_use_of_a_code_goes_to_one_of_two_who_sign_up_at_once(browser: Browser) -> None:
    """The other agrees without it, and both become members who have paid."""
    practice = browser.practice
    terms = PromoTerms("SPRING", amount_cents=1_000, max_uses=1)
    add_promo_code(browser.context, location_slug="leura", terms=terms, actor=STAFF)
    paths = [browser.path(practice.enrol(None).contract_id) for _ in range(2)]
    shown = [field(browser.press(path, "preview", promo="SPRING").text, "shown") for path in paths]

    def sign(path: str, seen: str) -> httpx.Response:
        return browser.sign(path, promo="SPRING", shown=seen)

    first, second = (partial(sign, *each) for each in zip(paths, shown, strict=True))
    answers = [answer for answer in at_once(browser.context.database, first, second) if not isinstance(answer, str)]

    assert sorted(answer.status_code for answer in answers) == [200, 303]
    (refused,) = (answer for answer in answers if answer.status_code == 200)
    assert OF_NO_USE in text_of(refused.text)
    browser.give(browser.sign(paths[answers.index(refused)]))
    browser.give(next(answer for answer in answers if answer.status_code == 303))
    browser.hear()
    assert practice.charge() == []
    assert sorted(row.amount_cents for row in practice.all(Payment)) == [1_990, PRICE]
    assert [code.used for code in practice.all(PromoCode)] == [1]
    practice.assert_exactly_once()


def test_an_invoice_is_paid_once_by_whoever_presses_twice_at_once(browser: Browser) -> None:
    """The slower request hears that it is being paid, or was."""
    practice = browser.practice
    person = practice.enrol("pm_card_decline_insufficient_funds", adopted=True)
    assert practice.charge() == []
    give(practice, person, "pm_card_visa")
    (invoice,) = practice.all(Invoice)
    path = browser.path(invoice.id)

    answers = at_once(browser.context.database, *[lambda: text_of(browser.press(path, "pay").text)] * 2)

    assert any("$29.90 for invoice LEURA-000001 has been paid" in answer for answer in answers), answers
    assert all("has been paid" in answer or "is being made already" in answer for answer in answers), answers
    assert (len(practice.stripe_charges()), practice.all(Invoice)[0].status) == (1, InvoiceStatus.COMPLETED)
    practice.assert_exactly_once()
