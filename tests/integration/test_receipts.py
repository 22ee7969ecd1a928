"""Receipts: who is told that a payment arrived, and the page on which the paid invoice can be seen and saved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from connector.billing.agreements.schedule import Frequency
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.links import SecureLink
from connector.billing.members import Member
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.use_cases.collection.record_desk_payment import DeskMethod, record_desk_payment
from connector.use_cases.messages.list_messages import resend_message
from connector.use_cases.patient_pages.manage_links import send_link
from connector.use_cases.patient_pages.pay_invoice import Paid, pay_invoice
from tests.support.commands import assert_refused
from tests.support.patient_browser import PUBLIC_URL, Browser, browsing, text_of
from tests.support.post import Post, tokens
from tests.support.practice import Practice
from tests.support.processes import until
from tests.support.requests import STAFF

RECEIPT, START = MessageKind.RECEIPT, date(2026, 9, 1)


@pytest.fixture
def post(practice: Practice, tmp_path: Path) -> Post:
    """A practice whose messages can be read."""
    return Post(practice, tmp_path / "outbox")


@pytest.fixture
def browser(practice: Practice) -> Iterator[Browser]:
    """A patient's browser on the practice's pages."""
    with browsing(practice) as running:
        yield running


def receipts(post: Post) -> list[date]:
    """The days on which payments were told, oldest first."""
    return [day for _, day in post.queued(RECEIPT)]


def weekly(post: Post, method: str = "pm_card_visa") -> list[date]:
    """Somebody who pays weekly joins, and pays three times."""
    post.enrol(method, frequency=Frequency.WEEKLY, adopted=False)
    post.practice.charge()
    post.days(14)
    assert len(post.practice.stripe_charges()) == 3
    return receipts(post)


def paid_path(post: Post) -> str:
    """The path of the page that the newest receipt leads to."""
    return f"/l/{tokens(post.mails()[-1:])[0]}"


def test_whoever_has_just_joined_is_told_at_once_that_the_first_payment_arrived(post: Post) -> None:
    """At any hour, because they wait for it, with amount, method and invoice number."""
    post.practice.advance(hours=13)
    post.enrol(adopted=False)
    post.practice.charge()

    post.send()

    (mail,) = post.mails()
    for words in ("Receipt from Leura Dental for $29.90", "card ending in 4242", "LEURA-000001", "until 01/10/2026"):
        assert words in mail
    assert post.texts() == []


def test_the_link_of_a_receipt_shows_the_paid_invoice_until_it_expires(post: Post, browser: Browser) -> None:
    """Looking and pressing use it up no more than anything else; a new one is sent to whoever had one."""
    post.enrol(adopted=False)
    post.practice.charge()
    post.send()
    path = paid_path(post)

    for _ in range(3):
        page, document = browser.get(path), browser.get(f"{path}/invoice")
        assert (page.status_code, document.status_code) == (200, 200)
        assert "Your invoice is paid $29.90 Invoice LEURA-000001." in text_of(page.text)
        assert "Ada Ferris" in document.text and "Card on 01/09/2026: $29.90" in document.text
        assert "<form" not in page.text
        assert browser.press(path, "method").text == browser.press(path, "pay").text == page.text

    post.practice.advance(days=30)
    assert (browser.get(path).status_code, browser.get(f"{path}/invoice").status_code) == (404, 404)
    browser.press(path, "new")
    until(lambda: post.queued(MessageKind.NEW_LINK) != [], "the message is queued")
    post.send()
    assert "You can see and save it here" in post.mails()[-1]
    assert browser.get(paid_path(post)).status_code == 200
    assert len(post.practice.stripe_charges()) == 1


def test_a_weekly_payer_hears_of_the_first_payment_and_not_of_each(post: Post) -> None:
    """Each debit was announced before; two messages for each would soon be read by nobody."""
    assert weekly(post) == [START]


@pytest.mark.parametrize(("setting", "count"), [("all", 3), ("sparing", 1), ("few", 1)])
def test_a_location_decides_who_is_told(post: Post, setting: str, count: int) -> None:
    """The first payment is told in any case."""
    post.practice.set_policy(receipts=setting)

    assert len(weekly(post)) == count


@pytest.mark.parametrize(("setting", "count"), [("sparing", 2), ("few", 1)])
def test_a_monthly_payer_gets_an_invoice_each_month_unless_the_location_sends_few(
    post: Post, setting: str, count: int
) -> None:
    """It comes with the receipt."""
    post.practice.set_policy(receipts=setting)
    post.enrol(adopted=False)
    post.practice.charge()
    post.practice.advance(days=30)
    post.practice.charge()

    assert len(receipts(post)) == count


def test_a_payment_that_failed_at_first_is_told_when_it_arrives(post: Post) -> None:
    """Who was told of the failure is told of its end, however often they pay."""
    person = post.enrol(frequency=Frequency.WEEKLY, adopted=False)
    post.practice.charge()
    post.practice.sign_up(person, "pm_card_declineOnce_insufficient_funds")
    post.days(14)

    assert [invoice.status for invoice in post.practice.all(Invoice)] == [InvoiceStatus.COMPLETED] * 3
    assert receipts(post) == [START, date(2026, 9, 11)]


def test_what_a_payer_pays_on_a_page_has_a_receipt_at_once(post: Post) -> None:
    """Even where few are sent."""
    post.practice.set_policy(receipts="few")
    post.enrol("pm_card_declineOnce_insufficient_funds")
    post.practice.charge()
    (owed,) = post.practice.all(Invoice)

    paid = pay_invoice(post.practice.context, owed.id, f"{PUBLIC_URL}/thank-you")
    post.send()

    assert paid.paid is Paid.YES
    (mail,) = post.mails()
    for words in ("Receipt from Leura Dental", "Thank you. We received", "card ending in 0341", "LEURA-00000"):
        assert words in mail


def test_what_is_paid_at_the_practice_has_a_receipt(post: Post) -> None:
    """Without a method: how it was paid is the payer's and the practice's matter."""
    post.practice.set_policy(receipts="few")
    post.enrol("pm_card_decline_insufficient_funds")
    post.practice.charge()
    (owed,) = post.practice.all(Invoice)

    record_desk_payment(post.practice.context, owed.id, DeskMethod.CASH, post.practice.today, STAFF)
    post.send()

    (mail,) = post.mails()
    assert "We received $29.90 on 01/09/2026 for invoice LEURA-000001." in mail


def test_without_pages_of_our_own_a_receipt_has_no_link(post: Post) -> None:
    """No page of the processor shows an invoice; the payer can ask for it."""
    post.practice.context = replace(post.practice.context, public_url="")
    post.enrol(adopted=False)
    post.practice.charge()

    post.send()

    (mail,) = post.mails()
    assert "please ask us for it" in mail
    assert "http" not in mail
    assert post.practice.all(SecureLink) == []


def test_nobody_is_chased_for_an_address_because_of_a_receipt(post: Post) -> None:
    """Whoever has no e-mail address has none, and staff are not told so with each payment."""
    person = post.enrol(adopted=False)
    with post.practice.context.database.unit_of_work() as session:
        session.get_one(Member, person.member_id).email = ""
    post.practice.charge()

    tally = post.send()

    assert (tally.sent, tally.failed, tally.unreachable, tally.problems) == (0, 0, 1, [])


def test_a_receipt_can_be_sent_again_and_revokes_the_older_link(post: Post, browser: Browser) -> None:
    """The remedy for a mail that was lost."""
    post.enrol(adopted=False)
    post.practice.charge()
    post.send()
    first = paid_path(post)
    (message,) = post.practice.all(Message)

    resend_message(post.practice.context, message.id, STAFF)
    post.send()

    assert (browser.get(first).status_code, browser.get(paid_path(post)).status_code) == (404, 200)


def test_staff_send_a_link_to_a_paid_invoice(post: Post, browser: Browser) -> None:
    """Without pages of our own they are told what to do instead."""
    post.enrol()
    post.practice.charge()
    (invoice,) = post.practice.all(Invoice)

    expires_on = send_link(post.practice.context, invoice.id, STAFF)
    post.send()

    assert expires_on == date(2026, 10, 1)
    assert "Your invoice from Leura Dental is paid." in post.mails()[-1]
    assert browser.get(paid_path(post)).status_code == 200
    assert_refused(post.practice, f"`connector invoices pdf {invoice.id}`", "patient-links", "send", invoice.id)


def test_an_invoice_whose_money_was_fetched_back_is_shown_as_paid_no_more(post: Post, browser: Browser) -> None:
    """The link was for a paid invoice; what is owed again is asked for in other ways."""
    post.enrol(adopted=False)
    post.practice.charge()
    post.send()
    path = paid_path(post)
    (charge,) = post.practice.stripe_charges()

    post.practice.stripe.post("disputes", payment_intent=charge["payment_intent"])
    post.practice.charge()

    assert [invoice.status for invoice in post.practice.all(Invoice)] == [InvoiceStatus.OVERDUE]
    assert browser.get(path).status_code == 404
