"""What changes between a page and its answer: prices, links, cards, other requests, and the practice being open."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from connector.billing.activity import Activity
from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.instalment_terms import PlanOffer
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import HoldStatus, PaymentHold
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import Member, PaymentMethod
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.use_cases.context import Context
from connector.use_cases.members.complete_enrolment import complete_enrolment
from connector.use_cases.patient_pages import pay_invoice, pay_request, submit_link
from connector.use_cases.patient_pages.manage_links import list_links, revoke_link
from connector.use_cases.patient_pages.refusals import NO_CARD, NO_METHOD, NOT_NOW, PAUSED
from connector.use_cases.payment_plans.agree_payment_plan import propose_payment_plan
from connector.use_cases.practice.location_settings import activate_location, pause_location
from connector.use_cases.requests.hold_payment import authorise_hold, request_hold
from connector.use_cases.requests.request_payment import cancel_request, request_payment
from connector.use_cases.requests.settle_hold import capture_hold
from tests.support.commands import command
from tests.support.patient_browser import Browser, browsing, field, text_of
from tests.support.practice import Enrolled, Practice
from tests.support.requests import STAFF, aud


@pytest.fixture
def browser(practice: Practice) -> Iterator[Browser]:
    """A patient's browser on the practice's pages."""
    with browsing(practice) as running:
        yield running


def add_child(practice: Practice, contract_id: str) -> None:
    person = ("--given-name", "Kid", "--family-name", "Ferris", "--born", "2015-01-01", "--plan", "Essential")
    assert command(practice, "members", "add-dependent", contract_id, *person).code == 0


def let_patients_bear_the_fee(practice: Practice, _contract_id: str = "") -> None:
    practice.set_policy(fee_bearer="patient")


def plan_for(browser: Browser, person: Enrolled) -> str:
    offer = PlanOffer(aud(30_000), aud(0), aud(0), 3, Frequency.MONTHLY, browser.practice.today)
    return propose_payment_plan(browser.context, person.member_id, offer, STAFF).plan_id


def ask_for(browser: Browser, person: Enrolled) -> str:
    return request_payment(browser.context, person.member_id, [(aud(18_000), None)], STAFF)


def hold_for(browser: Browser, person: Enrolled) -> str:
    return request_hold(browser.context, person.member_id, aud(20_000), STAFF)


def remove_card(browser: Browser) -> None:
    """The payer's only card is removed at Stripe, and the daemon hears of it."""
    (method,) = browser.practice.all(PaymentMethod)
    browser.practice.stripe_do(f"payment_methods/{method.processor_id}/detach")
    browser.hear()


def queued(practice: Practice, kind: MessageKind) -> list[str]:
    """What the messages of that kind are about, without repeating it for each channel."""
    return sorted({message.subject_id for message in practice.all(Message) if message.kind is kind})


@pytest.mark.parametrize(("grow", "dearer"), [(add_child, 5382), (let_patients_bear_the_fee, 3140)])
def test_a_contract_that_became_dearer_after_its_acceptance_needs_a_new_one(
    browser: Browser, grow: Callable[[Practice, str], None], dearer: int
) -> None:
    """The card is kept, nothing begins or is charged, and the invitation is sent again with what is due now."""
    practice = browser.practice
    contract_id = practice.enrol(None).contract_id
    path = browser.path(contract_id)
    away = browser.sign(path)
    grow(practice, contract_id)

    browser.give(away)
    browser.hear()
    practice.charge()

    assert practice.all(Contract)[0].status is AgreementStatus.PENDING
    assert [method.usable for method in practice.all(PaymentMethod)] == [True]
    assert practice.all(Invoice) == []
    assert queued(practice, MessageKind.INVITATION) == [contract_id]

    assert f"Today you pay ${dearer / 100:.2f}" in text_of(browser.get(path).text)
    browser.give(browser.sign(path))
    browser.hear()
    practice.charge()
    assert practice.all(Contract)[0].status is AgreementStatus.ACTIVE
    assert [payment.amount_cents for payment in practice.all(Payment)] == [dearer]


def test_a_contract_that_became_cheaper_begins_as_accepted(browser: Browser) -> None:
    """Nobody is asked twice for paying less."""
    practice = browser.practice
    let_patients_bear_the_fee(practice)
    away = browser.sign(browser.path(practice.enrol(None).contract_id))
    practice.set_policy(fee_bearer="practice")

    browser.give(away)
    browser.hear()
    practice.charge()

    assert [payment.amount_cents for payment in practice.all(Payment)] == [2990]


@pytest.mark.parametrize("action", ["accept", "method"])
def test_a_payment_plan_is_accepted_only_with_the_amounts_of_its_page(browser: Browser, action: str) -> None:
    """What became dearer meanwhile is shown first, whichever button is pressed."""
    practice = browser.practice
    path = browser.path(plan_for(browser, practice.paid()))
    shown = field(browser.get(path).text, "shown")
    let_patients_bear_the_fee(practice)

    answer = browser.press(path, action, shown=shown)

    assert "The amounts have changed" in text_of(answer.text) and "$103.50" in text_of(answer.text)
    assert practice.all(PaymentPlan)[0].status is AgreementStatus.PENDING
    assert browser.agree(path, action).status_code == (200 if action == "accept" else 303)


def test_a_payment_plan_that_became_dearer_on_the_way_to_the_card_is_not_accepted(browser: Browser) -> None:
    """The card is kept, and the plan is shown again by a new link."""
    practice = browser.practice
    plan_id = plan_for(browser, practice.enrol(None))
    away = browser.agree(browser.path(plan_id), "method")
    let_patients_bear_the_fee(practice)

    browser.give(away)
    browser.hear()
    practice.charge()

    assert practice.all(PaymentPlan)[0].status is AgreementStatus.PENDING
    assert len(practice.all(PaymentMethod)) == 1
    assert practice.all(Payment) == []
    assert queued(practice, MessageKind.NEW_LINK) == [plan_id]


def test_a_link_that_was_revoked_completes_nothing_on_a_page_that_was_open(browser: Browser) -> None:
    """Neither the card nor the phone number of whoever had it stays; a new link works with a page of its own."""
    practice = browser.practice
    person = practice.enrol(None)
    away = browser.sign(browser.path(person.contract_id), phone="0491 570 006")
    (link,) = list_links(browser.context, practice.location)

    revoke_link(browser.context, link.id, STAFF)
    browser.give(away)
    browser.hear()
    practice.charge()

    assert practice.all(Contract)[0].status is AgreementStatus.PENDING
    assert practice.all(Member)[0].phone == ""
    assert [method.usable for method in practice.all(PaymentMethod)] == [False]
    assert practice.all(Payment) == []
    (opened,) = (row for row in practice.all(Activity) if row.action == "Payment Page Opened")

    practice.advance(minutes=1)
    again = browser.sign(browser.path(person.contract_id))
    complete_enrolment(browser.context, opened.detail["page_id"])
    assert practice.all(Contract)[0].status is AgreementStatus.PENDING
    browser.give(again, "pm_card_mastercard")
    browser.hear()
    assert practice.all(Contract)[0].status is AgreementStatus.ACTIVE
    assert [method.usable for method in practice.all(PaymentMethod)] == [False, True]


def test_a_paused_practice_takes_no_money_on_any_page(browser: Browser) -> None:
    """Each button answers in words for patients; nothing reaches Stripe, and nobody at the desk can capture."""
    practice = browser.practice
    person = practice.paid()
    held = hold_for(browser, person)
    assert browser.press(browser.path(held), "accept").status_code == 200
    buttons = [
        (browser.path(ask_for(browser, person)), "pay"),
        (browser.path(hold_for(browser, person)), "accept"),
        (browser.path(plan_for(browser, person)), "accept"),
    ]
    pause_location(browser.context, "leura", STAFF)
    before = len(practice.stripe_listed("payment_intents"))

    for path, button in buttons:
        for action in (button, "method"):
            shown = {"shown": field(browser.get(path).text, "shown")} if "shown" in browser.get(path).text else {}
            answer = text_of(browser.press(path, action, **shown).text)
            assert PAUSED in answer, (button, action)
            assert "leura" not in answer and "connector" not in answer
    with pytest.raises(DomainError, match="takes no sign-ups and payments now"):
        capture_hold(browser.context, held, None, STAFF)

    assert len(practice.stripe_listed("payment_intents")) == before
    assert len(practice.all(Payment)) == 1


def test_a_card_that_is_saved_while_the_practice_is_paused_is_charged_once_it_is_open_again(browser: Browser) -> None:
    """The page at Stripe was open already: the card is kept, and what is overdue waits."""
    practice = browser.practice
    practice.enrol("pm_card_chargeCustomerFail")
    practice.charge()
    (invoice,) = practice.all(Invoice)
    away = browser.press(browser.path(invoice.id), "method")

    pause_location(browser.context, "leura", STAFF)
    browser.give(away)
    browser.hear()
    practice.charge()
    assert [method.usable for method in practice.all(PaymentMethod)] == [False, True]
    assert practice.all(Payment) == []

    activate_location(browser.context, "leura", STAFF)
    practice.charge()
    assert practice.all(Invoice)[0].status is InvoiceStatus.COMPLETED
    practice.assert_exactly_once()


@pytest.mark.parametrize(
    ("ask", "action", "sentence"),
    [(hold_for, "accept", NO_CARD), (plan_for, "accept", NO_METHOD), (ask_for, "pay", NO_METHOD)],
)
def test_a_card_that_is_removed_meanwhile_is_asked_for_on_the_same_page(
    browser: Browser, ask: Callable[[Browser, Enrolled], str], action: str, sentence: str
) -> None:
    """The link works; the payer reads what is missing, without ids or commands."""
    path = browser.path(ask(browser, browser.practice.paid()))
    page = browser.get(path).text
    remove_card(browser)

    answer = browser.press(path, action, **({"shown": field(page, "shown")} if "shown" in page else {}))

    assert answer.status_code == 200
    assert sentence in text_of(answer.text)
    assert "mem_" not in answer.text and "link is" not in answer.text
    assert browser.press(path, "method", shown=field(page, "shown") if "shown" in page else "").status_code == 303


@pytest.mark.parametrize(("ask", "action"), [(ask_for, "pay"), (hold_for, "accept")])
def test_a_card_that_was_removed_at_stripe_is_not_offered_again_after_the_refusal(
    browser: Browser, ask: Callable[[Browser, Enrolled], str], action: str
) -> None:
    """The news of it are not read yet; the page asks for another card, which pays."""
    practice = browser.practice
    path = browser.path(ask(browser, practice.paid()))
    (method,) = practice.all(PaymentMethod)
    practice.stripe_do(f"payment_methods/{method.processor_id}/detach")
    assert "card ending 4242" in browser.get(path).text

    answer = text_of(browser.press(path, action).text)

    assert "please use another card or account, or ask the practice" in answer
    assert "4242" not in answer and "4242" not in browser.get(path).text
    practice.advance(minutes=1)
    browser.give(browser.press(path, "method"), "pm_card_mastercard")
    browser.hear()
    practice.charge()
    assert browser.get(path).status_code == 404
    practice.assert_exactly_once()


def test_a_sentence_for_staff_never_reaches_a_page(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was not written for payers is replaced as a whole."""
    person = browser.practice.paid()
    path = browser.path(ask_for(browser, person))

    def refuse(*_: object) -> None:
        raise DomainError(f"The member {person.member_id} is odd: see `connector members show`.")

    monkeypatch.setattr(submit_link, "pay_request", refuse)
    answer = text_of(browser.press(path, "pay").text)

    assert NOT_NOW in answer
    assert person.member_id not in answer and "connector" not in answer


def test_whoever_presses_twice_is_told_that_it_is_being_paid_or_paid(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower of two requests does not read that the link cannot be used; a stranger goes on reading just that."""
    practice = browser.practice
    person = practice.paid()
    path = browser.path(ask_for(browser, person))
    pay = pay_request.pay_request

    def begun_elsewhere(context: Context, request_id: str, url: str) -> pay_invoice.PayOutcome:
        with context.database.unit_of_work() as session:
            pay_request._begin(session, context, request_id)
        return pay(context, request_id, url)

    def paid_elsewhere(context: Context, request_id: str, url: str) -> pay_invoice.PayOutcome:
        assert pay(context, request_id, url).paid is pay_invoice.Paid.YES
        return pay(context, request_id, url)

    monkeypatch.setattr(submit_link, "pay_request", begun_elsewhere)
    slower = browser.press(path, "pay")
    monkeypatch.setattr(submit_link, "pay_request", paid_elsewhere)
    slowest = browser.press(browser.path(ask_for(browser, person)), "pay")

    assert (slower.status_code, slowest.status_code) == (200, 200)
    assert "is being made already" in text_of(slower.text)
    assert "has been paid already" in text_of(slowest.text)
    assert browser.press("/l/unknown", "pay").status_code == 404
    practice.assert_exactly_once()


def test_what_was_cancelled_meanwhile_is_never_called_paid(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """The payer opens the page, staff cancel, the payer pays: the link is over, and says no more."""
    practice = browser.practice
    request_id = ask_for(browser, practice.paid())
    path, pay = browser.path(request_id), pay_request.pay_request

    def cancelled_first(context: Context, subject_id: str, url: str) -> pay_invoice.PayOutcome:
        cancel_request(context, subject_id, STAFF)
        return pay(context, subject_id, url)

    monkeypatch.setattr(submit_link, "pay_request", cancelled_first)

    assert browser.press(path, "pay").status_code == 404
    assert len(practice.all(Payment)) == 1


def test_the_slower_of_two_answers_to_a_hold_hears_that_it_is_set_aside(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if it had been the first; the bank is asked once."""
    practice = browser.practice
    path = browser.path(hold_for(browser, practice.paid()))
    authorise = authorise_hold

    def held_elsewhere(context: Context, hold_id: str, method_id: str, url: str) -> object:
        authorise(context, hold_id, method_id, url)
        return authorise(context, hold_id, method_id, url)

    monkeypatch.setattr(submit_link, "authorise_hold", held_elsewhere)
    answer = browser.press(path, "accept")

    assert answer.status_code == 200
    assert "Nothing was charged" in text_of(answer.text)
    assert practice.all(PaymentHold)[0].status is HoldStatus.AUTHORISED
    assert [charge["amount"] for charge in practice.stripe_charges()] == [2990, 20_000]


def test_a_practice_that_opens_again_is_paid_on_the_page_that_refused(browser: Browser) -> None:
    """Nothing of the refusal is kept."""
    practice = browser.practice
    path = browser.path(ask_for(browser, practice.paid()))
    pause_location(browser.context, "leura", STAFF)
    assert PAUSED in text_of(browser.press(path, "pay").text)

    activate_location(browser.context, "leura", STAFF)

    assert "Thank you" in text_of(browser.press(path, "pay").text)
    assert practice.all(Location)[0].status.value == "active"
    practice.assert_exactly_once()
