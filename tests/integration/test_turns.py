"""After an outage: the oldest goes first, reversals follow their originals, and locations take turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import select

from connector.billing.clinics import Location
from connector.billing.members import Member
from connector.billing.processor import PaymentProcessor
from connector.clock import MovableClock
from connector.database.engine import Database
from connector.database.migrate import prepare
from connector.ledger.write_back.engine import ROWS_PER_SLOT
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.queue import Order, enqueue
from connector.money import Money
from connector.pms_adapters.open_dental.adapter import OpenDental
from connector.pms_adapters.port import ConnectionContext
from connector.pms_adapters.records import PaymentCommand, Receipt, ReversalCommand
from connector.rehearsal.practice_system import RehearsedFactory, RehearsedSystem
from connector.rehearsal.processor import RehearsedProcessor
from connector.use_cases.books.work_write_backs import work_write_backs
from connector.use_cases.context import Context, PmsConnections
from connector.use_cases.practice.set_up_location import add_location

NOW = datetime(2026, 3, 9, 1, tzinfo=UTC)
WEEK_AGO = NOW - timedelta(days=7)


@dataclass
class Group:
    """A clinic with several locations, whose practice systems note in which order they are written to."""

    context: Context
    written: list[str] = field(default_factory=list)
    """Marks of all entries, in the order in which they were written."""
    on_write: Callable[[], object] = lambda: None

    def add_location(self, slug: str) -> None:
        settings = {"base_url": "http://127.0.0.1:9/api/v1", "developer_key": "d", "customer_key": "c"}
        add_location(
            self.context,
            slug=slug,
            name=slug,
            timezone="Australia/Sydney",
            currency="aud",
            pms="open_dental",
            pms_settings=settings,
        )

    def owe(self, slug: str, mark: str, since: datetime, reverses: str | None = None) -> None:
        """A payment of that time waits to be written, or what takes the payment with the mark `reverses` back."""
        with self.context.database.unit_of_work() as session:
            location = session.scalars(select(Location).where(Location.slug == slug)).one()
            original = session.scalars(select(WriteBack.id).where(WriteBack.reference == reverses)).one_or_none()
            member = Member(
                id=f"mem_{mark}",
                location_id=location.id,
                external_id=mark,
                given_name="Ada",
                family_name="Ferris",
                date_of_birth=None,
                created_at=since,
            )
            session.add(member)
            session.flush()
            order = Order(
                location_id=location.id,
                member_id=member.id,
                source_id=mark,
                leg=Leg.REVERSAL if reverses else Leg.PAYMENT,
                reference=mark,
                amount=Money(2_990, "aud"),
                entry_date=since.date(),
                payment_type="SmilePass Card",
                note="",
                reverses_id=original,
            )
            enqueue(session, [(order, "1001")], since)


@dataclass(frozen=True)
class NotingSystem(RehearsedSystem):
    group: Group | None = None

    def record_payment(self, command: PaymentCommand) -> Receipt:
        self._note(command.reference)
        return super().record_payment(command)

    def record_reversal(self, command: ReversalCommand) -> Receipt:
        self._note(command.reference)
        return super().record_reversal(command)

    def _note(self, mark: str) -> None:
        assert self.group is not None
        self.group.written.append(mark)
        self.group.on_write()


@dataclass(frozen=True)
class NotingFactory(RehearsedFactory):
    group: Group | None = None

    def open(self, _settings: Mapping[str, str], _context: ConnectionContext) -> NotingSystem:
        return NotingSystem(self.manifest, group=self.group)


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    database = Database(f"sqlite:///{(tmp_path / 'group.sqlite3').as_posix()}")
    prepare(database)
    clock = MovableClock(NOW)
    processor = cast("PaymentProcessor", RehearsedProcessor(database, clock))
    factories: dict[str, NotingFactory] = {}
    found = Group(Context(database, clock, processor, PmsConnections(clock, factories)))
    factories["open_dental"] = NotingFactory(OpenDental(), found)
    for slug in ("large", "small"):
        found.add_location(slug)
    yield found
    database.close()


def test_a_backlog_is_written_oldest_first_with_each_reversal_after_its_original(group: Group) -> None:
    """However the rows got in; a reversal waits until its payment is proven and then goes before what is younger."""
    for day in (5, 2, 6, 0, 4, 1, 3):
        group.owe("large", f"P{day}", WEEK_AGO + timedelta(days=day))
    for day in (1, 4):
        group.owe("large", f"P{day}R1", WEEK_AGO + timedelta(days=day, hours=1), reverses=f"P{day}")
    group.owe("large", "P7", NOW)

    work_write_backs(group.context)
    group.owe("large", "P8", NOW)
    work_write_backs(group.context)

    assert group.written == ["P0", "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P1R1", "P4R1", "P8"]


def test_a_location_with_three_payments_does_not_wait_for_hundreds_of_another(group: Group) -> None:
    """They take turns by rounds."""
    for number in range(3 * ROWS_PER_SLOT):
        group.owe("large", f"L{number:03}", WEEK_AGO + timedelta(minutes=number))
    for number in range(3):
        group.owe("small", f"S{number}", NOW)

    tallies = work_write_backs(group.context)

    assert group.written[ROWS_PER_SLOT : ROWS_PER_SLOT + 3] == ["S0", "S1", "S2"]
    assert {slug: tally.confirmed for slug, tally in tallies.items()} == {"large": 3 * ROWS_PER_SLOT, "small": 3}


def test_what_falls_due_while_another_location_is_at_it_has_its_turn_as_well(group: Group) -> None:
    """A backlog of hours does not keep the payments of today from the others, first or again."""
    rows = 6 * ROWS_PER_SLOT
    for number in range(rows):
        group.owe("large", f"L{number:03}", WEEK_AGO + timedelta(minutes=number))

    def fall_due() -> None:
        if group.written[-1] in ("L010", f"L{3 * ROWS_PER_SLOT:03}"):
            group.owe("small", f"after {group.written[-1]}", NOW)

    group.on_write = fall_due
    tallies = work_write_backs(group.context)

    assert group.written.index("after L010") == 2 * ROWS_PER_SLOT
    assert group.written.index(f"after L{3 * ROWS_PER_SLOT}") == 5 * ROWS_PER_SLOT + 1
    assert {slug: tally.confirmed for slug, tally in tallies.items()} == {"large": rows, "small": 2}
