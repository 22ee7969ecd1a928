"""The page of an invitation: choice, price, promo code, consent, and the contract that starts by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from connector.billing.activity import Activity
from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.invoices import Invoice
from connector.billing.links import SecureLink
from connector.billing.members import Member
from connector.billing.policy import FeeBearer
from connector.billing.prices.discounts import PromoCode, PromoRedemption
from connector.billing.prices.pricing import PromoScope, PromoTerms
from connector.messaging.models import Message
from connector.use_cases.members.edit_member import edit_member
from connector.use_cases.patient_pages.link_history import ACCEPTED, PAGE_OPENED
from connector.use_cases.patient_pages.manage_links import list_links, revoke_link
from connector.use_cases.patient_pages.promo_tries import OF_NO_USE, REFUSED, TOO_MANY, TRIES
from connector.use_cases.plans.promo_codes import add_promo_code, end_promo_code
from connector.use_cases.practice.location_settings import activate_location, pause_location
from tests.support.patient_browser import Browser, browsing, field, text_of
from tests.support.plan_changes import add, monthly
from tests.support.practice import Practice
from tests.support.processes import until
from tests.support.requests import STAFF


@pytest.fixture
def browser(practice: Practice) -> Iterator[Browser]:
    """A patient's browser on the practice's pages."""
    with browsing(practice) as running:
        yield running


def option(page: str, words: str) -> str:
    """The value of the plan whose label begins like that."""
    before = page[: page.index(words)]
    return field(before[before.rindex("<input") :], "plan")


def test_an_invitation_leads_to_a_member_who_has_paid(browser: Browser) -> None:
    """Price and terms are shown, consent is recorded, the link lives until the method is there, then it is used."""
    practice = browser.practice
    person = practice.enrol(None)
    path = browser.path(person.contract_id)

    shown = text_of(browser.get(path).text)
    assert "Today you pay $29.90" in shown and "Then each month from 01/10/2026 $29.90" in shown
    assert (
        "Scale and clean Periodontal treatment is not part of this benefit. 2 a year" in shown
        and "There is no lock-in period" in shown
    )
    away = browser.sign(path, phone="0491 570 006")
    assert browser.get(path).status_code == 200
    browser.give(away)
    browser.hear()
    practice.work()

    contract, member = practice.all(Contract)[0], practice.all(Member)[0]
    assert contract.status is AgreementStatus.ACTIVE
    assert (member.given_name, member.phone) == ("Ada", "+61491570006")
    assert [row.amount_cents for row in practice.all(Invoice)] == [2990]
    assert browser.get(path).status_code == 404
    (accepted,) = (row for row in practice.all(Activity) if row.action == "Terms Accepted")
    assert (accepted.detail["first_cents"], accepted.detail["frequency"]) == (2990, "monthly")


def test_the_terms_say_all_that_binds_whoever_signs(browser: Browser) -> None:
    """A benefit's own terms and waiting time, the ages of the plan, and what leaving early costs here."""
    practice = browser.practice
    practice.set_policy(early_cancel="charge_remainder")
    check = {"title": "Check-up", "annual_quantity": 2, "terms": "Not with braces."}
    clean = {"title": "Clean", "annual_quantity": 0, "waiting_months": 1}
    add(practice.context, "Gold", monthly(4_000, benefits=[check, clean], min_age=18, lock_in_months=12))

    shown = text_of(browser.get(browser.path(practice.enrol(None, plan="Gold").contract_id)).text)

    assert "Check-up Not with braces. 2 a year Clean unlimited, after 1 month" in shown
    assert "For ages 18 and over. You are bound for 12 months. If you leave earlier, the payments that fall" in shown


def test_another_plan_shows_its_price_before_it_is_agreed_to(browser: Browser) -> None:
    """Looking at a price stores nothing; agreeing to it stores plan, frequency and price."""
    practice = browser.practice
    path = browser.path(practice.enrol(None).contract_id)
    chosen = option(browser.get(path).text, "Premium: $14.90 each week")

    preview = browser.press(path, "preview", plan=chosen)

    assert "Today you pay $14.90" in text_of(preview.text) and "each week from 08/09/2026" in text_of(preview.text)
    assert practice.all(Cover)[0].price_cents == 2990
    shown = field(preview.text, "shown")
    browser.give(browser.sign(path, plan=chosen, shown=shown))
    browser.hear()
    assert (practice.all(Cover)[0].price_cents, practice.all(Contract)[0].frequency.value) == (1490, "weekly")


def test_nobody_agrees_to_a_price_that_the_page_did_not_show(browser: Browser) -> None:
    """A choice that was changed without looking at its price is shown first, and nothing is stored."""
    practice = browser.practice
    path = browser.path(practice.enrol(None).contract_id)
    chosen = option(browser.get(path).text, "Premium: $64.50 each month")

    answer = browser.sign(path, plan=chosen)

    assert "The price has changed" in text_of(answer.text) and "Today you pay $64.50" in text_of(answer.text)
    assert practice.all(Cover)[0].price_cents == 2990
    assert [row for row in practice.all(Activity) if row.action == "Terms Accepted"] == []
    assert browser.sign(path, plan=chosen, shown=field(answer.text, "shown")).status_code == 303


def add_promo(browser: Browser, code: str = "SPRING", max_uses: int | None = None) -> None:
    terms = PromoTerms(code, amount_cents=1000, max_uses=max_uses)
    add_promo_code(browser.context, location_slug="leura", terms=terms, actor="front desk")


def test_a_promo_code_is_shown_in_the_price_and_redeemed_with_the_consent(browser: Browser) -> None:
    """Looking uses nothing up; agreeing twice uses one."""
    practice = browser.practice
    add_promo(browser)
    path = browser.path(practice.enrol(None).contract_id)

    preview = browser.press(path, "preview", promo="spring")
    assert "Today you pay $19.90" in text_of(preview.text)
    assert practice.all(PromoCode)[0].used == 0
    fields = {"promo": "spring", "shown": field(preview.text, "shown")}
    assert browser.sign(path, **fields).status_code == 303
    assert browser.sign(path, **fields).status_code == 303

    assert practice.all(PromoCode)[0].used == 1
    assert "Your promo code SPRING counts" in text_of(browser.get(path).text)


@pytest.mark.parametrize("typed", [" spring", "SPRING ", "\u00a0Spring  "])
def test_a_code_that_a_keyboard_put_spaces_around_stays_in_the_form_until_it_is_agreed_to(
    browser: Browser, typed: str
) -> None:
    """Looked at, the code is still to be sent with the consent, and then the price that was shown is the one signed."""
    add_promo(browser)
    path = browser.path(browser.practice.enrol(None).contract_id)

    looked = browser.press(path, "preview", promo=typed)
    assert "Today you pay $19.90" in text_of(looked.text) and "SPRING counts" not in text_of(looked.text)
    filled = {name: field(looked.text, name) for name in ("promo", "shown")}

    assert browser.press(path, "sign_up", agreed="yes", **filled).status_code == 303
    (accepted,) = (row for row in browser.practice.all(Activity) if row.action == ACCEPTED)
    assert accepted.detail["first_cents"] == 1990
    assert "Your promo code SPRING counts" in text_of(browser.get(path).text)


def test_the_price_after_a_promo_code_has_ended_is_shown_and_agreed_to(browser: Browser) -> None:
    """A code for three periods: the page, the consent and the history name what comes after them."""
    person = browser.practice.enrol(None)
    terms = PromoTerms("SUMMER", amount_cents=500, scope=PromoScope.RECURRING, periods=3)
    add_promo_code(browser.context, location_slug="leura", terms=terms, actor="front desk")
    path = browser.path(person.contract_id)

    preview = browser.press(path, "preview", promo="SUMMER")
    browser.sign(path, promo="SUMMER", shown=field(preview.text, "shown"))

    accepted = [row.detail for row in browser.practice.all(Activity) if row.action == ACCEPTED]
    assert "And each month from 01/12/2026 $29.90" in text_of(preview.text)
    assert [(row["first_cents"], row["later_cents"], row["afterwards_cents"]) for row in accepted] == [
        (2_490, 2_490, 2_990)
    ]


def test_whoever_guesses_promo_codes_is_cut_off_and_learns_nothing(browser: Browser) -> None:
    """After ten bad tries in a day no code is looked up, also not with a new link; the next day one is."""
    practice = browser.practice
    add_promo(browser)
    contract_id = practice.enrol(None).contract_id
    path = browser.path(contract_id)

    bad = [browser.press(path, "preview", promo=f"GUESS{number}").text for number in range(TRIES - 1)]
    bad.append(browser.sign(path, promo="GUESS").text)
    cut_off = [browser.press(path, "preview", promo=code).text for code in ("GUESS", "SPRING")]
    path = browser.path(contract_id)
    cut_off.append(browser.sign(path, promo="SPRING").text)

    assert all(OF_NO_USE in text_of(page) for page in bad)
    assert all(TOO_MANY in text_of(page) and "$19.90" not in text_of(page) for page in cut_off)
    assert [row.action for row in practice.all(Activity)].count(REFUSED) == TRIES
    assert not [row for row in practice.all(Activity) if "GUESS" in str(row.detail)]
    assert browser.sign(path).status_code == 303
    practice.advance(days=1, minutes=1)
    assert "Today you pay $19.90" in text_of(browser.press(path, "preview", promo="SPRING").text)


def test_a_promo_code_that_cannot_be_used_is_told_like_one_that_there_is_not(browser: Browser) -> None:
    """Ended, used up, not yet open, or never made."""
    practice = browser.practice
    day = practice.today + timedelta(days=1)
    later = PromoTerms("LATER", amount_cents=1000, opens=day)
    add_promo_code(browser.context, location_slug="leura", terms=later, actor=STAFF)
    add_promo(browser, "ENDED")
    end_promo_code(browser.context, location_slug="leura", code="ENDED", actor=STAFF)
    add_promo(browser, "TAKEN", max_uses=1)
    other = browser.path(practice.enrol(None).contract_id)
    looked = browser.press(other, "preview", promo="TAKEN").text
    assert browser.sign(other, promo="TAKEN", shown=field(looked, "shown")).status_code == 303
    path = browser.path(practice.enrol(None).contract_id)

    codes = ("LATER", "ENDED", "TAKEN", "NOSUCH")
    pages = {browser.press(path, "preview", promo=code).text.replace(code, "") for code in codes}

    assert len(pages) == 1
    assert OF_NO_USE in text_of(pages.pop())


def test_a_promo_code_that_was_used_up_meanwhile_changes_nothing(browser: Browser) -> None:
    """Two look at the last one; the second to agree hears one sentence, and may go on without it."""
    practice = browser.practice
    add_promo(browser, max_uses=1)
    paths = [browser.path(practice.enrol(None).contract_id) for _ in range(2)]
    looked = [browser.press(path, "preview", promo="SPRING").text for path in paths]
    assert all("$19.90" in text for text in looked)

    first, second = (
        browser.sign(path, promo="SPRING", shown=field(text, "shown")) for path, text in zip(paths, looked, strict=True)
    )

    assert first.status_code == 303
    assert OF_NO_USE in text_of(second.text)
    assert "Today you pay $29.90" in text_of(second.text)
    assert len(practice.all(PromoRedemption)) == 1
    assert browser.sign(paths[1]).status_code == 303


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"agreed": "no"}, "tick the box"),
        ({"phone": "twelve"}, "cannot be a telephone number"),
        ({"phone": "4242 4242 4242 4242"}, "enter no card number on this page"),
        ({"phone": "1900 123 456"}, "is the number of a service"),
        ({"phone": "13 13 13"}, "is the number of a service"),
        ({"phone": "12345"}, "is the number of a service, or too short"),
        ({"promo": "NOSUCH"}, OF_NO_USE),
        ({"plan": "plv_none:monthly"}, "not offered any more"),
        ({"plan": "::"}, "not offered any more"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence_and_stores_nothing(
    browser: Browser, fields: dict[str, str], sentence: str
) -> None:
    """The page comes again with what was filled in; the member is as before."""
    practice = browser.practice
    path = browser.path(practice.enrol(None).contract_id)

    answer = browser.sign(path, **{"phone": "0491 570 006", **fields})

    assert answer.status_code == 200
    assert sentence in text_of(answer.text)
    assert practice.all(Member)[0].phone == ""
    assert [row for row in practice.all(Activity) if row.action == "Terms Accepted"] == []


def test_what_is_typed_is_shown_as_text(browser: Browser) -> None:
    """Markup in a field is not markup of the page."""
    path = browser.path(browser.practice.enrol(None).contract_id)

    answer = browser.sign(path, phone='"><script>alert(1)</script>', agreed="no")

    assert "<script" not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_a_link_shows_little_and_changes_nothing_that_the_practice_knows(browser: Browser) -> None:
    """Scanners see a first name only, and whoever has the link is not able to redirect messages or rename a patient."""
    practice = browser.practice
    person = practice.enrol(None)
    with browser.context.database.unit_of_work() as session:
        session.get_one(Member, person.member_id).phone = "+61491570006"
    path = browser.path(person.contract_id)

    shown = browser.get(path).text
    browser.sign(path, phone="0491 570 157", given_name="Eve", family_name="Thief")

    assert "Ada" in shown
    assert all(hidden not in shown for hidden in ("Ferris", "491570006", "491 570 006", "ada.ferris"))
    member = practice.all(Member)[0]
    assert (member.given_name, member.family_name, member.phone) == ("Ada", "Ferris", "+61491570006")


def test_a_number_that_was_mistyped_on_the_page_is_corrected_on_it(browser: Browser) -> None:
    """Back from the page of Stripe; what is left empty stays, and the number itself is never shown."""
    path = browser.path(browser.practice.enrol(None).contract_id)
    browser.sign(path, phone="0491 570 159")

    again = browser.get(path).text
    assert "the number that you gave was wrong" in text_of(again) and "570" not in again
    browser.sign(path, phone="0491 570 156")
    assert browser.practice.all(Member)[0].phone == "+61491570156"
    browser.sign(path)
    assert browser.practice.all(Member)[0].phone == "+61491570156"


def test_a_number_that_staff_have_entered_since_is_theirs(browser: Browser) -> None:
    """The next link neither changes it nor loses it when it is revoked."""
    person = browser.practice.enrol(None)
    browser.sign(browser.path(person.contract_id), phone="0491 570 159")
    edit_member(browser.context, person.member_id, {"phone": "0491 570 156"}, actor=STAFF)
    path = browser.path(person.contract_id)

    assert 'name="phone"' not in browser.get(path).text
    browser.sign(path, phone="0491 570 157")
    (link,) = list_links(browser.context, browser.practice.location)
    revoke_link(browser.context, link.id, STAFF)

    assert browser.practice.all(Member)[0].phone == "+61491570156"


def test_a_form_that_is_sent_again_unchanged_is_one_acceptance(browser: Browser) -> None:
    """The history names it once, and the page of Stripe, too; another number or another price is news."""
    practice = browser.practice
    path = browser.path(practice.enrol(None).contract_id)

    def told() -> list[int]:
        actions = [row.action for row in practice.all(Activity)]
        return [actions.count(ACCEPTED), actions.count(PAGE_OPENED)]

    for _ in range(4):
        browser.sign(path, phone="0491 570 159")
    assert told() == [1, 1]
    browser.sign(path, phone="0491 570 156")
    assert told() == [2, 1]
    premium = option(browser.get(path).text, "Premium: $64.50 each month")
    looked = browser.press(path, "preview", plan=premium)
    browser.sign(path, plan=premium, shown=field(looked.text, "shown"))
    assert told() == [3, 2]


def test_what_is_accepted_again_after_the_link_was_revoked_counts_anew(browser: Browser) -> None:
    """Of two acceptances with the same words only the one after the revocation lets the membership begin."""
    practice = browser.practice
    contract_id = practice.enrol(None).contract_id
    browser.sign(browser.path(contract_id))
    (link,) = list_links(browser.context, practice.location)
    revoke_link(browser.context, link.id, STAFF)

    browser.give(browser.sign(browser.path(contract_id)))
    browser.hear()

    assert practice.all(Contract)[0].status is AgreementStatus.ACTIVE
    assert [row.action for row in practice.all(Activity)].count(ACCEPTED) == 2


def test_a_paused_practice_says_that_it_takes_no_sign_ups_and_the_same_link_works_later(browser: Browser) -> None:
    """Nobody reads that the link was used; what is submitted meanwhile stores nothing and opens no page at Stripe."""
    practice = browser.practice
    path = browser.path(practice.enrol(None).contract_id)
    shown = field(browser.get(path).text, "shown")
    pause_location(browser.context, "leura", STAFF)

    page = browser.get(path)
    submits = [browser.press(path, action, agreed="yes", shown=shown) for action in ("sign_up", "preview", "method")]

    assert [answer.status_code for answer in (page, *submits)] == [200] * 4
    assert all("takes no sign-ups here just now" in text_of(answer.text) for answer in (page, *submits))
    assert "Ada" not in page.text and "<form" not in page.text
    assert [row for row in practice.all(Activity) if row.action == ACCEPTED] == []
    activate_location(browser.context, "leura", STAFF)
    assert browser.sign(path).status_code == 303


def test_whoever_asks_for_a_new_link_while_the_practice_is_paused_gets_one(browser: Browser) -> None:
    """It says the same as the old one did before it expired, until the practice is open again."""
    practice = browser.practice
    contract_id = practice.enrol(None).contract_id
    path = browser.path(contract_id)
    pause_location(browser.context, "leura", STAFF)
    practice.clock.advance(timedelta(days=31))

    assert browser.get(path).status_code == 404
    assert browser.press(path, "new").status_code == 200
    until(lambda: len(practice.all(Message)) == 2, "the message is queued")
    assert "takes no sign-ups here just now" in browser.get(browser.path(contract_id)).text


def test_a_member_whose_first_payment_was_declined_only_gives_another_card(browser: Browser) -> None:
    """The terms are signed; the contract begins when the new card pays."""
    practice = browser.practice
    person = practice.enrol("pm_card_decline_insufficient_funds")
    practice.charge()
    assert practice.all(Contract)[0].status is AgreementStatus.FAILED
    path = browser.path(person.contract_id)

    shown = browser.get(path).text
    assert "was not accepted by your bank" in text_of(shown) and "sign_up" not in shown
    browser.give(browser.press(path, "method"))
    browser.hear()
    practice.charge()

    assert practice.all(Contract)[0].status is AgreementStatus.ACTIVE
    practice.assert_exactly_once()


def test_a_fee_that_the_patient_bears_is_in_the_price(browser: Browser) -> None:
    """It is a line of its own on top, and nobody is asked for an amount without it."""
    practice = browser.practice
    person = practice.enrol(None)
    with browser.context.database.unit_of_work() as session:
        location = session.merge(practice.location)
        location.settings = {"fee_bearer": FeeBearer.PATIENT.value}
    path = browser.path(person.contract_id)

    shown = text_of(browser.get(path).text)

    assert "SmilePass fee 5% $1.50" in shown and "Today you pay $31.40" in shown


def test_a_cancelled_contract_has_no_page(browser: Browser) -> None:
    """Nothing can be signed any more, whatever has become of the link."""
    person = browser.practice.enrol(None)
    path = browser.path(person.contract_id)
    with browser.context.database.unit_of_work() as session:
        session.get_one(Contract, person.contract_id).status = AgreementStatus.CANCELLED

    assert browser.get(path).status_code == 404
    assert browser.press(path, "sign_up", agreed="yes").status_code == 404
    assert len(browser.practice.all(SecureLink)) == 1
