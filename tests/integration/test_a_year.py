"""A year of daily runs in two time zones, with a crash at every step of every due day: each amount is charged once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connector import failpoints
from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.clinics import Location
from connector.billing.collecting.charges import Charge, Payment
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.collection.read_news import read_news
from connector.use_cases.collection.run_due import run_due
from tests.support.practice import KEY, Enrolled, Practice

ANCHOR = date(2027, 8, 31)
"""Every short month of the year shortens the monthly period, February of a leap year among them."""
DAYS = 366
AT = time(0, 30)
"""Half an hour into the local day: a business date that is taken in UTC is another one."""


class Killed(BaseException):
    """Stands for the end of the process: nothing of the program may catch it."""


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Makes a failpoint raise instead of ending this process."""

    def die() -> None:
        raise Killed

    monkeypatch.setattr(failpoints, "_die", die)
    yield monkeypatch
    monkeypatch.delenv(failpoints.VARIABLE, raising=False)


@pytest.mark.parametrize("zone", ["Australia/Adelaide", "America/New_York"])
def test_a_year_of_crashes_brings_one_invoice_and_one_charge_per_due_amount(
    practice: Practice, crash: pytest.MonkeyPatch, zone: str
) -> None:
    """All frequencies, both changes of clocks, 29 February, and a crash before and after each commit and each call."""
    _move_location(practice, zone)
    _to(practice, zone, ANCHOR)
    people = {frequency: practice.enrol(frequency=frequency) for frequency in Frequency}
    due = {due_date(ANCHOR, frequency, n) for frequency in Frequency for n in range(54)}
    crashes = 0
    for offset in range(DAYS + 1):
        day = ANCHOR + timedelta(days=offset)
        _to(practice, zone, day)
        if day in due:
            # Each run gets one step further than the one before; what it repeats must change nothing.
            crashes += next(nth for nth in count() if not _crashes(practice, crash, nth + 1))
        run_due(practice.context)

    assert crashes > 5 * len(practice.all(Invoice))
    _each_amount_once(practice, people)


def _crashes(practice: Practice, crash: pytest.MonkeyPatch, nth: int) -> bool:
    """A run that ends at the n-th step of its work; False when it was done before it came to that."""
    crash.setenv(failpoints.VARIABLE, f"*:{nth}")
    crash.setattr(failpoints, "_passes", count(1))
    try:
        read_news(practice.context)
        run_due(practice.context)
    except Killed:
        return True
    finally:
        crash.delenv(failpoints.VARIABLE)
    return False


def _each_amount_once(practice: Practice, people: dict[Frequency, Enrolled]) -> None:
    invoices = practice.all(Invoice)
    for frequency, person in people.items():
        days = sorted(invoice.due_date for invoice in invoices if invoice.contract_id == person.contract_id)
        assert days == [
            day
            for n in range(len(days) + 1)
            if (day := due_date(ANCHOR, frequency, n)) <= ANCHOR + timedelta(days=DAYS)
        ]
    assert {invoice.status for invoice in invoices} == {InvoiceStatus.COMPLETED}
    assert sorted(invoice.number for invoice in invoices) == list(range(1, len(invoices) + 1))
    assert Counter(charge.invoice_id for charge in practice.all(Charge)) == Counter(row.id for row in invoices)
    assert Counter(payment.invoice_id for payment in practice.all(Payment)) == Counter(row.id for row in invoices)
    taken = Counter(charge["metadata"]["invoice_id"] for charge in stripe_all(practice, "charges"))
    assert taken == Counter(row.id for row in invoices)
    assert verify_ledger(practice.context).faults == []


def stripe_all(practice: Practice, kind: str) -> list[dict[str, Any]]:
    """Everything of a kind that Stripe holds."""
    found: list[dict[str, Any]] = []
    more = True
    while more:
        after = f"&starting_after={found[-1]['id']}" if found else ""
        page = practice.stripe.get(f"/v1/{kind}?limit=100{after}", Authorization=f"Bearer {KEY}")
        found += page["data"]
        more = page["has_more"]
    return found


def _move_location(practice: Practice, zone: str) -> None:
    with practice.context.database.unit_of_work() as session:
        session.get_one(Location, practice.location.id).timezone = zone
    with practice.context.database.read() as session:
        practice.location = session.get_one(Location, practice.location.id)


def _to(practice: Practice, zone: str, day: date) -> None:
    """Early on that local day, at our side and at Stripe's."""
    instant = datetime.combine(day, AT, ZoneInfo(zone)).astimezone(UTC)
    practice.clock.move_to(instant)
    practice.stripe.move_clock(instant)
