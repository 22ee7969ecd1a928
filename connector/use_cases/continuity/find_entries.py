"""Find what stands in a practice system already, at whichever patient, before a database that was set back writes."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import select

from connector.billing.clinics import Location
from connector.clock import business_date
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.states import ABSENT, WriteBackState
from connector.pms_adapters.manifest import RepeatSafety
from connector.use_cases.context import Context


def find_entries(context: Context, location: Location, since: date) -> int:
    """Note of each row that is not written as far as we know where its reference stands; returns how many were found.

    The link of its member may be corrected before it is looked for, and a look at the patient who is linked then would
    not see it. A system that keeps each reference once by itself needs no such look. Raises EdgeError.
    """
    adapter = context.pms.of(location)
    if adapter.manifest.repeat_safety is not RepeatSafety.READ_BACK:
        return 0
    stands_with: dict[str, str] = {}
    today = business_date(context.clock.now(), location.zone)
    for number in range((today - since).days + 1):
        for entry in adapter.read_day_sheet(since + timedelta(days=number)).entries:
            stands_with |= dict.fromkeys(entry.references, entry.patient_id)
    rows = select(WriteBack).where(
        WriteBack.location_id == location.id, WriteBack.state.in_((*ABSENT, WriteBackState.HELD))
    )
    found = 0
    with context.database.unit_of_work() as session:
        for row in session.scalars(rows).all():
            patient_id = stands_with.get(row.reference)
            if patient_id is not None and patient_id != row.sent_to_patient_id:
                row.sent_to_patient_id, row.fence = patient_id, row.fence + 1
                found += 1
    return found
