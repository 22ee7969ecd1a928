"""When something is due: every date is derived from the anchor, never from the date before.

Stepping from the previous date loses the day of the month (31 Jan, 28 Feb, 28 Mar); deriving from the anchor does not
(31 Jan, 28 Feb, 31 Mar). Dates are business dates of the location and carry no time.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from connector.money import Money


class Frequency(StrEnum):
    """How often a contract or an instalment falls due."""

    WEEKLY = "weekly"
    FORTNIGHTLY = "fortnightly"
    MONTHLY = "monthly"
    ANNUALLY = "annually"


_DAYS = {Frequency.WEEKLY: 7, Frequency.FORTNIGHTLY: 14}
_MONTHS = {Frequency.MONTHLY: 1, Frequency.ANNUALLY: 12}


def due_date(anchor: date, frequency: Frequency, period: int) -> date:
    """Due date of the period with that number; period 0 is due on the anchor itself."""
    if period < 0:
        raise ValueError("Periods are counted from 0.")
    if days := _DAYS.get(frequency):
        return anchor + timedelta(days=days * period)
    return _add_months(anchor, _MONTHS[frequency] * period)


def first_due_from(anchor: date, frequency: Frequency, day: date) -> tuple[int, date]:
    """Number and due date of the first period that falls due on `day` or later: where billing resumes after a pause."""
    if days := _DAYS.get(frequency):
        period = -((anchor - day).days // days)
    else:
        months = (day.year - anchor.year) * 12 + day.month - anchor.month
        period = months // _MONTHS[frequency]
    period = max(period, 0)
    if due_date(anchor, frequency, period) < day:
        # The month is right, but its due date has passed.
        period += 1
    return period, due_date(anchor, frequency, period)


def _add_months(anchor: date, months: int) -> date:
    """The same day so many months later, or the last day of a month that is too short."""
    years, month0 = divmod(anchor.month - 1 + months, 12)
    year, month = anchor.year + years, month0 + 1
    return date(year, month, min(anchor.day, monthrange(year, month)[1]))


@dataclass(frozen=True, slots=True)
class Instalment:
    """One part of a payment plan; numbers start at 1."""

    number: int
    due: date
    amount: Money


def instalments(total: Money, count: int, anchor: date, frequency: Frequency) -> Iterator[Instalment]:
    """The whole schedule of a payment plan; the amounts add up to the total, with the remainder on the last one."""
    for index, amount in enumerate(total.split(count)):
        yield Instalment(index + 1, due_date(anchor, frequency, index), amount)


def instalment(total: Money, count: int, anchor: date, frequency: Frequency, number: int) -> Instalment:
    """One instalment by its number. Raises ValueError when the plan has no such instalment."""
    if not 1 <= number <= count:
        raise ValueError(f"There is no instalment {number} in a plan of {count}.")
    amount = total.split(count)[number - 1]
    return Instalment(number, due_date(anchor, frequency, number - 1), amount)
