"""Report a day: gather what we took and wrote, read the other two books, and compare."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment, ReturnedPayment, UndoneReturn
from connector.billing.members import MethodKind
from connector.billing.processor import Movement
from connector.clock import business_date, day_bounds
from connector.errors import EdgeError
from connector.ledger.write_back.models import EntryMove, WriteBack
from connector.ledger.write_back.states import WAITING, WriteBackState
from connector.money import Money
from connector.pms_adapters.records import PmsEntry
from connector.reconciliation.differences import (
    CUSTOMER_MONEY,
    Difference,
    Recorded,
    Written,
    compare_with_pms,
    compare_with_stripe,
    surpluses,
    undone_returns,
)
from connector.reconciliation.models import DaySheetReading
from connector.reconciliation.report import DayReport, Line
from connector.use_cases.books.invoice_balances import invoice_balances
from connector.use_cases.context import Context
from connector.use_cases.returns.final_returns import AT_BANK

M = TypeVar("M", Payment, ReturnedPayment, UndoneReturn, WriteBack, EntryMove)

DEBIT_DAYS = timedelta(days=14)
"""How far back Stripe's lines of money that became final today may lie; BECS answers within a few business days."""


def report_day(context: Context, location: Location, day: date) -> DayReport:
    """Compare the day as it stands now. A book that cannot be read is named in `problems`; the rest is compared."""
    problems: list[str] = []
    sheet = _day_sheet(context, location, day, problems)
    since = _since(context, location, day)
    movements = _movements(context, location, day, since, problems)
    with context.database.read() as session:
        payments = _of_day(session, Payment, location, Payment.business_date == day)
        returns = _of_day(session, ReturnedPayment, location, ReturnedPayment.business_date == day)
        undone = _of_day(session, UndoneReturn, location, UndoneReturn.business_date == day)
        rows = _of_day(session, WriteBack, location, WriteBack.entry_date == day)
        elsewhere = _of_day(session, WriteBack, location, WriteBack.entry_date != day, _stands_on(sheet or []))
        moves = _of_day(session, EntryMove, location, EntryMove.business_date == day)
        strangers = _other_locations(session, location, sheet or [])
        differences = []
        if movements is not None:
            through_stripe = [row for row in payments if row.method_kind is not MethodKind.DESK]
            recorded = [*map(_taken, through_stripe), *_given_back(session, [*returns, *undone], since)]
            differences += _compare_with_stripe(session, location, day, recorded, movements)
        differences += surpluses(invoice_balances(session, location, day))
    confirmed = [row for row in rows if row.state is WriteBackState.CONFIRMED]
    waiting = [row for row in rows if row.state in WAITING]
    if sheet is not None:
        written = [_written(row) for row in [*confirmed, *elsewhere]]
        differences += compare_with_pms(written, [_written(row) for row in waiting], strangers, sheet, day)
    ours = {row.reference for row in [*rows, *elsewhere]}
    fees = [row.fee_cents for row in payments] + [row.fee_cents for row in returns]
    fees += [-row.fee_cents for row in undone]
    return DayReport(
        location=location.slug,
        business_date=day,
        currency=location.currency,
        taken=_sum(payment.amount_cents for payment in payments),
        fees=_sum(fee for fee in fees if fee),
        # What came to the practice again stands against what went back, as its entries do in the practice system.
        returned=_sum([*(-row.amount_cents for row in returns), *(row.amount_cents for row in undone)]),
        written=_sum(row.signed.cents for row in confirmed),
        recorded_by_hand=_sum(row.signed.cents for row in rows if row.state is WriteBackState.RECORDED),
        waiting={state.value: _sum(row.signed.cents for row in waiting if row.state is state) for state in WAITING},
        moved=_sum(move.amount_cents for move in moves),
        pms_other=_sum(entry.amount.cents for entry in sheet or [] if not entry.references & ours),
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


def _since(context: Context, location: Location, day: date) -> datetime:
    """From when on Stripe's balance tells of the day's money: what was learnt late is older than most."""
    start, _ = day_bounds(day, location.zone)
    oldest = [
        select(func.min(at)).where(model.location_id == location.id, model.business_date == day)
        for model, at in (
            (Payment, Payment.settled_at),
            (ReturnedPayment, ReturnedPayment.returned_at),
            (UndoneReturn, UndoneReturn.undone_at),
        )
    ]
    with context.database.read() as session:
        found = [session.scalar(query) for query in oldest]
    return min([start - DEBIT_DAYS, *(at for at in found if at)])


def _movements(
    context: Context, location: Location, day: date, since: datetime, problems: list[str]
) -> list[Movement] | None:
    """Stripe's balance lines up to the end of the location's day, from some days before."""
    _, end = day_bounds(day, location.zone)
    try:
        return list(context.processor.movements(since, end))
    except EdgeError as error:
        problems.append(f"Stripe's balance could not be read. {error}")
        return None


def _compare_with_stripe(
    session: Session, location: Location, day: date, recorded: Sequence[Recorded], movements: Sequence[Movement]
) -> list[Difference]:
    """Lines without a location (refunds, disputes, charges by hand) that nobody recorded are named at one location."""
    first = session.scalar(select(Location.id).order_by(Location.created_at, Location.id).limit(1))
    mine = (location.id, None) if location.id == first else (location.id,)
    start, _ = day_bounds(day, location.zone)
    lines = [line for line in movements if line.at >= start]
    today = {line.source_id for line in lines if line.type in CUSTOMER_MONEY and line.location_id in mine}
    returned = select(ReturnedPayment.processor_id).where(ReturnedPayment.processor_id.in_(today))
    settled = returned.where(ReturnedPayment.id.in_(select(UndoneReturn.returned_payment_id)))
    explained = {line.source_id for line in lines if not line.final}
    explained |= set(session.scalars(select(Payment.processor_charge_id).where(Payment.processor_charge_id.in_(today))))
    known = set(session.scalars(returned))
    open_ = known - set(session.scalars(settled))
    undone = undone_returns([line for line in lines if line.source_id in open_])
    return [*undone, *compare_with_stripe(recorded, movements, today, explained | known)]


def _taken(row: Payment) -> Recorded:
    return Recorded(row.processor_charge_id, row.amount, Money(row.fee_cents, row.currency))


def _given_back(session: Session, rows: Sequence[ReturnedPayment | UndoneReturn], since: datetime) -> list[Recorded]:
    """What we recorded of the day's returns, and of those undone, under the id that both have at Stripe.

    Of each, all that lies in Stripe's lines since then: a return and what undid it may fall into one period or two.
    What the practice gave back from its own bank is not known at Stripe.
    """
    last = max((row.business_date for row in rows), default=date.min)
    concerned = {row.id if isinstance(row, ReturnedPayment) else row.returned_payment_id for row in rows}
    returns = session.scalars(select(ReturnedPayment).where(ReturnedPayment.id.in_(concerned)))
    undone = session.scalars(select(UndoneReturn).where(UndoneReturn.returned_payment_id.in_(concerned)))
    back = {row.returned_payment_id: row for row in undone if row.business_date <= last}
    found = []
    for row in returns:
        if row.processor_id.startswith(AT_BANK):
            continue
        cents = -row.amount_cents if row.returned_at >= since else 0
        fee = row.fee_cents if row.returned_at >= since else 0
        if row.id in back:
            cents, fee = cents + back[row.id].amount_cents, fee - back[row.id].fee_cents
        found.append(Recorded(row.processor_id, Money(cents, row.currency), Money(fee, row.currency)))
    return found


def _of_day(session: Session, model: type[M], location: Location, *conditions: ColumnElement[bool]) -> Sequence[M]:
    return session.scalars(select(model).where(model.location_id == location.id, *conditions)).all()


def _stands_on(sheet: Sequence[PmsEntry]) -> ColumnElement[bool]:
    """Proven write-backs whose entries are on this sheet; of another day, their date differs."""
    return WriteBack.pms_entry_id.in_([entry.id for entry in sheet]) & (WriteBack.state == WriteBackState.CONFIRMED)


def _other_locations(session: Session, location: Location, sheet: Sequence[PmsEntry]) -> set[str]:
    """References on the sheet that are other locations' own: they share the practice system."""
    references = {reference for entry in sheet for reference in entry.references}
    query = select(WriteBack.reference).where(WriteBack.reference.in_(references), WriteBack.location_id != location.id)
    return set(session.scalars(query))


def _written(row: WriteBack) -> Written:
    patient = row.sent_to_patient_id or row.pms_patient_id or ""
    return Written(row.reference, row.pms_entry_id or "", patient, row.signed, row.pms_entry_date or row.entry_date)


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
