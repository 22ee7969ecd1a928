"""Find what stands in a practice system already, at whichever patient, before a database that was set back writes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.clock import business_date
from connector.ledger.write_back.look import searched
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.queue import step
from connector.ledger.write_back.reference import is_ours
from connector.ledger.write_back.states import ABSENT, WriteBackState
from connector.pms_adapters.manifest import RepeatSafety
from connector.pms_adapters.records import PmsEntry
from connector.use_cases.context import Context

S = WriteBackState

FOUND = "It was found in the practice system after the database was set back."
LIKE_ENTRY = (
    "The database was set back, and an entry like this one, without our reference, may be it: look in the patient's "
    "ledger, then mark this as recorded or post it."
)


def find_entries(context: Context, location: Location, since: date) -> None:
    """Confirm each row that is not written as far as we know, and yet is there; hold it where that is not certain.

    A usual look before a send would not see it: the entry is older than the row, and the link of the member may be
    another one by then. Somebody may have overwritten its reference, too: what stood there before we send can be ours
    this time. A system that keeps each reference once by itself needs no such look. Raises EdgeError.
    """
    adapter = context.pms.of(location)
    if adapter.manifest.repeat_safety is not RepeatSafety.READ_BACK:
        return
    now = context.clock.now()
    days = (business_date(now, location.zone) - since).days + 1
    entries = [
        entry for number in range(days) for entry in adapter.read_day_sheet(since + timedelta(days=number)).entries
    ]
    with context.database.read() as session:
        of_location = select(WriteBack).where(WriteBack.location_id == location.id)
        known = set(session.scalars(of_location.with_only_columns(WriteBack.pms_entry_id)))
        rows = session.scalars(of_location.where(WriteBack.state.in_((*ABSENT, S.HELD)))).all()
    new = [entry for entry in entries if entry.id not in known]
    with context.database.unit_of_work() as session:
        for row in rows:
            _compare(session, row, new, now)


def _compare(session: Session, row: WriteBack, entries: Collection[PmsEntry], now: datetime) -> None:
    """Confirm what is there under its reference, once and with its amount; hold what may be there without."""
    marked = [entry for entry in entries if row.reference in entry.references]
    like = (
        entry.patient_id == searched(row) and entry.amount == row.signed and not entry.foreign
        for entry in entries
        if not any(map(is_ours, entry.references))
    )
    if [entry.amount for entry in marked] == [row.signed]:
        _confirm(session, row, marked[0], now)
    elif row.state is S.QUEUED and (marked or any(like)):
        step(session, row, S.HELD, now, reason=LIKE_ENTRY)


def _confirm(session: Session, row: WriteBack, entry: PmsEntry, now: datetime) -> None:
    if row.state is not S.QUEUED:
        step(session, row, S.QUEUED, now, reason=FOUND)
        row.state = S.QUEUED
    proof: dict[str, Any] = {
        "pms_entry_id": entry.id,
        "pms_entry_date": entry.entry_date,
        "sent_to_patient_id": entry.patient_id,
    }
    step(session, row, S.CONFIRMED, now, confirmed_at=now, **proof)
