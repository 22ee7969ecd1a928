"""Our own work for a day's report: 36,000 payments of one day among 200,000, with both other books at hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, cast

from sqlalchemy import Table, func, select

from connector.billing.collecting.charges import Charge, Payment
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import MethodKind
from connector.billing.processor import Movement, PaymentProcessor
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.states import WriteBackState
from connector.money import Money
from connector.pms_adapters.port import AdapterFactory
from connector.pms_adapters.records import DaySheet, PmsEntry
from connector.reconciliation.report import DayReport
from connector.use_cases.books.report_day import report_day
from connector.use_cases.context import PmsConnections
from tests.benchmarks.measure import Figure, seconds
from tests.benchmarks.practice import FIRST_PATIENT, NOON, Practice, practice

PAYMENTS = 200_000
OF_THE_DAY = 36_000
MEMBERS = 2_000
CENTS = 2_990
FEE = 80
ROUNDS = 3
TODAY = NOON.date()


def run(folder: Path) -> list[Figure]:
    """Seconds for the report, beside adding the same day up in SQL."""
    with practice(folder) as subject:
        made = _fill(subject)
        context = replace(
            subject.context,
            processor=cast("PaymentProcessor", _Balance(subject.location.id)),
            pms=PmsConnections(subject.clock, {"open_dental": cast("AdapterFactory", _Sheet())}),
        )
        reports: list[DayReport] = []

        def report() -> None:
            reports.append(report_day(context, subject.location, TODAY))

        ours = [seconds(report) for _ in range(ROUNDS)]
        bare = [seconds(lambda: _add_up(subject)) for _ in range(ROUNDS)]
    if reports[-1].taken.count != OF_THE_DAY or reports[-1].differences or reports[-1].problems:
        raise AssertionError(f"The report is not what was recorded: {reports[-1].problems}")
    name = f"Report of a day, {OF_THE_DAY:,} payments of {made:,}"
    return [Figure(name, median(ours), "s", median(bare), "s adding up in SQL", note=f"{ROUNDS} runs, our part only")]


class _Sheet:
    """A practice system that has its day sheet ready; also its own factory."""

    def __init__(self) -> None:
        self._entries = tuple(
            PmsEntry(f"{number}", _patient(number), Money(CENTS, "aud"), TODAY, frozenset({_reference(number)}))
            for number in range(OF_THE_DAY)
        )

    def open(self, _settings: object, _context: object) -> _Sheet:
        return self

    def read_day_sheet(self, business_date: date) -> DaySheet:
        return DaySheet(business_date, self._entries)

    def close(self) -> None:
        """Nothing is open."""


class _Balance:
    """A processor that has the day's balance lines ready."""

    def __init__(self, location_id: str) -> None:
        gross, fee = Money(CENTS, "aud"), Money(FEE, "aud")
        self._lines = [
            Movement(f"txn_{number}", "charge", f"py_{number}", gross, fee, NOON, location_id, f"inv_{number}")
            for number in range(OF_THE_DAY)
        ]

    def movements(self, _start: datetime, _end: datetime) -> Iterator[Movement]:
        return iter(self._lines)


def _fill(subject: Practice) -> int:
    """Invoice, charge, payment and confirmed write-back of each payment; those of the day first."""
    members = subject.add_members(MEMBERS)
    subject.add_contracts(members)
    numbers = range(PAYMENTS)
    for table, row in ((Invoice, _invoice), (Charge, _charge), (Payment, _payment), (WriteBack, _write_back)):
        subject.fill(table, [row(number, subject.location.id) for number in numbers])
    return len(numbers)


def _shared(number: int, location_id: str) -> dict[str, Any]:
    return {"location_id": location_id, "amount_cents": CENTS, "currency": "aud"}


def _invoice(number: int, location_id: str) -> dict[str, Any]:
    return {
        **_shared(number, location_id),
        "id": f"inv_{number}",
        "member_id": _member(number),
        "contract_id": f"con_{_member(number)}",
        "period": number // MEMBERS,
        "due_date": _day(number),
        "status": InvoiceStatus.COMPLETED,
        "issued_at": NOON,
    }


def _charge(number: int, location_id: str) -> dict[str, Any]:
    keys = {"id": f"ch_{number}", "invoice_id": f"inv_{number}", "processor_id": f"pi_{number}"}
    return {**_shared(number, location_id), **keys, "generation": 1, "created_at": NOON}


def _payment(number: int, location_id: str) -> dict[str, Any]:
    return {
        **_shared(number, location_id),
        "id": f"pay_{number}",
        "member_id": _member(number),
        "invoice_id": f"inv_{number}",
        "charge_id": f"ch_{number}",
        "processor_charge_id": f"py_{number}",
        "method_kind": MethodKind.CARD,
        "fee_cents": FEE,
        "settled_at": NOON,
        "business_date": _day(number),
        "recorded_at": NOON,
    }


def _write_back(number: int, location_id: str) -> dict[str, Any]:
    return {
        **_shared(number, location_id),
        "id": f"wb_{number}",
        "member_id": _member(number),
        "source_id": f"pay_{number}",
        "leg": Leg.PAYMENT,
        "reference": _reference(number),
        "entry_date": _day(number),
        "payment_type": "SmilePass Card",
        "note": "SmilePass membership",
        "automatic": True,
        "state": WriteBackState.CONFIRMED,
        "pms_patient_id": _patient(number),
        "sent_to_patient_id": _patient(number),
        "pms_entry_id": f"{number}",
        "next_attempt_at": NOON,
        "created_at": NOON,
    }


def _member(number: int) -> str:
    return f"mem_{number % MEMBERS:06}"


def _patient(number: int) -> str:
    return str(FIRST_PATIENT + number % MEMBERS)


def _reference(number: int) -> str:
    return f"SPD{number:06}"


def _day(number: int) -> date:
    """The first ones are of today, the others of as many earlier days as they fill."""
    return TODAY - timedelta(days=number // OF_THE_DAY)


def _add_up(subject: Practice) -> None:
    """The least that a report needs: the day's payments beside their write-backs, joined and added up."""
    payments, rows = cast("Table", Payment.__table__), cast("Table", WriteBack.__table__)
    query = (
        select(func.count(), func.sum(payments.c.amount_cents), func.sum(rows.c.amount_cents))
        .join_from(payments, rows, (rows.c.source_id == payments.c.id) & (rows.c.leg == Leg.PAYMENT))
        .where(payments.c.location_id == subject.location.id, payments.c.business_date == TODAY)
    )
    with subject.context.database.read() as session:
        count = session.execute(query).one()[0]
    if count != OF_THE_DAY:
        raise AssertionError(f"The day has {count} payments.")
