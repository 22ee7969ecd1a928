"""The engine against a practice system with every mood, crashes included, in sequences that nobody would write down."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from connector.billing.clinics import Clinic, Location
from connector.billing.members import Member
from connector.clock import MovableClock
from connector.database.engine import Database
from connector.ledger.write_back import queue
from connector.ledger.write_back.engine import WriteBackEngine
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.queue import Order
from connector.ledger.write_back.states import WriteBackState
from connector.money import Money
from tests.support.moody_pms import KilledError, Mood, MoodyPms

S = WriteBackState
SYDNEY = ZoneInfo("Australia/Sydney")
START = datetime(2026, 9, 1, 9, tzinfo=SYDNEY)
ROWS = ("SP1", "SP2", "SP3")
PATIENTS = ("1", "1", "2")
"""Two payments of the same patient, amount and day: each looks like the other's twin."""
STEPS_SECONDS = (5, 30, 70, 600, 4_000)
"""Short enough to look too early, were it allowed, and long enough to outlast every pause."""
PERSON_DECIDES = (S.HELD, S.REJECTED)


class Desk:
    """A location with three write-backs, an engine, and a clock."""

    def __init__(self, database: Database, moods: Iterator[Mood]) -> None:
        self.database = database
        self.clock = MovableClock(START)
        self._moods = moods
        self.pms = MoodyPms(self.clock, self._mood)
        self._add_rows()

    def _mood(self, choices: Sequence[Mood]) -> Mood:
        mood = next(self._moods, Mood.WELL)
        return mood if mood in choices else Mood.WELL

    def work(self, seconds: int) -> None:
        """Let time pass and run the engine, whose process may be killed on the way."""
        self.clock.advance(timedelta(seconds=seconds))
        with suppress(KilledError):
            WriteBackEngine(self.database, self.clock, "loc", SYDNEY, self.pms).run()

    def rows(self) -> list[WriteBack]:
        with self.database.read() as session:
            return list(session.scalars(select(WriteBack).order_by(WriteBack.id)))

    def states(self) -> set[WriteBackState]:
        return {row.state for row in self.rows()}

    def decide(self) -> None:
        """Somebody at the desk posts what waits for a person."""
        with self.database.unit_of_work() as session:
            for row in self.rows():
                if row.state in PERSON_DECIDES:
                    queue.post_by_person(session, row.id, self.clock.now(), "front desk")

    def assert_never_twice(self) -> None:
        for reference in ROWS:
            assert len(self.pms.carriers(reference)) <= 1, f"{reference} was written twice."

    def _add_rows(self) -> None:
        now = self.clock.now()
        with self.database.unit_of_work() as session:
            session.add(Clinic(id="cli", name="Leura Dental", created_at=now))
            session.flush()
            location = Location(
                id="loc",
                clinic_id="cli",
                slug="leura",
                name="Leura",
                timezone="Australia/Sydney",
                currency="aud",
                pms_adapter="moody",
                pms_settings={},
                created_at=now,
            )
            session.add(location)
            session.flush()
            for number, (reference, patient) in enumerate(zip(ROWS, PATIENTS, strict=True)):
                member = Member(
                    id=f"mem_{number}",
                    location_id="loc",
                    external_id=f"{number}",
                    given_name="Ada",
                    family_name="Ferris",
                    date_of_birth=None,
                    created_at=now,
                )
                session.add(member)
                session.flush()
                queue.enqueue(session, [(_order(reference, member.id), patient)], now)


def _order(reference: str, member_id: str) -> Order:
    return Order(
        location_id="loc",
        member_id=member_id,
        source_id=f"pay_{reference}",
        leg=Leg.PAYMENT,
        reference=reference,
        amount=Money(2_990, "aud"),
        entry_date=date(2026, 9, 1),
        payment_type="SmilePass Card",
        note="",
    )


@contextmanager
def running_desk(template: Path, moods: Sequence[Mood]) -> Iterator[Desk]:
    """A desk with a database of its own."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "desk.sqlite3"
        shutil.copy(template, file)
        database = Database(f"sqlite:///{file.as_posix()}")
        try:
            yield Desk(database, iter(moods))
        finally:
            database.close()


moods = st.lists(st.sampled_from(list(Mood)), max_size=40)
waits = st.lists(st.sampled_from(STEPS_SECONDS), min_size=1, max_size=25)


@given(moods=moods, waits=waits)
@example(moods=[Mood.WELL, Mood.LANDS_LATE], waits=[5, 5, 70])
@example(moods=[Mood.WELL, Mood.KILLED_LANDS_LATE], waits=[5, 91, 1])
@settings(max_examples=60)
def test_whatever_happens_nothing_is_written_twice_and_everything_in_the_end(
    template: Path, moods: list[Mood], waits: list[int]
) -> None:
    """Lost answers, late landings, crashes at any request, failing reads; a person posts what was handed over."""
    with running_desk(template, moods) as desk:
        for wait in waits:
            desk.work(wait)
            desk.assert_never_twice()
        for _ in range(len(moods) + 10):
            desk.decide()
            desk.work(4_000)
            desk.assert_never_twice()
            if desk.states() == {S.CONFIRMED}:
                break

        assert desk.states() == {S.CONFIRMED}
        for row in desk.rows():
            (entry,) = desk.pms.carriers(row.reference)
            assert (entry.id, entry.patient_id) == (row.pms_entry_id, row.sent_to_patient_id)


@given(moods=moods, waits=waits)
@settings(max_examples=25)
def test_without_a_person_every_row_ends_confirmed_or_with_its_reason(
    template: Path, moods: list[Mood], waits: list[int]
) -> None:
    """Nothing stays under way for ever, and whoever must act is told why."""
    with running_desk(template, moods) as desk:
        for wait in [*waits, *[4_000] * (len(moods) + 10)]:
            desk.work(wait)
            if desk.states() <= {S.CONFIRMED, *PERSON_DECIDES}:
                break
        desk.assert_never_twice()

        for row in desk.rows():
            assert row.state in (S.CONFIRMED, *PERSON_DECIDES)
            assert row.state is S.CONFIRMED or row.reason
