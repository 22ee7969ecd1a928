"""The judge can say no: with any one safeguard switched off, some seed breaks a promise."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from connector.billing import inbox
from connector.billing.processor import ProcessorEvent
from connector.billing.stripe.charges import Charges
from connector.database.engine import Database
from connector.database.seal import Seal
from connector.ledger.write_back import outcome
from connector.pms_adapters.open_dental.adapter import OpenDentalAdapter
from connector.simulation import faults, trouble
from connector.simulation import simulate as simulation
from connector.simulation.faults import FaultKind
from connector.simulation.simulate import Outcome, Wanted, simulate
from connector.simulation.stage import Stage
from connector.use_cases.books import move_entries
from connector.use_cases.collection import read_news

F = FaultKind
SEEDS = (1, 2, 3, 4, 5)
WANTED = Wanted(days=6, members=12, seed=0)
TROUBLE = {
    F.CRASH: 6.0,
    F.LOST_ANSWER: 3.0,
    F.STRIPE_LOST_ANSWER: 3.0,
    F.STANDSTILL: 3.0,
}
"""What the safeguards stand against, often enough for a few days to show it."""


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(faults.LEVELS, "heavy", TROUBLE)
    monkeypatch.setattr(trouble, "LONGEST_FUSE", 300)


def first_broken(kinds: set[str], wanted: Wanted = WANTED) -> Outcome | None:
    """The first of the seeds that breaks a promise of these kinds."""
    for seed in SEEDS:
        outcome = simulate(replace(wanted, seed=seed))
        if kinds & {violation.kind for violation in outcome.verdict.violations}:
            return outcome
    return None


def test_with_all_safeguards_the_same_trouble_breaks_no_promise() -> None:
    """What the other tests of this module see comes from the safeguard that each of them takes away."""
    injected: Counter[FaultKind] = Counter()
    for seed in SEEDS[:3]:
        outcome = simulate(replace(WANTED, seed=seed))
        injected += Counter(outcome.injected)
        assert outcome.verdict.violations == []
    assert all(injected[kind] for kind in TROUBLE)


def test_without_reading_back_payments_are_written_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write without an answer is only safe to repeat because the practice system is looked at first."""
    monkeypatch.setattr(OpenDentalAdapter, "find_entries", lambda *_: [])

    assert first_broken({"duplicate"})


def test_without_unique_events_news_is_taken_in_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The feed is read with an overlap, so the name of an event is what keeps it from coming twice."""
    numbers = count()

    def renamed(session: Session, events: list[ProcessorEvent], *rest: Any) -> int:
        return inbox.store(session, [replace(one, id=f"{one.id}~{next(numbers)}") for one in events], *rest)

    monkeypatch.setattr(read_news, "store", renamed)

    assert first_broken({"repeat"})


def test_without_durable_keys_a_lost_answer_makes_a_second_payment_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked again must be asked under the same key."""
    numbers, prepare = count(), Charges.prepare_charge

    def forgetful(self: Charges, key: str, *rest: Any, **more: Any) -> str:
        return prepare(self, f"{key}:{next(numbers)}", *rest, **more)

    monkeypatch.setattr(Charges, "prepare_charge", forgetful)

    assert first_broken({"repeat"})


def test_without_units_of_work_a_crash_leaves_half_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Payment, journal entry and write-back belong together, or a kill between two of them loses something."""
    opened = Database.__init__

    def open_loosely(self: Database, url: str) -> None:
        opened(self, url)
        event.listen(self.writer, "before_cursor_execute", commit_before)

    def commit_before(connection: Any, *_: Any) -> None:
        raw = connection.connection.dbapi_connection
        if raw.in_transaction:
            raw.execute("COMMIT")
            raw.execute("BEGIN IMMEDIATE")

    monkeypatch.setattr(Database, "__init__", open_loosely)

    assert first_broken({"book", "lost", "unexplained", "double_charge", "duplicate"})


def test_without_the_lease_whoever_takes_over_writes_what_the_other_is_about_to_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that stood still wakes up and sends; nobody who took over may have sent the same."""
    absent = outcome.absent
    monkeypatch.setattr(outcome, "absent", lambda row, manifest, now, **_: absent(row, manifest, now))

    assert first_broken({"duplicate"})


def test_without_moving_entries_money_is_left_with_the_wrong_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new link alone corrects nothing that was written: after the yes the judge wants each ledger to be right."""
    monkeypatch.setitem(faults.LEVELS, "heavy", {F.RELINK: 40.0})
    assert simulate(replace(WANTED, seed=SEEDS[0])).verdict.violations == []
    monkeypatch.setattr(move_entries, "_move", lambda *_: None)

    assert first_broken({"wrong_patient"})


def test_without_the_seal_a_database_that_was_set_back_charges_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once Stripe has forgotten its keys the same names are of no help."""
    monkeypatch.setitem(faults.LEVELS, "heavy", {F.SET_BACK: 0.5})
    monkeypatch.setattr(Seal, "agrees", lambda _self, _kept: True)
    monkeypatch.setattr(simulation, "BACKUP_AGES", (3,))

    assert first_broken({"double_charge"}, replace(WANTED, days=12, members=30))


def test_no_outside_call_is_made_within_a_unit_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that lasts a minute would keep everybody else from writing for so long; the judge sees one that does."""
    monkeypatch.setitem(faults.LEVELS, "heavy", {})
    stages: list[Stage] = []
    opened, confirm = Stage._open, Charges.confirm_charge

    def opened_and_known(stage: Stage) -> None:
        opened(stage)
        stages.append(stage)

    def within(self: Charges, *rest: Any) -> Any:
        with stages[-1].database.unit_of_work() as session:
            session.execute(text("SELECT 1"))
            return confirm(self, *rest)

    monkeypatch.setattr(Stage, "_open", opened_and_known)
    monkeypatch.setattr(Charges, "confirm_charge", within)

    assert first_broken({"transaction"})
