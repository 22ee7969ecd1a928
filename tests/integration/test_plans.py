"""Plans in versions: an edit reaches nobody who has signed, and moving members on is announced to each of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from connector.billing.activity import Activity
from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.schedule import Frequency
from connector.billing.offers.plan_changes import PlanChangeStatus
from connector.billing.offers.plan_files import starter
from connector.billing.offers.plans import PlanVersion
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.use_cases.plans.edit_plan import archive_plan, restore_plan
from connector.use_cases.plans.list_plans import find_version, list_plans
from connector.use_cases.plans.migrate_plan import Migration, Move, Standing, migrate_plan, preview_migration
from connector.use_cases.plans.offer_plan import open_offer
from tests.support.book import Book, opened_book
from tests.support.plan_changes import (
    SLUG,
    STAFF,
    accept,
    add,
    covers,
    edit,
    essential,
    invoiced,
    monthly,
    notices,
    plan_changes,
    sign,
)

TODAY = date(2026, 11, 21)
AFTER_NOTICE = date(2026, 12, 5)
NEXT_DUE = date(2026, 12, 21)
PLAN = Migration(SLUG, "Essential")


@pytest.fixture
def book(tmp_path: Path, template: Path) -> Iterator[Book]:
    file = tmp_path / "connector.sqlite3"
    file.write_bytes(template.read_bytes())
    with opened_book(f"sqlite:///{file.as_posix()}", tmp_path) as opened:
        yield opened


def history(book: Book) -> list[str]:
    """What the activity says that people did."""
    with book.context.database.read() as session:
        return list(session.scalars(select(Activity.action).where(Activity.actor == STAFF).order_by(Activity.sequence)))


def announced(book: Book, migration: Migration = PLAN) -> list[Move]:
    return migrate_plan(book.context, migration, STAFF)


def standings(book: Book) -> list[Standing]:
    return [move.standing for move in preview_migration(book.context, PLAN).moves]


def test_an_edit_makes_a_version_and_never_touches_a_signed_contract(book: Book) -> None:
    """The member's next invoice is still at the old price; whoever joins now signs the new one."""
    made = edit(book.context, monthly(3_490, lock_in_months=12))

    book.issue()
    book.issue()
    joined = sign(book.context)

    assert made.version == 2
    assert "price monthly 29.90 -> 34.90" in made.differences
    assert "lock-in months 0 -> 12" in made.differences
    assert invoiced(book.context) == [2_990, 2_990]
    assert [cover.price_cents for cover in covers(book.context, joined.id)] == [3_490]
    assert find_version(book.context, book.location, "Essential", 1).terms == starter("essential")
    assert find_version(book.context, book.location, "Essential").actor == STAFF
    assert history(book) == ["Plan Edited"]


def test_an_edit_that_changes_nothing_is_refused(book: Book) -> None:
    """The document as it is stored makes no version."""
    with pytest.raises(DomainError, match="the terms of the plan 'Essential' already"):
        edit(book.context, starter("essential"))

    with book.context.database.read() as session:
        assert len(session.scalars(select(PlanVersion)).all()) == 3
    assert history(book) == []


def test_an_edit_that_nobody_would_notice_is_a_version_without_differences(book: Book) -> None:
    """A discount that is not included is shown to no member."""
    made = edit(
        book.context,
        essential(
            discounts={
                **starter("essential").model_dump(mode="json")["discounts"],
                "orthodontics": {"percent": "5", "included": False},
            }
        ),
    )

    assert (made.version, made.differences) == (2, [])


def test_nobody_joins_an_archived_plan_and_its_members_stay(book: Book) -> None:
    """They are invoiced as before; once it is restored people can join again."""
    archive_plan(book.context, location_slug=SLUG, name="Essential", actor=STAFF)

    with pytest.raises(DomainError, match="is archived, so nobody can join it"):
        sign(book.context)
    with pytest.raises(DomainError, match="archived already"):
        archive_plan(book.context, location_slug=SLUG, name="Essential", actor=STAFF)
    book.issue()
    lines = {line.name: line for line in list_plans(book.context, book.location)}
    assert (lines["Essential"].members, lines["Essential"].archived, lines["Premium"].archived) == (1, True, False)
    assert invoiced(book.context) == [2_990]

    restore_plan(book.context, location_slug=SLUG, name="Essential", actor=STAFF)
    sign(book.context)
    with pytest.raises(DomainError, match="is not archived"):
        restore_plan(book.context, location_slug=SLUG, name="Essential", actor=STAFF)
    assert history(book) == ["Plan Archived", "Plan Restored"]


@pytest.mark.parametrize(
    ("window", "is_open"),
    [
        ({"offered_from": "2026-11-22"}, False),
        ({"offered_until": "2026-11-20"}, False),
        ({"offered_from": "2026-11-21", "offered_until": "2026-11-21"}, True),
    ],
)
def test_a_plan_is_joined_within_its_days_of_sign_up(book: Book, window: dict[str, str], is_open: bool) -> None:
    """Both limits are included."""
    add(book.context, "Spring", monthly(1_000, **window))

    with book.context.database.read() as session:
        if is_open:
            assert open_offer(session, book.location, "Spring", TODAY)[0].name == "Spring"
        else:
            with pytest.raises(DomainError, match="is not open for sign-ups on 21/11/2026"):
                open_offer(session, book.location, "Spring", TODAY)


def test_the_preview_is_what_the_migration_announces(book: Book) -> None:
    """Each person with the price now and then; the payer gets a message; once more announces to nobody."""
    weekly = sign(book.context, frequency=Frequency.WEEKLY, household=2)
    edit(book.context, essential(prices={"weekly": 750, "monthly": 3_490}))
    before = preview_migration(book.context, PLAN)

    moves = announced(book)

    assert moves == before.moves
    assert [(move.version, move.price_now.cents, move.price_then and move.price_then.cents) for move in moves] == [
        (1, 2_990, 3_490),
        (1, 690, 750),
        (1, 690, 750),
    ]
    assert {move.effective_on for move in moves} == {NEXT_DUE, AFTER_NOTICE}
    assert "price weekly 6.90 -> 7.50" in before.differences[1]
    assert [(change.price_cents, change.effective_on, change.status) for change in plan_changes(book.context)] == [
        (3_490, NEXT_DUE, PlanChangeStatus.OFFERED),
        (750, AFTER_NOTICE, PlanChangeStatus.OFFERED),
        (750, AFTER_NOTICE, PlanChangeStatus.OFFERED),
    ]
    assert [(message.kind, message.member_id, message.detail) for message in notices(book.context)] == [
        (MessageKind.PLAN_CHANGE_NOTICE, payer, {"effective_on": day.isoformat()})
        for payer, day in [(book.member_id, NEXT_DUE), (weekly.member_id, AFTER_NOTICE)]
    ]
    told = {message.subject_id for message in notices(book.context)}
    assert told == {row.id for row in plan_changes(book.context)[:2]}
    assert announced(book) == []
    assert standings(book) == [Standing.OFFERED] * 3
    assert history(book) == ["Plan Edited"] + ["Plan Change Announced"] * 3


@pytest.mark.parametrize(("day", "accepted"), [(date(2026, 12, 4), False), (AFTER_NOTICE, True)])
def test_members_are_told_fourteen_days_before(book: Book, day: date, accepted: bool) -> None:
    """A day that leaves less notice is refused, and nobody is told anything."""
    edit(book.context, monthly(3_490))
    migration = Migration(SLUG, "Essential", effective=day)

    if accepted:
        assert len(announced(book, migration)) == 1
        return
    for verb in (announced, lambda book, migration: preview_migration(book.context, migration)):
        with pytest.raises(DomainError, match="told 14 days before a change: choose 05/12/2026 or a later day"):
            verb(book, migration)
    assert (plan_changes(book.context), notices(book.context)) == ([], [])


def test_an_offer_of_a_version_that_is_outdated_is_replaced(book: Book) -> None:
    """Whoever has not answered is told of the newest one; whoever has accepted gets what was accepted."""
    sign(book.context)
    edit(book.context, monthly(3_490))
    first = announced(book)
    accepted, unanswered = plan_changes(book.context)
    accept(book.context, accepted.id)
    edit(book.context, monthly(3_690))

    second = announced(book)

    assert len(first) == 2
    assert [move.price_then and move.price_then.cents for move in second] == [3_690]
    assert {row.id: row.status for row in plan_changes(book.context)[:2]} == {
        accepted.id: PlanChangeStatus.ACCEPTED,
        unanswered.id: PlanChangeStatus.WITHDRAWN,
    }
    assert standings(book) == [Standing.ACCEPTED, Standing.OFFERED]


def test_whoever_has_no_price_in_the_new_version_stays(book: Book) -> None:
    """The preview shows them, the migration leaves them out."""
    sign(book.context, frequency=Frequency.ANNUALLY)
    edit(book.context, monthly(3_490))

    assert standings(book) == [Standing.TO_ANNOUNCE, Standing.NOT_OFFERED]
    assert [move.frequency for move in announced(book)] == [Frequency.MONTHLY]


def test_a_migration_may_be_limited_to_a_frequency_or_a_version(book: Book) -> None:
    """The rest is announced by a later run."""
    edit(book.context, essential(prices={"weekly": 700, "monthly": 3_000}))
    weekly = sign(book.context, frequency=Frequency.WEEKLY)
    edit(book.context, essential(prices={"weekly": 750, "monthly": 3_490}))

    by_frequency = announced(book, Migration(SLUG, "Essential", frequency=Frequency.WEEKLY))
    by_version = announced(book, Migration(SLUG, "Essential", only_version=1))

    assert [(move.contract_id, move.version) for move in by_frequency] == [(weekly.id, 2)]
    assert [(move.contract_id, move.version) for move in by_version] == [(book.contract_id, 1)]
    for number in (0, 3, 4):
        with pytest.raises(DomainError, match=f"{number} is not an older version of 'Essential'"):
            announced(book, Migration(SLUG, "Essential", only_version=number))


def test_only_people_who_are_members_now_are_moved(book: Book) -> None:
    """Not who has yet to sign, has left, or whose contract is cancelled; who is suspended is told like the others."""
    sign(book.context, active=False)
    gone, cancelled, suspended = sign(book.context), sign(book.context), sign(book.context)
    with book.context.database.unit_of_work() as session:
        session.get_one(Cover, covers(book.context, gone.id)[0].id).until_period = 1
        session.get_one(Contract, cancelled.id).status = AgreementStatus.CANCELLED
        session.get_one(Contract, suspended.id).status = AgreementStatus.SUSPENDED
    edit(book.context, monthly(3_490))

    assert [move.contract_id for move in announced(book)] == [book.contract_id, suspended.id]
    assert {line.name: line.members for line in list_plans(book.context, book.location)}["Essential"] == 2


def test_an_unknown_version_of_a_plan_is_refused(book: Book) -> None:
    """With the number of the newest one."""
    with pytest.raises(DomainError, match="has no version 7: its newest one is 1"):
        find_version(book.context, book.location, "Essential", 7)


def test_a_later_day_is_announced_as_the_due_date_that_follows_it(book: Book) -> None:
    """What the payer is told is the day of the first debit at the new price."""
    edit(book.context, monthly(3_490))

    (move,) = announced(book, Migration(SLUG, "Essential", effective=NEXT_DUE + timedelta(days=1)))

    assert move.effective_on == date(2027, 1, 21)
