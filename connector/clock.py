"""The time of day, injected: nothing in the product asks the operating system for it elsewhere.

Instants are aware datetimes in UTC. A business date is a calendar day in a location's own time zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Protocol
from zoneinfo import ZoneInfo, available_timezones

from connector.errors import DomainError


class Clock(Protocol):
    """Tells the present instant (aware, UTC)."""

    def now(self) -> datetime: ...


class SystemClock:
    """The operating system's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class MovableClock:
    """A clock that stands still until it is moved; for tests, the demo and the sandbox mode."""

    def __init__(self, start: datetime) -> None:
        self._now = as_utc(start)

    def now(self) -> datetime:
        return self._now

    def move_to(self, instant: datetime) -> None:
        self._now = as_utc(instant)

    def advance(self, step: timedelta) -> None:
        self._now += step


def as_utc(instant: datetime) -> datetime:
    """The same instant in UTC. Raises ValueError for a datetime without a zone: it would be a guess."""
    if instant.tzinfo is None:
        raise ValueError("An instant needs a time zone, e.g. 2026-11-21T09:00:00+11:00.")
    return instant.astimezone(UTC)


@cache
def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name. Raises DomainError when there is none.

    Answers are kept: the list of all names is read from hundreds of files each time.
    """
    if name not in available_timezones():
        raise DomainError(f"{name!r} is not a time zone: use a name such as Australia/Sydney.")
    return ZoneInfo(name)


def business_date(instant: datetime, tz: ZoneInfo) -> date:
    """The calendar day on which `instant` falls for people in that zone. Raises ValueError for one without a zone."""
    return as_utc(instant).astimezone(tz).date()


def day_bounds(day: date, tz: ZoneInfo) -> tuple[datetime, datetime]:
    """First instant of the day and of the next one in that zone, in UTC; 23 to 25 hours apart."""
    start = datetime.combine(day, time.min, tz)
    end = datetime.combine(day + timedelta(days=1), time.min, tz)
    return start.astimezone(UTC), end.astimezone(UTC)
