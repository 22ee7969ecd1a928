"""Business days of a location: the days on which banks debit and on which the practice talks to its members.

Monday to Friday without the public holidays of the location's country and state. Holidays are those the `holidays`
library knows: a day that is proclaimed at short notice is a working day until the library is updated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files

import holidays

from connector.clock import zone
from connector.errors import DomainError

_DAY = timedelta(days=1)
_SATURDAY = 5

_FAMILIES = {"Australia": "AU", "Canada": "CA", "GB": "GB", "NZ": "NZ", "US": "US"}
"""Countries of older names of zones, such as US/Pacific, which the table of zones leaves out."""

_AUSTRALIAN_STATES = {
    "ACT": ("ACT", "Canberra"),
    "NSW": ("Broken_Hill", "LHI", "Lord_Howe", "NSW", "Sydney", "Yancowinna"),
    "NT": ("Darwin", "North"),
    "QLD": ("Brisbane", "Lindeman", "Queensland"),
    "SA": ("Adelaide", "South"),
    "TAS": ("Currie", "Hobart", "Tasmania"),
    "VIC": ("Melbourne", "Victoria"),
    "WA": ("Eucla", "Perth", "West"),
}
_STATE_OF_ZONE = {f"Australia/{place}": state for state, places in _AUSTRALIAN_STATES.items() for place in places}


@dataclass(frozen=True, slots=True)
class BusinessCalendar:
    """The business days of one country (ISO 3166, upper case) and state; without a country, weekends alone are free."""

    country: str | None = None
    region: str | None = None

    def is_business_day(self, day: date) -> bool:
        """Whether banks and practices work on that day."""
        return day.weekday() < _SATURDAY and day not in _public_holidays(self.country, self.region, day.year)

    def roll_forward(self, day: date) -> date:
        """The day itself, or the first business day after it: a debit is never made early."""
        while not self.is_business_day(day):
            day += _DAY
        return day

    def add_business_days(self, day: date, n: int) -> date:
        """The n-th business day after `day`, which need not be one itself; for 0 the day rolled forward.

        Raises ValueError for a negative number.
        """
        if n < 0:
            raise ValueError("Business days are added, not taken away.")
        if n == 0:
            return self.roll_forward(day)
        for _ in range(n):
            day = self.roll_forward(day + _DAY)
        return day


@cache
def calendar_of(timezone: str, region: str | None = None) -> BusinessCalendar:
    """The calendar of a place by its IANA zone and, where that is not enough, its state, e.g. 'ACT' in Sydney's zone.

    An Australian zone stands for the state it lies in. Where no public holidays are known, weekends alone are free.
    Raises DomainError for an unknown zone and for a state that its country does not have.
    """
    zone(timezone)
    country = _countries().get(timezone, _FAMILIES.get(timezone.partition("/")[0]))
    regions = holidays.list_supported_countries().get(country or "")
    if regions is None:
        country = None
    if region and region not in (regions or ()):
        known = f"use one of {', '.join(regions)}" if regions else "leave the region empty"
        raise DomainError(f"{region!r} is not a region in the time zone {timezone}: {known}.")
    return BusinessCalendar(country, region or _STATE_OF_ZONE.get(timezone))


@cache
def _countries() -> Mapping[str, str]:
    """The country of every zone, from the table that comes with the time zone data."""
    table = files("tzdata.zoneinfo").joinpath("zone.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return {row[2]: row[0] for row in rows}


@cache
def _public_holidays(country: str | None, region: str | None, year: int) -> frozenset[date]:
    """All of one year at once: the library's own objects fill up while they are read, which threads must not see."""
    if country is None:
        return frozenset()
    return frozenset(holidays.country_holidays(country, subdiv=region, years=year, expand=False))
