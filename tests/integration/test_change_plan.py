"""Staff change one person's plan: what becomes dearer is asked for, what does not counts at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from connector.billing.activity import Activity
from connector.billing.agreements.schedule import Frequency
from connector.billing.offers.plan_changes import PlanChangeStatus
from connector.billing.offers.plans import PlanVersion
from connector.errors import DomainError
from connector.use_cases.plans.change_plan import change_plan, preview_change
from connector.use_cases.plans.edit_plan import archive_plan
from tests.support.book import Book, opened_book
from tests.support.plan_changes import (
    SLUG,
    STAFF,
    accept,
    add,
    advance,
    apply,
    change,
    covers,
    edit,
    essential,
    monthly,
    notices,
    plan_changes,
    sign,
    stored,
)

NEXT_DUE = date(2026, 12, 21)


@pytest.fixture
def book(tmp_path: Path, template: Path) -> Iterator[Book]:
    file = tmp_path / "connector.sqlite3"
    file.write_bytes(template.read_bytes())
    with opened_book(f"sqlite:///{file.as_posix()}", tmp_path) as opened:
        yield opened


def test_a_fall_of_the_price_counts_from_the_next_due_date_without_asking_anybody(book: Book) -> None:
    """Accepted by staff on the member's behalf; past invoices stay, nothing is prorated, nobody pays to join again."""
    add(book.context, "Basic", monthly(1_990, setup_fee_cents=2_500))
    book.issue()
    preview = preview_change(book.context, book.contract_id, book.member_id, "Basic")

    done = change(book, "Basic")
    advance(book, 30)
    apply(book.context)

    assert (preview.old_price.cents, preview.new_price.cents) == (2_990, 1_990)
    assert (preview.effective_on, preview.needs_acceptance) == (NEXT_DUE, False)
    assert "price monthly 29.90 -> 19.90" in preview.differences
    assert (done.status, done.effective_on, done.actor) == (PlanChangeStatus.ACCEPTED, NEXT_DUE, STAFF)
    assert notices(book.context) == []
    old, new = covers(book.context, book.contract_id)
    assert (old.until_period, new.from_period, new.until_period) == (1, 1, None)
    assert (new.price_cents, new.setup_fee_cents, new.starts_on) == (1_990, 0, old.starts_on)


def test_a_rise_of_the_price_needs_notice_and_acceptance(book: Book) -> None:
    """Offered for the first due date after the notice; until the payer accepts, the old price is charged."""
    add(book.context, "Weekly", essential(prices={"weekly": 990}))
    weekly = sign(book.context, frequency=Frequency.WEEKLY)
    preview = preview_change(book.context, weekly.id, weekly.member_id, "Weekly")

    offered = change(book, "Weekly", weekly)

    assert (preview.needs_acceptance, preview.effective_on) == (True, date(2026, 12, 5))
    assert (offered.status, offered.effective_on, offered.price_cents) == ("offered", date(2026, 12, 5), 990)
    assert [message.subject_id for message in notices(book.context)] == [offered.id]
    advance(book, 14)
    apply(book.context)
    assert [cover.price_cents for cover in covers(book.context, weekly.id)] == [690]
    accept(book.context, offered.id)
    accept(book.context, offered.id)
    apply(book.context)
    assert [(cover.price_cents, cover.from_period) for cover in covers(book.context, weekly.id)] == [(690, 0), (990, 2)]
    accept(book.context, offered.id)
    with book.context.database.read() as session:
        actions = session.execute(
            select(Activity.action, Activity.actor)
            .where(Activity.subject_id == weekly.id, Activity.action.startswith("Plan Change"))
            .order_by(Activity.sequence)
        ).all()
    assert actions == [
        ("Plan Change Announced", STAFF),
        ("Plan Change Accepted", "payer"),
        ("Plan Changed", "connector"),
    ]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"plan": "Essential"}, "is on the plan 'Essential' already: choose another plan"),
    ({"plan": "Kids"}, "This plan is for ages 0 to 17: choose another plan"),
    ({"plan": "Yearly"}, "not offered monthly, and a change of plan cannot change how often a contract is charged"),
    ({"plan": "Old"}, "is archived, so nobody can join it"),
    ({"plan": "Soon"}, "is not open for sign-ups on 21/11/2026"),
    ({"plan": "Gold"}, "has no plan 'Gold': its plans are"),
    ({"contract_id": "con_unknown"}, "There is no contract 'con_unknown'"),
    ({"member_id": "mem_unknown"}, "does not cover 'mem_unknown'"),
    ({"pending": True}, "is pending: only a running one can change its plan"),
]


@pytest.mark.parametrize(("case", "words"), REFUSED)
def test_a_change_that_cannot_be_is_refused_and_changes_nothing(book: Book, case: dict[str, Any], words: str) -> None:
    """With one sentence, the same in the preview."""
    add(book.context, "Basic", monthly(1_990))
    add(book.context, "Kids", monthly(1_000, max_age=17))
    add(book.context, "Yearly", essential(prices={"annually": 10_000}))
    add(book.context, "Old", monthly(1_000))
    add(book.context, "Soon", monthly(1_000, offered_from="2026-11-22"))
    archive_plan(book.context, location_slug=SLUG, name="Old", actor=STAFF)
    contract = sign(book.context, active=False) if case.get("pending") else stored(book)
    wanted = case.get("contract_id", contract.id), case.get("member_id", contract.member_id), case.get("plan", "Basic")

    with pytest.raises(DomainError, match=words):
        preview_change(book.context, *wanted)
    with pytest.raises(DomainError, match=words):
        change_plan(book.context, *wanted, STAFF)

    assert (plan_changes(book.context), notices(book.context)) == ([], [])


def test_a_person_may_move_to_the_newest_version_alone(book: Book) -> None:
    """Benefits that are added without a dearer price are had from the next due date on."""
    edit(book.context, monthly(2_990, benefits=[]))

    row = change(book, "Essential")

    with book.context.database.read() as session:
        assert session.get_one(PlanVersion, row.plan_version_id).number == 2
    assert row.status is PlanChangeStatus.ACCEPTED
