"""A practice without an interface: payments leave as files, and count as posted when they are acknowledged."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from connector.billing.clinics import Location, location_by_slug
from connector.ledger.write_back.engine import Tally
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.queue import Order, enqueue
from connector.ledger.write_back.states import WriteBackState
from connector.money import Money
from connector.use_cases.books.work_write_backs import work_write_backs
from connector.use_cases.practice.set_up_location import add_location
from tests.support.practice import Practice

REFERENCE = "SP" + "7" * 20
HEADER = "reference,pms_entry_id,patient_id,amount,entry_date\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    for name in ("outbox", "acks", "day-sheets"):
        (folder / name).mkdir(parents=True)
    (folder / "patients.csv").write_text("id,given_name,family_name\nP1,Ada,Ferris\n", encoding="utf-8")
    return folder


@pytest.fixture
def location(practice: Practice, folder: Path) -> Location:
    """A second location whose practice system only takes files, with one payment waiting for patient P1."""
    add_location(
        practice.context,
        slug="files",
        name="Files",
        timezone="Australia/Sydney",
        currency="aud",
        pms="file_drop",
        pms_settings={"folder": str(folder)},
    )
    person = practice.enrol(linked=False)
    with practice.context.database.unit_of_work() as session:
        location = location_by_slug(session, "files")
        order = Order(
            location_id=location.id,
            member_id=person.member_id,
            source_id="pay_1",
            leg=Leg.PAYMENT,
            reference=REFERENCE,
            amount=Money(2_990, "aud"),
            entry_date=practice.today,
            payment_type="SmilePass Card",
            note="SmilePass membership",
        )
        enqueue(session, [(order, "P1")], practice.clock.now())
    return location


def work(practice: Practice, location: Location) -> Tally:
    return work_write_backs(practice.context, location.id)[location.slug]


def row(practice: Practice) -> WriteBack:
    with practice.context.database.read() as session:
        return session.scalars(select(WriteBack).where(WriteBack.reference == REFERENCE)).one()


def test_a_payment_is_posted_when_the_practice_acknowledges_it(
    practice: Practice, location: Location, folder: Path
) -> None:
    """The file is a claim; only the acknowledgement makes it confirmed, whenever it comes."""
    work(practice, location)
    assert row(practice).state is WriteBackState.ACCEPTED
    assert [file.name for file in (folder / "outbox").glob("*.csv")] == [f"{REFERENCE}.csv"]

    practice.clock.advance(timedelta(days=3))
    work(practice, location)
    assert row(practice).state is WriteBackState.ACCEPTED

    (folder / "acks" / "today.csv").write_text(f"{HEADER}{REFERENCE},E-1,P1,29.90,2026-09-01\n", encoding="utf-8")
    practice.clock.advance(timedelta(hours=2))
    work(practice, location)
    assert (row(practice).state, row(practice).pms_entry_id) == (WriteBackState.CONFIRMED, "E-1")


@pytest.mark.parametrize(("patient", "amount"), [("P2", "29.90"), ("P1", "92.90")])
def test_an_acknowledgement_that_differs_goes_to_a_person(
    practice: Practice, location: Location, folder: Path, patient: str, amount: str
) -> None:
    """Another patient or another amount under our reference is never taken for done."""
    work(practice, location)
    line = f"{REFERENCE},E-1,{patient},{amount},2026-09-01\n"
    (folder / "acks" / "today.csv").write_text(HEADER + line, encoding="utf-8")

    practice.clock.advance(timedelta(hours=2))
    work(practice, location)

    assert row(practice).state is WriteBackState.HELD
    assert "E-1" in (row(practice).reason or "")


def test_a_folder_that_is_gone_for_a_while_loses_nothing(practice: Practice, location: Location, folder: Path) -> None:
    """The problem is named, nothing is burnt, and the payment leaves when the folder is back."""
    hidden = folder.rename(folder.with_name("away"))

    tally = work(practice, location)

    assert tally.problem
    assert (row(practice).state, row(practice).attempts) == (WriteBackState.QUEUED, 0)
    hidden.rename(folder)
    work(practice, location)
    assert row(practice).state is WriteBackState.ACCEPTED
