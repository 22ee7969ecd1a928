"""Which days are closed in the office's books.

The office's lock dates bind people at its own windows; the API is not stopped by them. Writing into a period that the
practice has closed would change figures behind its back all the same, so they are respected here.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from connector.clock import Clock, business_date
from connector.errors import PeriodClosed, Rejected
from connector.pms_adapters.open_dental import mapping
from connector.pms_adapters.open_dental.client import OpenDentalClient
from connector.pms_adapters.open_dental.probe import preference
from connector.pms_adapters.pace import Deadline

KNOWN_FOR = timedelta(minutes=10)
"""A practice closes a period once a month or so; several late entries ask once."""


class ClosedPeriod:
    """The lock dates of one office. Safe to use from several threads."""

    def __init__(self, client: OpenDentalClient, clock: Clock, zone: ZoneInfo) -> None:
        self._client, self._clock, self._zone = client, clock, zone
        self._seen: tuple[datetime, date] | None = None

    def demand_open(self, day: date, deadline: Deadline, *, anew: bool = False) -> None:
        """Raise PeriodClosed for a day in a closed period, and Rejected where no day is open.

        For today's entries nothing is asked, unless `anew`: the office has just refused one.
        """
        today = business_date(self._clock.now(), self._zone)
        if day >= today and not anew:
            return
        first = self._first_open(today, deadline, anew=anew)
        if day < first <= today:
            raise PeriodClosed(f"The office's books are closed before {first:%d/%m/%Y}.", first)
        if day < first:
            raise Rejected("The office's books are closed, today included: have them opened, then post it again.")

    def _first_open(self, today: date, deadline: Deadline, *, anew: bool) -> date:
        now = self._clock.now()
        if self._seen is None or anew or not self._seen[0] <= now < self._seen[0] + KNOWN_FOR:
            locked = mapping.day({"lock": preference(self._client, "SecurityLockDate", deadline)}, "lock")
            first = locked + timedelta(days=1) if locked else date.min
            days = preference(self._client, "SecurityLockDays", deadline)
            if days.isascii() and days.isdigit() and int(days):
                first = max(first, today - timedelta(days=int(days) - 1))
            self._seen = now, first
        return self._seen[1]
