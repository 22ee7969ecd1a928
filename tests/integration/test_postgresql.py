"""The main job on a real PostgreSQL server: what SQLite does by its nature must hold here by our own keys."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from connector.billing.agreements.contracts import Contract
from connector.billing.clinics import Location
from connector.billing.collecting.charges import ChargeAttempt, Payment
from connector.billing.inbox import open_events, store
from connector.billing.invoices import Invoice
from connector.billing.members import Member
from connector.billing.processor import EventKind, ProcessorEvent
from connector.database.engine import DatabaseUnavailable, check_integrity
from connector.database.job_runs import win
from connector.ledger import recipes
from connector.ledger.accounts import Account
from connector.ledger.journal import Booking, JournalEntry, balances, post
from connector.ledger.write_back.models import Leg, WriteBack, WriteBackStep
from connector.ledger.write_back.queue import assign_patient, step
from connector.ledger.write_back.states import WriteBackState
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.invoices.issue_due import IssueTally, issue_due
from connector.use_cases.practice.set_up_location import add_location
from connector.use_cases.transfer.import_members import import_members
from tests.support.at_once import beside
from tests.support.book import NOW, PRICE, Book, opened_book
from tests.support.postgres import PostgresServer


@pytest.fixture
def book(postgres: PostgresServer, tmp_path: Path) -> Iterator[Book]:
    with opened_book(postgres.new_database(), tmp_path) as opened:
        yield opened


def test_the_whole_book_adds_up(book: Book) -> None:
    """Invoice, payment, platform fee, a refund that fails later, its credit note twice, payout: each has its entry."""
    payment = book.whole_story()

    result = verify_ledger(book.context)
    assert result.faults == []
    assert result.entries == 8
    # Invoiced, paid, given back, and paid again by that: nothing is owed.
    assert result.balances[Account.RECEIVABLE, "aud"] == 0
    assert sum(result.balances.values()) == 0
    with book.context.database.read() as session:
        rows = session.scalars(select(WriteBack).order_by(WriteBack.reference)).all()
    assert {row.amount_cents for row in rows} == {payment.amount_cents}
    # The payment, its refund, the move out of the wrong ledger, the refund undone, and the move into the right one.
    assert [(row.leg, row.state) for row in rows] == [
        (Leg.PAYMENT, WriteBackState.CONFIRMED),
        (Leg.REVERSAL, WriteBackState.CONFIRMED),
        (Leg.REVERSAL, WriteBackState.QUEUED),
        (Leg.PAYMENT, WriteBackState.CONFIRMED),
        (Leg.PAYMENT, WriteBackState.QUEUED),
    ]


def test_a_location_and_a_member_are_added_once(book: Book, tmp_path: Path) -> None:
    """A second try is refused or changes nothing."""
    with pytest.raises(Exception, match="There is a location 'leura' already"):
        add_location(
            book.context,
            slug="leura",
            name="Other",
            timezone="Australia/Sydney",
            currency="aud",
            pms="open_dental",
            pms_settings=book.location.pms_settings,
        )
    again = import_members(
        book.context, tmp_path / "members.csv", location_slug="leura", plan_name="Essential", invite=False
    )

    assert (again.imported, again.unchanged) == (0, 1)


def test_runs_at_the_same_time_issue_each_invoice_once(book: Book) -> None:
    """Two daemons may both find a contract due; the loser's unit of work leaves nothing."""

    def run(_: int) -> str:
        try:
            issue_due(book.context, book.location, IssueTally())
        except IntegrityError:
            return "lost"
        return "done"

    with ThreadPoolExecutor(max_workers=4) as pool:
        ends = list(pool.map(run, range(4)))

    assert "done" in ends
    with book.context.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Invoice)) == 1
        assert session.scalar(select(func.count()).select_from(ChargeAttempt)) == 1
        assert session.get_one(Contract, book.contract_id).next_period == 1
    assert verify_ledger(book.context).faults == []


def test_a_payment_is_recorded_once_however_often_it_is_reported(book: Book) -> None:
    """The confirmation, an event and a later look may all bring the same news."""
    charge_id = book.issue()

    first, second = book.pay(charge_id), book.pay(charge_id)

    assert first.id == second.id
    with book.context.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Payment)) == 1
        assert session.scalar(select(func.count()).select_from(WriteBack)) == 1


def test_a_source_has_one_entry_of_a_recipe(book: Book) -> None:
    """The second one undoes its unit of work."""
    booking = Booking(recipes.payout("po_1", PRICE), None, NOW.date())
    with book.context.database.unit_of_work() as session:
        post(session, [booking], NOW)

    with pytest.raises(IntegrityError), book.context.database.unit_of_work() as session:
        post(session, [booking], NOW)

    with book.context.database.read() as session:
        assert session.scalar(select(func.count()).select_from(JournalEntry)) == 1
        assert balances(session)[Account.BANK, "aud"] == PRICE.cents


def test_a_write_back_is_moved_by_one_of_two_who_read_it(book: Book) -> None:
    """Linked, claimed once, and the late outcome of the other changes nothing."""
    book.pay(book.issue())
    database = book.context.database
    with database.unit_of_work() as session:
        assert assign_patient(session, book.member_id, "1001", NOW, "front desk") == 1
    with database.read() as session:
        mine, theirs = session.scalars(select(WriteBack)).one(), session.scalars(select(WriteBack)).one()
    assert mine.state is WriteBackState.QUEUED

    with database.unit_of_work() as session:
        won = step(session, mine, WriteBackState.SENDING, NOW, fence=mine.fence + 1, attempts=1)
        lost = step(session, theirs, WriteBackState.SENDING, NOW, fence=theirs.fence + 1, attempts=1)

    assert (won, lost) == (True, False)
    with database.read() as session:
        history = session.scalars(select(WriteBackStep.after).order_by(WriteBackStep.sequence)).all()
    assert [state.value for state in history] == ["unlinked", "queued", "sending"]


def test_news_is_stored_once_and_moves_the_cursor(book: Book) -> None:
    """A poll reads some of the past again."""
    events = [
        ProcessorEvent(f"evt_{number}", kind, kind.value, f"obj_{number}", NOW + timedelta(seconds=number))
        for number, kind in enumerate([EventKind.CHARGE, EventKind.OTHER, EventKind.REFUND])
    ]
    database = book.context.database

    with database.unit_of_work() as session:
        first = store(session, events[:2], NOW)
    with database.unit_of_work() as session:
        second = store(session, events, NOW)

    assert (first, second) == (2, 1)
    with database.read() as session:
        assert [event.id for event in open_events(session, 10)] == ["evt_0", "evt_2"]


def test_a_job_is_won_by_one_of_many_daemons(book: Book) -> None:
    """At the same time or one after the other."""

    def ask(_: int) -> bool:
        with book.context.database.unit_of_work() as session:
            return win(session, "close_day", "leura/2026-11-21", NOW)

    with ThreadPoolExecutor(max_workers=6) as pool:
        answers = list(pool.map(ask, range(12)))

    assert sorted(answers) == [False] * 11 + [True]


def test_the_server_guards_its_own_files(book: Book) -> None:
    """The quick check is for SQLite's file; there is no path to it here."""
    assert book.context.database.path is None
    assert check_integrity(book.context.database)


def test_two_who_wait_for_each_other_are_told_so(book: Book) -> None:
    """The server lets one of them go on; the other keeps nothing of its step, and no file is locked by a program."""
    database = book.context.database
    rows = {Member: book.member_id, Location: book.location.id}

    def change(*models: type[Member | Location]) -> str:
        try:
            with database.unit_of_work() as session:
                for model in models:
                    session.execute(update(model).where(model.id == rows[model]).values(phone=models[0].__name__))
        except DatabaseUnavailable as error:
            return str(error)
        return "done"

    ends = beside(database, "UPDATE location", lambda: change(Member, Location), lambda: change(Location, Member))

    assert sorted(ends) == ["Two pieces of work met; nothing of this step was kept: try again.", "done"]
    with database.read() as session:
        assert session.scalars(select(Member.phone)).all() == session.scalars(select(Location.phone)).all()
