"""Links that went to a wrong address or number: whoever got them can do nothing once staff have corrected it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.schedule import Frequency
from connector.billing.members import Member, PaymentMethod
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.money import Money
from connector.use_cases.members.add_member import Joining, add_member
from connector.use_cases.members.edit_member import Corrected, edit_member
from connector.use_cases.members.new_person import PersonDetails
from connector.use_cases.patient_pages.renew_link import renew_link
from connector.use_cases.requests.request_payment import request_payment
from tests.support.commands import command, document
from tests.support.patient_browser import Browser, browsing
from tests.support.practice import Practice
from tests.support.requests import STAFF

RIGHT = {"email": "ada@example.org"}


@pytest.fixture
def browser(practice: Practice) -> Iterator[Browser]:
    """A patient's browser on the practice's pages."""
    with browsing(practice) as running:
        yield running


def corrected(browser: Browser, member_id: str, **changes: str) -> Corrected:
    return edit_member(browser.context, member_id, changes, actor=STAFF)


@pytest.mark.parametrize("changes", [RIGHT, {"email": ""}])
def test_a_link_ends_with_the_address_that_it_went_to(browser: Browser, changes: dict[str, str]) -> None:
    """Every live link of the member, and nobody else's; what it was about is told."""
    practice = browser.practice
    person, other = practice.enrol(None), practice.enrol(None)
    request_id = request_payment(browser.context, person.member_id, [(Money(5000, "aud"), None)], STAFF)
    wrong = [browser.path(person.contract_id), browser.path(request_id)]
    good = browser.path(other.contract_id)

    done = corrected(browser, person.member_id, **changes)

    assert done.ended == sorted([person.contract_id, request_id])
    assert [browser.get(path).status_code for path in (*wrong, good)] == [404, 404, 200]
    assert browser.press(wrong[0], "sign_up", agreed="yes").status_code == 404


def test_a_number_that_is_replaced_ends_links_and_one_that_is_added_does_not(browser: Browser) -> None:
    """Where no number was known none got a link; another name or suburb ends none either."""
    person = browser.practice.enrol(None)
    path = browser.path(person.contract_id)

    added = corrected(browser, person.member_id, phone="0491 570 156", suburb="Leura")
    assert (added.ended, browser.get(path).status_code) == ([], 200)
    replaced = corrected(browser, person.member_id, phone="0491 570 157")
    assert (replaced.ended, browser.get(path).status_code) == ([person.contract_id], 404)


def test_a_page_of_stripe_that_a_stranger_has_opened_begins_nothing(browser: Browser) -> None:
    """The card is never charged, the stranger's number is forgotten, and the membership waits for the right person."""
    practice = browser.practice
    person = practice.enrol(None)
    opened = browser.sign(browser.path(person.contract_id), phone="0491 570 156")

    done = corrected(browser, person.member_id, **RIGHT)
    browser.give(opened)
    browser.hear()

    assert done.phone_forgotten
    assert practice.all(Contract)[0].status is AgreementStatus.PENDING
    assert [method.usable for method in practice.all(PaymentMethod)] == [False]
    assert [member.phone for member in practice.all(Member)] == [""]
    browser.give(browser.sign(browser.path(person.contract_id)), "pm_card_mastercard")
    browser.hear()
    assert practice.all(Contract)[0].status is AgreementStatus.ACTIVE


def test_a_page_counts_no_more_even_if_its_link_was_replaced_before(browser: Browser) -> None:
    """The stranger opened it, the practice sent the link again, and only then saw that the address was wrong."""
    practice = browser.practice
    person = practice.enrol(None)
    opened = browser.sign(browser.path(person.contract_id))
    browser.path(person.contract_id)

    corrected(browser, person.member_id, **RIGHT)
    browser.give(opened)
    browser.hear()

    assert practice.all(Contract)[0].status is AgreementStatus.PENDING


def test_a_request_that_was_agreed_to_is_not_shown_to_the_old_address(browser: Browser) -> None:
    """Its link goes on showing how it stands until it is paid, but only to its payer."""
    practice = browser.practice
    person = practice.paid()
    parts = [(Money(5000, "aud"), None), (Money(5000, "aud"), date(2026, 12, 1))]
    path = browser.path(request_payment(browser.context, person.member_id, parts, STAFF))
    browser.press(path, "pay")
    assert browser.get(path).status_code == 200

    corrected(browser, person.member_id, **RIGHT)

    assert browser.get(path).status_code == 404


def test_who_corrects_the_own_number_keeps_the_own_link(browser: Browser) -> None:
    """The page for signing up takes a number twice, and its link opens still."""
    practice = browser.practice
    path = browser.path(practice.enrol(None).contract_id)

    assert browser.sign(path, phone="0491 570 156").status_code == 303
    assert browser.sign(path, phone="0491 570 157").status_code == 303

    assert practice.all(Member)[0].phone == "+61491570157"
    assert browser.get(path).status_code == 200


def test_an_old_link_brings_a_new_one_to_the_right_address_only(browser: Browser) -> None:
    """The message is for the member, whose contact is read when it is sent."""
    person = browser.practice.enrol(None)
    path = browser.path(person.contract_id)
    corrected(browser, person.member_id, **RIGHT)

    renew_link(browser.context, path.removeprefix("/l/"))

    assert {(row.kind, row.member_id) for row in browser.practice.all(Message)} == {
        (MessageKind.NEW_LINK, person.member_id)
    }


def test_a_person_who_joins_again_with_another_number_ends_the_old_links(browser: Browser) -> None:
    """Staff correct a number also when they add somebody whom the practice knows already."""
    practice = browser.practice
    ada = PersonDetails("Ada", "Lovell", date(1980, 1, 2), "ada.lovell@example.com", "0491 570 156")
    joining = Joining("Essential", Frequency.MONTHLY)
    added = add_member(browser.context, "leura", ada, joining, actor=STAFF)
    request_id = request_payment(browser.context, added.member_id, [(Money(5000, "aud"), None)], STAFF)
    path = browser.path(request_id)
    command(practice, "members", "cancel", added.contract_id, "--yes")
    assert browser.get(path).status_code == 200

    again = add_member(browser.context, "leura", replace(ada, phone="0491 570 157"), joining, actor=STAFF)

    assert again.member_id == added.member_id
    assert browser.get(path).status_code == 404


def test_staff_are_told_and_can_send_again_in_one_go(browser: Browser) -> None:
    """Without --send-again the sentence names the command; with it the message is queued."""
    practice = browser.practice
    person = practice.enrol(None)
    edit = ("members", "edit", person.member_id, "--email")

    browser.path(person.contract_id)
    told = command(practice, *edit, "ada@example.org")
    assert f"has ended: send another with `connector patient-links send {person.contract_id}`." in told.out
    assert practice.all(Message) == []
    browser.path(person.contract_id)
    sent = document(practice, *edit, "ada@example.net", "--send-again")
    assert (sent["ended_links"], sent["sent_again"]) == ([person.contract_id], [person.contract_id])
    assert {row.kind for row in practice.all(Message)} == {MessageKind.INVITATION}
    none = document(practice, *edit, "ada@example.com", "--send-again")
    assert (none["ended_links"], none["sent_again"]) == ([], [])
