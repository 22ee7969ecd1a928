"""A location with write-backs in a database of its own, an engine, a clock, and a practice system with moods."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from sqlalchemy import select

from connector.billing.clinics import Clinic, Location
from connector.billing.members import Member
from connector.clock import MovableClock
from connector.database.engine import Database
from connector.ledger.write_back import queue
from connector.ledger.write_back.engine import Tally, WriteBackEngine
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
PERSON_DECIDES = (S.HELD, S.REJECTED)


class Desk:
    """A location with three write-backs, an engine, and a clock."""

    def __init__(self, database: Database, moods: Iterator[Mood]) -> None:
        self.database = database
        self.clock = MovableClock(START)
        self._moods = moods
        self.pms = MoodyPms(self.clock, self._mood)
        self._add_location()
        for reference, patient in zip(ROWS, PATIENTS, strict=True):
            self.add(reference, patient)

    def _mood(self, choices: Sequence[Mood]) -> Mood:
        mood = next(self._moods, Mood.WELL)
        return mood if mood in choices else Mood.WELL

    def work(self, seconds: int) -> Tally:
        """Let time pass and run the engine, whose process may be killed on the way."""
        self.clock.advance(timedelta(seconds=seconds))
        tally = Tally()
        with suppress(KilledError):
            WriteBackEngine(self.database, self.clock, "loc", SYDNEY, self.pms).run(tally)
        return tally

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

    def add(self, reference: str, patient: str) -> None:
        """One more payment of somebody, who is linked to that patient."""
        member = Member(
            id=f"mem_{reference}",
            location_id="loc",
            external_id=reference,
            given_name="Ada",
            family_name="Ferris",
            date_of_birth=None,
            created_at=self.clock.now(),
        )
        with self.database.unit_of_work() as session:
            session.add(member)
            session.flush()
            queue.enqueue(session, [(_order(reference, member.id), patient)], self.clock.now())

    def _add_location(self) -> None:
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
