"""A change of plan counts from the right period on if it was accepted, and not at all if it was not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.clinics import Location
from connector.billing.links import LinkKind, consume, find, mint
from connector.billing.offers.plan_changes import PlanChangeStatus
from connector.billing.offers.plans import offered_version, plan_by_name
from connector.billing.prices.pricing import Position
from connector.errors import DomainError
from connector.use_cases.members.draft_contract import draft_cover
from connector.use_cases.plans.apply_plan_changes import apply_plan_changes
from connector.use_cases.plans.change_plan import change_plan
from connector.use_cases.plans.decide_plan_change import accept_plan_change, decline_plan_change, withdraw_open_change
from connector.use_cases.plans.migrate_plan import Migration, migrate_plan
from tests.support.book import Book, opened_book
from tests.support.leaving import add_dependent
from tests.support.plan_changes import (
    SLUG,
    STAFF,
    accept,
    add,
    advance,
    apply,
    bill,
    change,
    covers,
    edit,
    monthly,
    plan_changes,
    sign,
    stored,
)
from tests.support.post import Post
from tests.support.practice import Practice

NEXT_DUE = date(2026, 12, 21)
LOCKED = date(2027, 11, 21)
"""A year from the start of whoever signs today."""


@pytest.fixture
def book(tmp_path: Path, template: Path) -> Iterator[Book]:
    file = tmp_path / "connector.sqlite3"
    file.write_bytes(template.read_bytes())
    with opened_book(f"sqlite:///{file.as_posix()}", tmp_path) as opened:
        yield opened


def test_an_accepted_change_is_charged_from_its_period_on_and_an_unanswered_one_never(practice: Practice) -> None:
    """Two members are told of the new price on the first of September; one accepts."""
    first = practice.enrol()
    practice.enrol()
    assert bill(practice) == [2_990, 2_990]
    edit(practice.context, monthly(3_490))
    migration = Migration(SLUG, "Essential", effective=date(2026, 10, 15))
    assert len(migrate_plan(practice.context, migration, STAFF)) == 2
    (cover,) = covers(practice.context, first.contract_id)
    (change_id,) = (row.id for row in plan_changes(practice.context) if row.cover_id == cover.id)
    accept(practice.context, change_id)

    practice.advance(days=30)
    october = bill(practice)[2:]
    practice.advance(days=31)
    november = bill(practice)[4:]

    assert (october, sorted(november)) == ([2_990, 2_990], [2_990, 3_490])
    assert sorted(charge["amount"] for charge in practice.stripe_charges())[-2:] == [2_990, 3_490]
    old, new = covers(practice.context, first.contract_id)
    assert (old.until_period, new.from_period, new.price_cents, new.starts_on) == (2, 2, 3_490, old.starts_on)
    practice.assert_exactly_once()


def test_missed_periods_have_the_price_of_their_day(practice: Practice) -> None:
    """The daemon was away for four months, and the change counts from the third of them."""
    practice.enrol()
    assert bill(practice) == [2_990]
    edit(practice.context, monthly(3_490))
    migrate_plan(practice.context, Migration(SLUG, "Essential", effective=date(2026, 11, 2)), STAFF)
    accept(practice.context, plan_changes(practice.context)[0].id)

    practice.advance(days=123)

    assert bill(practice) == [2_990, 2_990, 2_990, 3_490, 3_490]
    assert [row.status for row in plan_changes(practice.context)] == [PlanChangeStatus.APPLIED]


def test_a_late_acceptance_counts_from_the_next_period_that_is_not_invoiced(book: Book) -> None:
    """What was invoiced meanwhile keeps its price."""
    edit(book.context, monthly(3_490))
    migrate_plan(book.context, Migration(SLUG, "Essential"), STAFF)
    for _ in range(3):
        book.issue()
    accept(book.context, plan_changes(book.context)[0].id)
    apply(book.context)
    assert len(covers(book.context, book.contract_id)) == 1

    advance(book, 31)
    apply(book.context)

    assert [cover.from_period for cover in covers(book.context, book.contract_id)] == [0, 3]


@pytest.mark.parametrize(("months", "until"), [(6, LOCKED), (24, date(2028, 11, 21)), (0, LOCKED)])
def test_a_change_never_shortens_the_lock_in(book: Book, months: int, until: date) -> None:
    """A longer one counts from the person's own start."""
    add(book.context, "Bound", monthly(2_000, lock_in_months=12))
    add(book.context, "Other", monthly(1_000, lock_in_months=months))
    contract = sign(book.context, "Bound")
    change(book, "Other", contract)

    apply(book.context)

    assert [cover.price_cents for cover in covers(book.context, contract.id)] == [2_000, 1_000]
    assert stored(book, contract.id).lock_in_until == until


def test_whoever_was_not_billed_yet_still_owes_the_join_fee(book: Book) -> None:
    """The change replaces the first period, which is the one that carries the fee."""
    add(book.context, "Joined", monthly(2_000, setup_fee_cents=2_500))
    add(book.context, "Cheaper", monthly(1_000, setup_fee_cents=9_900))
    contract = sign(book.context, "Joined")
    change(book, "Cheaper", contract)

    apply(book.context)

    old, new = sorted(covers(book.context, contract.id), key=lambda cover: -cover.price_cents)
    assert (old.from_period, old.until_period) == (0, 0)
    assert (new.from_period, new.until_period, new.setup_fee_cents) == (0, None, 2_500)


def test_one_person_of_a_household_changes_alone(book: Book) -> None:
    """The others keep their plan, and so does the position in the household."""
    add(book.context, "Basic", monthly(1_990))
    family = sign(book.context, household=3)
    child = covers(book.context, family.id)[2]
    change_plan(book.context, family.id, child.member_id, "Basic", STAFF)

    apply(book.context)

    live = [cover for cover in covers(book.context, family.id) if cover.until_period is None]
    assert sorted(cover.price_cents for cover in live) == [1_990, 2_990, 2_990]
    (changed,) = (cover for cover in live if cover.price_cents == 1_990)
    assert (changed.member_id, changed.position) == (child.member_id, Position.DEPENDENT)


def test_the_notice_names_the_person_and_the_plan(practice: Practice, tmp_path: Path) -> None:
    """It says one person's plan price, and what the household pays."""
    post = Post(practice, tmp_path / "outbox")
    add(practice.context, "Plus", monthly(4_990))
    payer = post.enrol()
    add_dependent(practice, payer.contract_id, "Ina", 1_990)
    child = next(cover for cover in covers(practice.context, payer.contract_id) if cover.price_cents == 1_990)
    change_plan(practice.context, payer.contract_id, child.member_id, "Plus", STAFF)
    practice.advance(days=3)

    post.send()

    (mail,) = (mail for mail in post.mails() if "change of plan" in mail)
    assert "- Ina: $49.90 instead of $19.90, with the plan Plus" in mail
    assert "With all discounts, your payment, taken monthly, is then $71.82 instead of $44.82." in mail
    assert "Without your acceptance nothing changes." in mail


def test_a_second_change_takes_the_place_of_the_first(book: Book) -> None:
    """One is open at a time; the link to the other is revoked."""
    add(book.context, "Dearer", monthly(4_000))
    add(book.context, "Basic", monthly(1_990))
    offered = change(book, "Dearer")
    now = book.context.clock.now()
    with book.context.database.unit_of_work() as session:
        token = mint(session, LinkKind.PLAN_CHANGE, offered.id, book.member_id, now, now + timedelta(days=14))

    change(book, "Basic")

    assert [row.status for row in plan_changes(book.context)] == ["withdrawn", "accepted"]
    with book.context.database.unit_of_work() as session:
        link = find(session, token)
        assert link is not None
        assert not consume(session, link.id, now)
    with pytest.raises(DomainError, match="not offered any more"):
        accept(book.context, offered.id)


def test_a_declined_change_leaves_everything_as_it_was(book: Book) -> None:
    """It cannot be accepted afterwards, nor an accepted one declined."""
    sign(book.context)
    edit(book.context, monthly(3_690))
    migrate_plan(book.context, Migration(SLUG, "Essential"), STAFF)
    declined, accepted = plan_changes(book.context)
    accept(book.context, accepted.id)
    now = book.context.clock.now()

    with book.context.database.unit_of_work() as session:
        decline_plan_change(session, declined.id, now)
        decline_plan_change(session, declined.id, now)
        with pytest.raises(DomainError, match="accepted already: ask the practice"):
            decline_plan_change(session, accepted.id, now)
        with pytest.raises(DomainError, match="not offered any more"):
            accept_plan_change(session, declined.id, now)
        with pytest.raises(DomainError, match="no such change"):
            accept_plan_change(session, "plc_unknown", now)
    advance(book, 30)
    apply(book.context)

    assert [cover.price_cents for cover in covers(book.context, book.contract_id)] == [2_990]


@pytest.mark.parametrize("left", ["cancelled", "leaving"])
def test_a_change_of_somebody_who_leaves_cannot_be_accepted(book: Book, left: str) -> None:
    """Whether the contract is cancelled or the one person goes."""
    edit(book.context, monthly(3_490))
    migrate_plan(book.context, Migration(SLUG, "Essential"), STAFF)
    with book.context.database.unit_of_work() as session:
        if left == "cancelled":
            session.get_one(Contract, book.contract_id).status = AgreementStatus.CANCELLED
        else:
            session.get_one(Cover, covers(book.context, book.contract_id)[0].id).until_period = 5

    with pytest.raises(DomainError, match="not offered any more"):
        accept(book.context, plan_changes(book.context)[0].id)


@pytest.mark.parametrize(("until", "status", "left"), [(1, "withdrawn", [(0, 1)]), (3, "applied", [(0, 1), (1, 3)])])
def test_an_accepted_change_ends_with_the_person_who_leaves(
    book: Book, until: int, status: str, left: list[tuple[int, int]]
) -> None:
    """The new cover ends when the old one would have; one that would begin afterwards never begins."""
    add(book.context, "Basic", monthly(1_990))
    book.issue()
    change(book, "Basic")
    with book.context.database.unit_of_work() as session:
        session.get_one(Cover, covers(book.context, book.contract_id)[0].id).until_period = until

    advance(book, 30)
    apply(book.context)

    assert [row.status for row in plan_changes(book.context)] == [status]
    assert [(cover.from_period, cover.until_period) for cover in covers(book.context, book.contract_id)] == left


def test_what_is_open_is_withdrawn_when_a_cover_ends(book: Book) -> None:
    """Whoever ends a cover or a contract says why."""
    add(book.context, "Basic", monthly(1_990))
    row = change(book, "Basic")

    with book.context.database.unit_of_work() as session:
        withdraw_open_change(session, row.cover_id, book.context.clock.now(), actor=STAFF, because="cancelled")

    assert [row.status for row in plan_changes(book.context)] == [PlanChangeStatus.WITHDRAWN]


def test_somebody_who_joins_later_changes_no_earlier(book: Book) -> None:
    """Their first period is the first that can have another price."""
    add(book.context, "Basic", monthly(1_990))
    book.issue()
    contract = stored(book)
    with book.context.database.unit_of_work() as session:
        location = session.get_one(Location, contract.location_id)
        plan = plan_by_name(session, location, "Essential")
        offer = plan, offered_version(session, plan)
        cover = draft_cover(contract, contract.member_id, Position.HOLDER, offer, book.context.clock.now())
        cover.from_period = 2
        session.add(cover)
        session.get_one(Cover, covers(book.context, contract.id)[0].id).until_period = 2
    change(book, "Basic")

    advance(book, 30)
    apply(book.context)
    assert [row.status for row in plan_changes(book.context)] == [PlanChangeStatus.ACCEPTED]
    with book.context.database.unit_of_work() as session:
        session.get_one(Contract, contract.id).step()
    advance(book, 31)
    apply(book.context)

    assert [(row.from_period, row.until_period, row.price_cents) for row in covers(book.context, contract.id)] == [
        (0, 2, 2_990),
        (2, 2, 2_990),
        (2, None, 1_990),
    ]


@pytest.mark.parametrize("changed", [0, 1, 20])
def test_a_batch_is_read_with_few_queries(book: Book, changed: int) -> None:
    """As many for twenty changes as for one, and a single one when nothing was accepted."""
    add(book.context, "Basic", monthly(1_990))
    signed = [sign(book.context) for _ in range(20)]
    for contract in signed[:changed]:
        change(book, "Basic", contract)
    reads: list[str] = []

    def count(*arguments: Any) -> None:
        if str(arguments[2]).startswith("SELECT"):
            reads.append(arguments[2])

    with book.context.database.unit_of_work() as session:
        contracts = session.scalars(select(Contract).where(Contract.id.in_([row.id for row in signed]))).all()
        event.listen(book.context.database.writer, "before_cursor_execute", count)
        apply_plan_changes(session, contracts, book.context.clock.now())

    assert len(reads) == (2 if changed else 1)
