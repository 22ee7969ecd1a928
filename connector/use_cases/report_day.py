"""Report a day: gather what we took and wrote, read the other two books, and compare."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.charges import Payment, ReturnedPayment
from connector.billing.clinics import Location
from connector.billing.processor import Movement
from connector.clock import business_date, day_bounds
from connector.errors import EdgeError
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.states import WAITING, WriteBackState
from connector.money import Money
from connector.pms_adapters.records import PmsEntry
from connector.reconciliation.differences import Recorded, Written, compare_with_pms, compare_with_stripe
from connector.reconciliation.models import DaySheetReading
from connector.reconciliation.report import DayReport, Line
from connector.use_cases.context import Context


def report_day(context: Context, location: Location, day: date) -> DayReport:
    """Compare the day as it stands now. A book that cannot be read is named in `problems`; the rest is compared."""
    problems: list[str] = []
    sheet = _day_sheet(context, location, day, problems)
    movements = _movements(context, location, day, problems)
    with context.database.read() as session:
        payments = session.scalars(
            select(Payment).where(Payment.location_id == location.id, Payment.business_date == day)
        ).all()
        returns = session.scalars(
            select(ReturnedPayment).where(
                ReturnedPayment.location_id == location.id, ReturnedPayment.business_date == day
            )
        ).all()
        rows = session.scalars(
            select(WriteBack).where(WriteBack.location_id == location.id, WriteBack.entry_date == day)
        ).all()
        elsewhere = _written_elsewhere(session, location, sheet or [], day)
    written = [_written(row) for row in rows if row.state is WriteBackState.CONFIRMED]
    waiting = [row for row in rows if row.state in WAITING]
    references = {row.reference for row in rows}
    differences = []
    if sheet is not None:
        differences += compare_with_pms([*written, *elsewhere], (row.reference for row in waiting), sheet, day)
    if movements is not None:
        differences += compare_with_stripe(_recorded(payments, returns), movements)
    ours = references | {row.reference for row in elsewhere}
    foreign = [entry for entry in sheet or [] if not entry.references & ours]
    return DayReport(
        location=location.slug,
        business_date=day,
        currency=location.currency,
        taken=_sum(payment.amount_cents for payment in payments),
        fees_cents=sum(row.fee_cents for row in payments) + sum(row.fee_cents for row in returns),
        returned=_sum(-row.amount_cents for row in returns),
        written=_sum(row.amount.cents for row in written),
        recorded_by_hand=_sum(_signed(row).cents for row in rows if row.state is WriteBackState.RECORDED),
        waiting={state.value: _sum(_signed(row).cents for row in waiting if row.state is state) for state in WAITING},
        pms_other=_sum(entry.amount.cents for entry in foreign),
        differences=tuple(differences),
        problems=tuple(problems),
        day_is_over=business_date(context.clock.now(), location.zone) > day,
    )


def read_day_sheet(context: Context, location: Location, day: date) -> list[PmsEntry]:
    """Read the practice system's day sheet and keep the reading. Raises EdgeError when it cannot be read."""
    sheet = context.pms.of(location).read_day_sheet(day)
    with context.database.unit_of_work() as session:
        session.add(
            DaySheetReading(
                id=ids.new_id("dsr"),
                location_id=location.id,
                business_date=day,
                read_at=context.clock.now(),
                entries=[_stored(entry) for entry in sheet.entries],
            )
        )
    return list(sheet.entries)


def _day_sheet(context: Context, location: Location, day: date, problems: list[str]) -> list[PmsEntry] | None:
    """The day sheet as it is now, else as it was last read, else None; the problem is named in both latter cases."""
    try:
        return read_day_sheet(context, location, day)
    except EdgeError as error:
        query = (
            select(DaySheetReading)
            .where(DaySheetReading.location_id == location.id, DaySheetReading.business_date == day)
            .order_by(DaySheetReading.read_at.desc())
            .limit(1)
        )
        with context.database.read() as session:
            reading = session.scalar(query)
        used = f" The reading of {reading.read_at:%Y-%m-%d %H:%M} UTC is used." if reading else ""
        problems.append(f"The practice system's day sheet could not be read. {error}{used}")
        return [_entry(item, location.currency) for item in reading.entries] if reading else None


def _movements(context: Context, location: Location, day: date, problems: list[str]) -> list[Movement] | None:
    """Stripe's balance lines of this location's day; lines without a location cannot be told apart and are included."""
    start, end = day_bounds(day, location.zone)
    try:
        lines = list(context.processor.movements(start, end))
    except EdgeError as error:
        problems.append(f"Stripe's balance could not be read. {error}")
        return None
    return [line for line in lines if line.location_id in (None, location.id)]


def _written_elsewhere(session: Session, location: Location, sheet: Sequence[PmsEntry], day: date) -> list[Written]:
    """Write-backs of other days whose entries stand on this day's sheet: their date differs."""
    query = select(WriteBack).where(
        WriteBack.location_id == location.id,
        WriteBack.pms_entry_id.in_([entry.id for entry in sheet]),
        WriteBack.state == WriteBackState.CONFIRMED,
        WriteBack.entry_date != day,
    )
    return [_written(row) for row in session.scalars(query)]


def _written(row: WriteBack) -> Written:
    return Written(row.reference, row.pms_entry_id or "", row.sent_to_patient_id or "", _signed(row), row.entry_date)


def _recorded(payments: Sequence[Payment], returns: Sequence[ReturnedPayment]) -> list[Recorded]:
    taken = [
        Recorded(row.processor_charge_id, Money(row.amount_cents, row.currency), Money(row.fee_cents, row.currency))
        for row in payments
    ]
    given = [
        Recorded(row.processor_id, Money(-row.amount_cents, row.currency), Money(row.fee_cents, row.currency))
        for row in returns
    ]
    return taken + given


def _signed(row: WriteBack) -> Money:
    return row.amount if row.leg is Leg.PAYMENT else -row.amount


def _sum(cents: Any) -> Line:
    amounts = list(cents)
    return Line(len(amounts), sum(amounts))


def _stored(entry: PmsEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "patient_id": entry.patient_id,
        "cents": entry.amount.cents,
        "date": entry.entry_date.isoformat(),
        "references": sorted(entry.references),
    }


def _entry(item: dict[str, Any], currency: str) -> PmsEntry:
    return PmsEntry(
        item["id"],
        item["patient_id"],
        Money(item["cents"], currency),
        date.fromisoformat(item["date"]),
        frozenset(item["references"]),
    )
