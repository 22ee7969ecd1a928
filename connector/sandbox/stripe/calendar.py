"""Business days of the simulated banks: Monday to Friday in Sydney, without public holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SYDNEY = ZoneInfo("Australia/Sydney")
_SATURDAY = 5


def sydney_date(instant: int) -> date:
    """The banks' calendar day at a Unix instant."""
    return datetime.fromtimestamp(instant, SYDNEY).date()


def at_sydney(day: date, hour: int) -> int:
    """The Unix instant at which it is `hour` o'clock in Sydney on that day."""
    return int(datetime.combine(day, time(hour), SYDNEY).timestamp())


def utc_midnight(day: date) -> int:
    """The Unix instant at which a day begins in UTC: the form in which Stripe gives dates."""
    return int(datetime.combine(day, time(), UTC).timestamp())


def plus_business_days(day: date, count: int) -> date:
    """The `count`-th business day after `day`; count 0 gives the day itself or the next business day."""
    if count == 0 and day.weekday() >= _SATURDAY:
        return plus_business_days(day, 1)
    while count > 0:
        day += timedelta(days=1)
        count -= day.weekday() < _SATURDAY
    return day
