"""What is charged, and on which day, when more than one amount of an agreement has fallen due.

After days offline a member must not find several debits on one day, nor be charged for months that nobody noticed
unless the practice wants it. Invoices keep their own due dates in any case; only the debits are spread or held.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from enum import StrEnum

from connector.billing.collecting.business_days import BusinessCalendar
from connector.billing.policy import CatchUp

_DAY = timedelta(days=1)
_WEEK_DAYS = 7


class Release(StrEnum):
    """What happens to the charge of a due period."""

    CHARGE_NOW = "charge_now"
    CHARGE_LATER = "charge_later"
    """On the agreement's next free day, without anybody's doing."""
    WAIT_FOR_PERSON = "wait_for_person"


def select(mode: CatchUp, due: Sequence[tuple[int, date]], today: date) -> list[tuple[int, Release]]:
    """The release of each period (number, due date) that is due today, oldest first; later ones are left out.

    A period is missed when its successor is due as well: only then has anybody anything to decide.
    """
    periods = [period for period, on in sorted(due) if on <= today]
    if len(periods) <= 1:
        return [(period, Release.CHARGE_NOW) for period in periods]
    if mode is CatchUp.ASK:
        return [(period, Release.WAIT_FOR_PERSON) for period in periods]
    now, rest = periods[-1], Release.WAIT_FOR_PERSON
    if mode is CatchUp.ALL:
        now, rest = periods[0], Release.CHARGE_LATER
    return [(period, Release.CHARGE_NOW if period == now else rest) for period in periods]


def debit_day(today: date, taken_days: Collection[date], calendar: BusinessCalendar, is_becs: bool) -> date:
    """The first day from today on which the agreement has no other debit; a business day for bank debits."""
    taken = frozenset(taken_days)
    day = today
    while day in taken or (is_becs and not calendar.is_business_day(day)):
        day += _DAY
    return day


def week_meter(debits: Sequence[tuple[date, int]], day: date, amount_cents: int, limit_cents: int) -> bool:
    """Whether one more debit on that day keeps every seven days in a row within the limit.

    `debits` are the days and cents of the others, made or planned. The seven days that end on `day` count, and those
    that end up to six days later, so that a debit which was planned already is not pushed over the limit.
    """
    ends = (day + timedelta(days=later) for later in range(_WEEK_DAYS))
    return all(_week_until(end, debits) + amount_cents <= limit_cents for end in ends)


def _week_until(end: date, debits: Sequence[tuple[date, int]]) -> int:
    """Cents of the seven days that end on `end`."""
    return sum(cents for on, cents in debits if end - timedelta(days=_WEEK_DAYS) < on <= end)
