"""Practices to measure on: a database with people and work in it, and the simulated systems beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Insert, insert
from sqlalchemy.orm import DeclarativeBase

from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location, location_by_slug
from connector.billing.members import Member, MethodKind, PaymentMethod
from connector.billing.prices.pricing import Position
from connector.billing.processor import PaymentProcessor
from connector.clock import MovableClock, business_date, zone
from connector.database.engine import Database
from connector.database.migrate import prepare
from connector.ledger.write_back.models import Leg
from connector.ledger.write_back.queue import Order, enqueue
from connector.matching.models import PatientLink
from connector.money import Money
from connector.rehearsal.processor import RehearsedProcessor
from connector.sandbox.demo.processes import Sandbox, running
from connector.use_cases.context import Context, PmsConnections
from connector.use_cases.practice.set_up_location import add_location

ZONE = zone("Australia/Sydney")
NOON = datetime(2026, 3, 2, 12, tzinfo=ZONE)
FIRST_PATIENT = 1001
"""The number that the simulated office gives to the first patient of its file."""
BATCH = 10_000
OFFICE_KEYS = {"developer_key": "sandbox-developer", "customer_key": "sandbox-office"}


@dataclass(frozen=True, slots=True)
class Practice:
    """One location in a database of its own."""

    context: Context
    clock: MovableClock
    location: Location

    def fill(self, table: type[DeclarativeBase], rows: Sequence[dict[str, Any]]) -> None:
        """Add rows directly, in batches."""
        statement = table_insert(table)
        for start in range(0, len(rows), BATCH):
            with self.context.database.writer.begin() as connection:
                connection.execute(statement, rows[start : start + BATCH])

    def add_members(self, count: int) -> list[str]:
        """Add so many people; returns their ids."""
        ids = [f"mem_{number:06}" for number in range(count)]
        rows = [
            {
                "id": member_id,
                "location_id": self.location.id,
                "external_id": member_id,
                "given_name": "Ada",
                "family_name": f"Ferris {member_id}",
                "date_of_birth": NOON.date(),
                "processor_customer_id": f"cus_{member_id}",
                "created_at": NOON,
            }
            for member_id in ids
        ]
        self.fill(Member, rows)
        return ids

    def add_contracts(self, member_ids: Sequence[str], methods: Sequence[str] = ()) -> None:
        """Give each member a card (those of `methods` first, invented ones after) and a monthly contract due today."""
        with self.context.database.read() as session:
            version_id = session.connection().exec_driver_sql("SELECT min(id) FROM plan_version").scalar_one()
        cards = [*methods, *(f"pm_{member_id}" for member_id in member_ids[len(methods) :])]
        self.fill(
            PaymentMethod,
            [
                {
                    "id": f"method_{member_id}",
                    "member_id": member_id,
                    "kind": MethodKind.CARD,
                    "processor_id": card,
                    "last4": "4242",
                    "usable": True,
                    "created_at": NOON,
                }
                for member_id, card in zip(member_ids, cards, strict=True)
            ],
        )
        today = business_date(self.clock.now(), ZONE)
        self.fill(
            Contract,
            [
                {
                    "id": f"con_{member_id}",
                    "location_id": self.location.id,
                    "member_id": member_id,
                    "frequency": Frequency.MONTHLY,
                    "currency": "aud",
                    "status": AgreementStatus.ACTIVE,
                    "anchor": today,
                    "next_period": 0,
                    "next_due": today,
                    "created_at": NOON,
                }
                for member_id in member_ids
            ],
        )
        self.fill(
            Cover,
            [
                {
                    "id": f"cov_{member_id}",
                    "contract_id": f"con_{member_id}",
                    "member_id": member_id,
                    "position": Position.HOLDER,
                    "plan_version_id": version_id,
                    "price_cents": 2_990,
                    "starts_on": today,
                    "created_at": NOON,
                }
                for member_id in member_ids
            ],
        )

    def link(self, member_ids: Sequence[str]) -> None:
        """Link the members to the office's first patients, in the order of its file."""
        self.fill(
            PatientLink,
            [
                {
                    "id": f"link_{member_id}",
                    "location_id": self.location.id,
                    "member_id": member_id,
                    "pms_patient_id": str(FIRST_PATIENT + number),
                    "linked_at": NOON,
                    "linked_by": "benchmark",
                }
                for number, member_id in enumerate(member_ids)
            ],
        )

    def add_write_backs(self, member_ids: Sequence[str], count: int, prefix: str) -> None:
        """Queue so many payments, spread over the members, who are the office's first patients."""
        orders = [
            (
                Order(
                    location_id=self.location.id,
                    member_id=member_ids[number % len(member_ids)],
                    source_id=f"{prefix}-{number}",
                    leg=Leg.PAYMENT,
                    reference=f"{prefix}{number:06}",
                    amount=Money(2_990 + number, "aud"),
                    entry_date=business_date(self.clock.now(), ZONE),
                    payment_type="SmilePass Card",
                    note="SmilePass membership",
                ),
                str(FIRST_PATIENT + number % len(member_ids)),
            )
            for number in range(count)
        ]
        with self.context.database.unit_of_work() as session:
            enqueue(session, orders, self.clock.now())


def table_insert(table: type[DeclarativeBase]) -> Insert:
    """A plain insert into the table, without the mapper's work."""
    return insert(table.__table__)  # type: ignore[arg-type]


@contextmanager
def practice(
    folder: Path, office_address: str = "http://127.0.0.1:1", processor: PaymentProcessor | None = None
) -> Iterator[Practice]:
    """An empty practice in a new database, its clock at NOON. Without a processor nothing is charged."""
    clock = MovableClock(NOON)
    database = Database(f"sqlite:///{(folder / 'connector.sqlite3').as_posix()}")
    connections = PmsConnections(clock)
    try:
        prepare(database)
        nobody = cast("PaymentProcessor", RehearsedProcessor(database, clock))
        context = Context(database, clock, processor or nobody, connections)
        settings = {"base_url": f"{office_address}/api/v1", "mode": "service", **OFFICE_KEYS}
        add_location(
            context,
            slug="main",
            name="Main Street",
            timezone=ZONE.key,
            currency="aud",
            pms="open_dental",
            pms_settings=settings,
        )
        with database.read() as session:
            location = location_by_slug(session, "main")
        yield Practice(context, clock, location)
    finally:
        connections.close()
        database.close()


@contextmanager
def office(folder: Path, patients: int) -> Iterator[Sandbox]:
    """A simulated Open Dental in a process of its own, without a relay, with so many patients."""
    file = folder / "patients.csv"
    head = "id,given_name,family_name,date_of_birth,address,suburb,state,postcode"
    lines = (f"S-{number},Ada,Ferris {number},1988-03-09,1 High Street,Leura,NSW,2780" for number in range(patients))
    file.write_text("\n".join([head, *lines, ""]), encoding="utf-8")
    data = str(folder / "office.sqlite3")
    with running("open-dental", "--data", data, "--patients", str(file), log=folder / "office.log") as sandbox:
        sandbox.post("options", mode="service")
        sandbox.move_clock(NOON)
        yield sandbox


@contextmanager
def stripe_account(folder: Path) -> Iterator[Sandbox]:
    """A simulated Stripe in a process of its own."""
    data = str(folder / "stripe.sqlite3")
    with running("stripe", "--data", data, log=folder / "stripe.log") as sandbox:
        sandbox.move_clock(NOON)
        yield sandbox


def days_later(subject: Practice, sandboxes: Sequence[Sandbox], days: int) -> None:
    """Move all clocks, so that what earlier rounds wrote is out of sight."""
    subject.clock.advance(timedelta(days=days))
    for sandbox in sandboxes:
        sandbox.move_clock(subject.clock.now())
