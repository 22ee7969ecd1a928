"""A practice whose computer was off for months: what it finds when it comes back."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from connector.billing.collecting.charges import ChargeAttempt
from connector.billing.invoices import Invoice
from tests.support.practice import Enrolled, Practice

SYDNEY = ZoneInfo("Australia/Sydney")


def move_to(practice: Practice, *date_and_hour: int) -> None:
    """Move all clocks to that local time, e.g. `move_to(practice, 2027, 8, 15, 9)`."""
    practice.clock.move_to(datetime(*date_and_hour, tzinfo=SYDNEY))  # type: ignore[misc,arg-type]
    practice.advance()


def away_for_three_months(practice: Practice, method: str = "pm_card_visa", **policy: str) -> Enrolled:
    """Somebody pays on the fifteenth; off from 16 August to 20 November 2027. Nothing has run since."""
    practice.set_policy(**policy)
    move_to(practice, 2027, 8, 15, 9)
    person = practice.enrol(method)
    practice.work()
    move_to(practice, 2027, 11, 20, 9)
    return person


def by_due_date(practice: Practice) -> list[Invoice]:
    """All invoices, the oldest period first."""
    return sorted(practice.all(Invoice), key=lambda row: row.due_date)


def debit_days(practice: Practice) -> list[str]:
    """The days of all attempts, in their order."""
    return [f"{row.debit_on:%m-%d}" for row in sorted(practice.all(ChargeAttempt), key=lambda row: row.debit_on)]
