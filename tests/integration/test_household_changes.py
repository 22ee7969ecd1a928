"""A plan migration for a household: one message, one link and one answer for its payer, who reads what is taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.billing.offers.plan_changes import PlanChange, PlanChangeStatus
from connector.billing.offers.plan_terms import PlanTerms
from connector.messaging.kinds import MessageKind
from connector.use_cases.members.enrol_dependent import enrol_dependent
from connector.use_cases.members.new_person import PersonDetails
from connector.use_cases.plans.decide_plan_change import withdraw_open_change
from connector.use_cases.plans.edit_plan import edit_plan
from connector.use_cases.plans.migrate_plan import Migration, migrate_plan
from tests.support.patient_browser import Browser, browsing, text_of
from tests.support.plan_changes import SLUG, STAFF, add, essential
from tests.support.post import Post, tokens
from tests.support.practice import Practice

OFFERED, ACCEPTED, WITHDRAWN = PlanChangeStatus.OFFERED, PlanChangeStatus.ACCEPTED, PlanChangeStatus.WITHDRAWN


def family(monthly: int, weekly: int) -> PlanTerms:
    """A plan at two prices, with one waiting time."""
    clean = {"title": "Clean", "annual_quantity": 2, "waiting_months": 1 if monthly == 2_000 else 2}
    return essential(prices={"monthly": monthly, "weekly": weekly}, benefits=[clean])


@pytest.fixture
def browser(practice: Practice) -> Iterator[Browser]:
    """A patient's browser on the practice's pages."""
    with browsing(practice) as running:
        yield running


@pytest.fixture
def post(practice: Practice, tmp_path: Path) -> Post:
    """A practice in which the plan of a holder with two dependents was made dearer and announced."""
    post = Post(practice, tmp_path / "outbox")
    add(practice.context, "Family", family(2_000, 500))
    payer = post.enrol(plan="Family")
    for name in ("Ina", "Otto"):
        person = PersonDetails(name, "Ferris")
        enrol_dependent(practice.context, payer.contract_id, "Family", person, actor=STAFF)
    edit_plan(practice.context, location_slug=SLUG, name="Family", terms=family(2_500, 700), actor=STAFF)
    migrate_plan(practice.context, Migration(SLUG, "Family"), STAFF)
    return post


def announced(post: Post) -> str:
    """The only message about the change."""
    post.send()
    (mail,) = (mail for mail in post.mails() if "A change of plan" in mail)
    return mail


def states(post: Post) -> list[PlanChangeStatus]:
    return [change.status for change in post.practice.all(PlanChange)]


def test_a_household_is_told_once_with_what_it_pays_in_all(post: Post) -> None:
    """Each price, and the debit with all discounts: 20 x 0.8 + 2 x 20 x 0.9 becomes 25 x 0.8 + 2 x 25 x 0.9."""
    assert len(post.queued(MessageKind.PLAN_CHANGE_NOTICE)) == 1

    mail = announced(post)

    assert [f"- {name}: $25.00 instead of $20.00" in mail for name in ("Ada", "Ina", "Otto")] == [True] * 3
    assert "your payment, taken monthly, is then $65.00 instead of $52.00." in mail
    assert len(tokens([mail])) == 1


@pytest.mark.parametrize(("action", "status"), [("accept", ACCEPTED), ("decline", WITHDRAWN)])
def test_one_answer_counts_for_all(post: Post, browser: Browser, action: str, status: PlanChangeStatus) -> None:
    """The page shows each person, the sum, and only the price that this payer pays."""
    path = f"/l/{tokens([announced(post)])[0]}"

    shown = text_of(browser.get(path).text)
    answer = browser.press(path, action)

    assert "the plans of 3 people change" in shown
    assert "You pay in all each month $52.00 $65.00" in shown
    assert "price monthly 20.00 -> 25.00" in shown and "price weekly" not in shown
    assert "Clean 2 a year, after 1 month -> 2 a year, after 2 months" in shown
    assert answer.status_code == 200
    assert states(post) == [status] * 3
    assert browser.get(path).status_code == 404


def test_what_is_accepted_is_what_is_taken(post: Post, browser: Browser) -> None:
    """From the period that the page names."""
    browser.press(f"/l/{tokens([announced(post)])[0]}", "accept")
    post.practice.charge()
    for _ in range(2):
        post.practice.advance(days=31)
        post.practice.charge()

    assert [charge["amount"] for charge in post.practice.stripe_charges()] == [5_200, 6_500, 6_500]


def test_the_others_are_told_though_the_first_has_left_meanwhile(post: Post) -> None:
    """The message is about whom it concerns when it goes out."""
    first = post.practice.all(PlanChange)[0]
    with post.practice.context.database.unit_of_work() as session:
        withdraw_open_change(session, first.cover_id, post.practice.clock.now(), actor=STAFF, because="left")

    mail = announced(post)

    assert "- Ina: $25.00" in mail and "- Ada:" not in mail
    assert sorted(states(post)) == [OFFERED, OFFERED, WITHDRAWN]
