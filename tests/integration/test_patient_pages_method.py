"""Changing the card or bank account of a membership or payment plan that runs, by a link that staff send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.schedule import Frequency
from connector.billing.members import PaymentMethod
from connector.use_cases.patient_pages.manage_links import send_link
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan
from tests.support.commands import assert_refused, command
from tests.support.patient_browser import Browser, browsing, text_of
from tests.support.post import Post, tokens
from tests.support.practice import Practice
from tests.support.requests import STAFF, aud


@pytest.fixture
def browser(practice: Practice) -> Iterator[Browser]:
    """A patient's browser on the practice's pages."""
    with browsing(practice) as running:
        yield running


@pytest.fixture
def post(practice: Practice, tmp_path: Path) -> Post:
    """A practice whose messages can be read."""
    return Post(practice, tmp_path / "outbox")


def digits(practice: Practice) -> list[str]:
    """The last digits of what is charged now."""
    return [method.last4 for method in practice.all(PaymentMethod) if method.usable]


def test_an_active_member_gives_another_card_by_a_link_that_staff_send(post: Post, browser: Browser) -> None:
    """The page names the present card; the new one takes its place, nothing is charged for it, and the link is used."""
    person = post.enrol(adopted=False)
    post.practice.charge()

    expires_on = send_link(post.practice.context, person.contract_id, STAFF)
    post.send()
    mail = post.mails()[-1]
    path = f"/l/{tokens([mail])[0]}"
    shown = text_of(browser.get(path).text)

    assert expires_on == date(2026, 10, 1)
    assert "another card or bank account" in mail
    assert "paid with your card ending 4242. The next payment falls due on 01/10/2026." in shown
    browser.give(browser.press(path, "method"), "pm_card_mastercard")
    browser.hear()
    post.practice.charge()
    assert digits(post.practice) == ["4444"]
    assert browser.get(path).status_code == 404
    assert "taken from the new card or bank account" in text_of(browser.press(path, "method").text)
    assert len(post.practice.stripe_charges()) == 1


def test_the_page_names_what_is_overdue_and_a_new_card_pays(browser: Browser) -> None:
    """Also of the membership itself: nobody should be surprised by a charge."""
    practice = browser.practice
    person = practice.paid()
    practice.sign_up(person, "pm_card_decline_insufficient_funds")
    practice.advance(days=31)
    practice.charge()
    path = browser.path(person.contract_id)

    shown = text_of(browser.get(path).text)
    away = browser.press(path, "method")
    at_stripe = text_of(practice.stripe.client.get(away.headers["Location"]).text)
    browser.give(away)
    browser.hear()
    practice.charge()

    assert "Invoice LEURA-000002, overdue since 01/10/2026" in shown and "Overdue in all $29.90" in shown
    assert "what falls due from now on under your membership. What else is overdue, $29.90 in all" in at_stripe
    assert len(practice.stripe_charges()) == 2
    practice.assert_exactly_once()


def test_the_method_of_a_payment_plan_is_changed_in_the_same_way(browser: Browser) -> None:
    """It stays as it was accepted."""
    practice = browser.practice
    person = practice.enrol(frequency=Frequency.ANNUALLY)
    practice.charge()
    plan_id = start_payment_plan(
        practice.context, person.member_id, aud(100_000), 5, Frequency.MONTHLY, date(2026, 9, 9)
    )
    path = browser.path(plan_id)

    assert "Your payment plan is paid with your card ending 4242." in text_of(browser.get(path).text)
    browser.give(browser.press(path, "method"), "pm_card_mastercard")
    browser.hear()

    assert digits(practice) == ["4444"]
    assert browser.get(path).status_code == 404
    assert [plan.next_due for plan in practice.all(PaymentPlan)] == [date(2026, 9, 9)]


def test_without_pages_of_our_own_the_processors_page_is_made_when_the_link_is_sent(post: Post) -> None:
    """It is open for a day, and the command says so."""
    post.practice.context = replace(post.practice.context, public_url="")
    person = post.enrol()

    done = command(post.practice, "patient-links", "send", person.contract_id)
    post.send()

    assert "open for a day from when it is sent" in done.out
    assert post.practice.stripe.address in post.mails()[-1] and "open for one day" in post.mails()[-1]


def test_at_the_desk_the_page_is_opened_and_the_link_is_named(practice: Practice) -> None:
    """`members invite` sends nothing, also for a contract whose first payment was declined."""
    person = practice.enrol("pm_card_decline_insufficient_funds")
    practice.charge()

    done = command(practice, "members", "invite", person.contract_id)

    assert f"`connector patient-links send {person.contract_id}` sends a link" in done.out
    assert practice.stripe.address in done.out


def test_a_cancelled_contract_has_no_link(practice: Practice) -> None:
    """Nothing is taken for it any more."""
    person = practice.paid()
    assert command(practice, "members", "cancel", person.contract_id, "--yes").code == 0

    assert_refused(practice, "does not wait for the payer", "patient-links", "send", person.contract_id)
