"""Faults that need a scene of their own; the table in docs/faults.md names these tests and all the others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pysqlite3.dbapi2 as sqlite
import pytest
from sqlalchemy import select, update

from connector import failpoints
from connector.billing.collecting.charges import Charge, ChargeAttempt, Payment, ReturnedPayment
from connector.billing.inbox import InboxEvent, read_until
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.processor import ProcessorEvent
from connector.billing.stripe import StripeProcessor, news
from connector.database.engine import DatabaseUnavailable
from connector.database.installation import Installation, installation
from connector.ledger.write_back import engine, queue
from connector.ledger.write_back.connection_lease import TERM
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.outcome import ATTEMPTS_MAX
from connector.ledger.write_back.states import WriteBackState
from connector.use_cases.books.work_write_backs import work_write_backs
from connector.use_cases.collection.read_news import read_news
from connector.use_cases.collection.run_due import run_due
from connector.use_cases.context import Context, PmsConnections
from tests.support.practice import Practice
from tests.support.requests import Died

S = WriteBackState
EVENTS_PATH = "/v1/events"
CREATE = "/v1/payment_intents"


def test_an_event_that_appears_behind_the_cursor_is_still_taken_in(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe's feed is not in order at every moment: what appears late within the overlap is read all the same."""
    practice.paid()
    everything = StripeProcessor.events_since

    def without_the_last_but_one(self: StripeProcessor, instant: datetime) -> Iterator[ProcessorEvent]:
        *before, _, last = everything(self, instant)
        return iter([*before, last])

    for cents in ("500", "700"):
        practice.refund(amount=cents)
    with monkeypatch.context() as patch:
        patch.setattr(StripeProcessor, "events_since", without_the_last_but_one)
        read_news(practice.context)
    assert [row.amount_cents for row in practice.all(ReturnedPayment)] == [700]

    practice.advance(minutes=5)
    read_news(practice.context)

    assert sorted(row.amount_cents for row in practice.all(ReturnedPayment)) == [500, 700]


@pytest.mark.parametrize(
    "fault",
    [{"kind": "status_before", "status": 500}, {"kind": "rate_limit"}, {"kind": "truncate"}],
    ids=["500", "429", "truncated"],
)
def test_a_feed_that_breaks_off_within_its_pages_moves_nothing(
    practice: Practice, monkeypatch: pytest.MonkeyPatch, fault: dict[str, object]
) -> None:
    """Half a window is no window: nothing of it is stored, the cursor stays, and the next poll has all of it."""
    monkeypatch.setattr(news, "PAGE", 1)
    practice.enrol()
    run_due(practice.context)
    before = _cursor(practice), len(practice.all(InboxEvent))
    practice.stripe.post("faults", method="GET", path=EVENTS_PATH, skip=1, count=20, **fault)

    report = read_news(practice.context)

    assert report.problems
    assert (_cursor(practice), len(practice.all(InboxEvent))) == before
    practice.stripe_well_again()
    assert read_news(practice.context).problems == []
    assert len(practice.all(InboxEvent)) > before[1]


def test_a_key_that_was_used_with_other_details_is_a_persons_matter(practice: Practice) -> None:
    """Stripe compares what comes under one key. A difference is refused, and no fresh key is made to get around it."""
    practice.enrol()
    practice.stripe.post("faults", method="POST", path=CREATE, kind="reset_after", count=3)
    run_due(practice.context)
    with practice.context.database.unit_of_work() as session:
        session.execute(update(Charge).values(amount_cents=1_234))

    practice.advance(minutes=6)
    run_due(practice.context)

    (attempt,) = practice.all(ChargeAttempt)
    assert attempt.failure_code == "refused_by_processor"
    assert [invoice.status for invoice in practice.all(Invoice)] == [InvoiceStatus.OVERDUE]
    assert len(practice.stripe_listed("payment_intents")) == 1
    assert practice.all(Payment) == []
    assert practice.stripe_charges() == []


def test_a_disk_that_fills_up_while_payments_are_written_loses_and_doubles_none(practice: Practice) -> None:
    """Whichever commit finds no room, the work stops there; with room again it goes on like after a kill."""
    for _ in range(12):
        practice.enrol()
    practice.charge()
    with practice.context.database.writer.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    with pytest.raises(DatabaseUnavailable, match="disk is full"):
        practice.write()

    assert 0 < len(practice.pms_rows()) < len(practice.states()), "It is full in the middle of the work."
    with practice.context.database.writer.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    practice.settle()
    assert {row.attempts for row in practice.all(WriteBack)} == {1}
    practice.assert_all_written()


def test_a_row_that_kills_its_worker_each_time_is_held_and_the_others_flow(practice: Practice) -> None:
    """Attempts are counted before the work, so a poisoned row ends at a person and keeps nobody behind it."""
    for _ in range(3):
        practice.enrol()
    practice.charge()
    (poison, *_) = practice.all(WriteBack)

    def bite(place: str) -> None:
        with practice.context.database.read() as session:
            state = session.scalars(select(WriteBack.state).where(WriteBack.id == poison.id)).one()
        if place == "write.before" and state is S.SENDING and poison.id not in dead:
            dead.add(poison.id)
            raise Died

    kills = 0
    for _ in range(4 * ATTEMPTS_MAX):
        dead: set[str] = set()
        try:
            with failpoints.watched(bite):
                practice.write()
        except Died:
            kills += 1
        practice.advance(minutes=5)

    states = {row.id: row.state for row in practice.all(WriteBack)}
    assert kills >= ATTEMPTS_MAX
    assert states.pop(poison.id) is S.HELD
    assert set(states.values()) == {S.CONFIRMED}
    assert len(practice.pms_rows()) == len(states)


def test_a_worker_that_stood_still_and_one_that_took_over_write_one_entry(practice: Practice) -> None:
    """Whoever takes over only looks: the one that stands still may wake up at any time, and then its entry lands."""
    practice.paid()
    other = _another_installation(practice)
    stood: list[str] = []

    def stand_still(place: str) -> None:
        if place == "write.before" and not stood:
            stood.append(place)
            for _ in range(8):
                practice.advance(minutes=10)
                work_write_backs(other)
            assert (practice.states(), practice.pms_rows()) == ([S.HELD], [])

    with failpoints.watched(stand_still):
        practice.write()

    row = practice.write_back()
    assert (row.state, row.attempts, len(practice.pms_rows())) == (S.HELD, 1, 1), "The late outcome changes nothing."
    assert row.reason is not None
    assert "Another installation" in row.reason
    practice.by_hand(queue.post_by_person)
    work_write_backs(other)
    assert practice.write_back().attempts == 1
    practice.assert_all_written()


def test_of_two_installations_one_writes_and_the_other_takes_over_when_it_is_gone(practice: Practice) -> None:
    """A connection has one owner at a time; after its term somebody else may go on with what was never sent."""
    first, second = practice.context, _another_installation(practice)
    practice.paid()
    practice.write()
    for _ in range(3):
        practice.enrol()
    practice.charge()

    assert work_write_backs(second)[practice.location.slug].sent == 0
    practice.advance(seconds=TERM.total_seconds())
    assert work_write_backs(second)[practice.location.slug].sent == 3
    practice.paid()
    assert work_write_backs(first)[practice.location.slug].sent == 0
    practice.advance(seconds=TERM.total_seconds())
    practice.settle()
    practice.assert_all_written()


def test_an_installation_that_is_taken_over_during_a_run_ends_the_run(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stays due because somebody else writes now would keep it busy for ever."""
    practice.paid()
    answers = iter([True])
    monkeypatch.setattr(engine, "hold", lambda *_: next(answers, False))

    done = practice.write()

    assert (done.sent, practice.states()) == (0, [S.QUEUED])


def test_of_two_processes_of_one_installation_one_writes_at_a_time(practice: Practice, tmp_path: Path) -> None:
    """A command beside the daemon leaves the writing to it, however long the daemon stands still."""
    practice.paid()
    here = installation(tmp_path / "data")
    context = replace(practice.context, installation=here)

    with installation(tmp_path / "data").sending() as alone:
        assert alone
        assert work_write_backs(context) == {}

    assert installation(tmp_path / "data").id == here.id != installation(tmp_path / "elsewhere").id
    assert work_write_backs(context)[practice.location.slug].sent == 1
    practice.assert_all_written()


@pytest.mark.parametrize("verb", ["run-due", "serve", "write-backs work --location leura"])
def test_on_a_damaged_file_nothing_is_charged_or_written(practice: Practice, tmp_path: Path, verb: str) -> None:
    """The sentence says what to do; who goes on with what is left of a book may charge twice."""
    practice.paid()
    damaged = tmp_path / "damaged.sqlite3"
    with closing(sqlite.connect(str(practice.context.database.path))) as connection:
        connection.execute("VACUUM INTO ?", (str(damaged),))
    content = bytearray(damaged.read_bytes())
    half = len(content) // 2
    content[half : half + 8_192] = b"\xff" * 8_192
    damaged.write_bytes(content)
    environment = {**os.environ, **practice.environment(), "CONNECTOR_DATABASE__URL": f"sqlite:///{damaged}"}
    environment |= {"CONNECTOR_DATA_DIR": str(tmp_path / "data"), "CONNECTOR_DAEMON__PORT": "0"}

    done = subprocess.run(
        [sys.executable, "-m", "connector", *verb.split()],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, "damaged" in done.stderr) == (1, True), done.stderr
    assert practice.pms_rows() == []


def _another_installation(practice: Practice) -> Context:
    connections = PmsConnections(practice.clock, practice.context.pms.factories)
    return replace(practice.context, pms=connections, installation=Installation("inst_another"))


def _cursor(practice: Practice) -> datetime | None:
    with practice.context.database.read() as session:
        return read_until(session)
