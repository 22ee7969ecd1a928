"""When a message may go out: in the practice's sending hours, on its business days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from connector.clock import as_utc
from connector.errors import DomainError

_DAYS_AHEAD = 366


def send_at(
    now: datetime,
    zone: ZoneInfo,
    from_hour: int,
    until_hour: int,
    is_business_day: Callable[[date], bool],
) -> datetime:
    """The earliest instant (UTC), not before `now`, at which a local clock shows `from_hour` <= hour < `until_hour`
    on a business day. An hour that the change of clocks repeats counts both times, one that it skips not at all.

    Raises ValueError for hours that make no window and DomainError when no such day comes within a year.
    """
    if not 0 <= from_hour < until_hour <= 24:
        raise ValueError("The window begins before it ends, between 0 and 24.")
    now = as_utc(now)
    today = now.astimezone(zone).date()
    for day in (today + timedelta(days=ahead) for ahead in range(_DAYS_AHEAD)):
        if is_business_day(day):
            earliest = max(now, _wall(day, from_hour, zone))
            if earliest < _wall(day, until_hour, zone):
                return earliest
    raise DomainError("There is no business day within a year: check the location's holidays.")


def _wall(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """The first instant of that day at which the clock has reached the hour; 24 is the next day's beginning."""
    # Added to a datetime without a zone, hours are those of the clock; a skipped hour then begins where the gap does.
    local = datetime.combine(day, time.min) + timedelta(hours=hour)
    return as_utc(local.replace(tzinfo=zone))
