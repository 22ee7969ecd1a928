"""Business days: weekends and public holidays of the place where the practice is."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.collecting.business_days import BusinessCalendar, calendar_of
from connector.errors import DomainError

DAYS = st.dates(min_value=date(2020, 1, 1), max_value=date(2060, 12, 31))
CALENDARS = st.sampled_from(
    [
        BusinessCalendar(),
        calendar_of("Australia/Sydney"),
        calendar_of("Australia/Perth"),
        calendar_of("Pacific/Auckland"),
        calendar_of("Europe/London", "SCT"),
        calendar_of("America/New_York"),
    ]
)


@pytest.mark.parametrize(
    ("timezone", "region", "country", "expected"),
    [
        ("Australia/Sydney", None, "AU", "NSW"),
        ("Australia/Sydney", "", "AU", "NSW"),
        ("Australia/Sydney", "ACT", "AU", "ACT"),
        ("Australia/Canberra", None, "AU", "ACT"),
        ("Australia/Lord_Howe", None, "AU", "NSW"),
        ("Australia/Melbourne", None, "AU", "VIC"),
        ("Australia/Brisbane", None, "AU", "QLD"),
        ("Australia/Adelaide", None, "AU", "SA"),
        ("Australia/Perth", None, "AU", "WA"),
        ("Australia/Hobart", None, "AU", "TAS"),
        ("Australia/Darwin", None, "AU", "NT"),
        ("Pacific/Auckland", None, "NZ", None),
        ("Pacific/Auckland", "WGN", "NZ", "WGN"),
        ("NZ", None, "NZ", None),
        ("America/New_York", None, "US", None),
        ("US/Pacific", "CA", "US", "CA"),
        ("America/Toronto", "ON", "CA", "ON"),
        ("Europe/London", None, "GB", None),
        ("Asia/Singapore", None, "SG", None),
        ("UTC", None, None, None),
    ],
)
def test_a_time_zone_tells_country_and_state(
    timezone: str, region: str | None, country: str | None, expected: str | None
) -> None:
    """Also by its older names; where no holidays are known only weekends are left."""
    calendar = calendar_of(timezone, region)

    assert calendar == BusinessCalendar(country, expected)


@pytest.mark.parametrize(
    ("timezone", "region", "message"),
    [
        ("Australia/Sydney", "ZZ", "'ZZ' is not a region in the time zone Australia/Sydney: use one of ACT, NSW"),
        ("Europe/London", "NSW", "use one of ENG, NIR, SCT, WLS"),
        ("UTC", "NSW", "leave the region empty"),
        ("Australia/Sidney", None, "is not a time zone"),
    ],
)
def test_a_place_that_does_not_exist_is_refused(timezone: str, region: str | None, message: str) -> None:
    """With the regions that the country has."""
    with pytest.raises(DomainError, match=message):
        calendar_of(timezone, region)


@pytest.mark.parametrize(
    ("timezone", "holiday"),
    [
        ("Australia/Sydney", date(2026, 12, 28)),
        ("Australia/Sydney", date(2027, 1, 26)),
        ("Australia/Sydney", date(2026, 4, 3)),
        ("Australia/Melbourne", date(2026, 11, 3)),
        ("Australia/Darwin", date(2026, 8, 3)),
        ("Australia/Adelaide", date(2026, 3, 9)),
        ("Pacific/Auckland", date(2026, 2, 6)),
        ("America/New_York", date(2026, 11, 26)),
        ("America/New_York", date(2027, 12, 31)),
        ("Europe/London", date(2026, 5, 4)),
    ],
)
def test_public_holidays_are_no_business_days(timezone: str, holiday: date) -> None:
    """Known ones, all on weekdays, among them days that replace a holiday at the weekend."""
    assert holiday.weekday() < 5
    assert not calendar_of(timezone).is_business_day(holiday)
    assert BusinessCalendar().is_business_day(holiday)


def test_states_differ() -> None:
    """The Melbourne Cup stops Victoria alone, and Canberra Day the capital alone."""
    cup, canberra_day = date(2026, 11, 3), date(2026, 3, 9)

    assert calendar_of("Australia/Sydney").is_business_day(cup)
    assert calendar_of("Australia/Sydney").is_business_day(canberra_day)
    assert not calendar_of("Australia/Sydney", "ACT").is_business_day(canberra_day)


def test_a_debit_due_at_christmas_is_made_after_the_holidays() -> None:
    """Friday 25, Saturday 26 and Monday 28 December 2026 are free in New South Wales; the result comes in two days."""
    calendar = calendar_of("Australia/Sydney")

    debit = calendar.roll_forward(date(2026, 12, 25))

    assert debit == date(2026, 12, 29)
    assert calendar.add_business_days(debit, 2) == date(2026, 12, 31)


@given(CALENDARS, DAYS)
def test_rolling_finds_the_first_business_day(calendar: BusinessCalendar, day: date) -> None:
    """Nothing between the day and its business day is one, and rolling again changes nothing."""
    rolled = calendar.roll_forward(day)

    assert rolled >= day
    assert calendar.is_business_day(rolled)
    assert not any(calendar.is_business_day(day + timedelta(days=i)) for i in range((rolled - day).days))
    assert calendar.roll_forward(rolled) == rolled


@given(CALENDARS, DAYS)
def test_weekends_are_never_business_days(calendar: BusinessCalendar, day: date) -> None:
    """And without a country every other day is one."""
    assert not (day.weekday() >= 5 and calendar.is_business_day(day))
    assert BusinessCalendar().is_business_day(day) is (day.weekday() < 5)


@given(CALENDARS, DAYS, st.integers(min_value=1, max_value=30))
def test_so_many_business_days_lie_between(calendar: BusinessCalendar, day: date, n: int) -> None:
    """Counted one by one, the last of them included and the first day not."""
    last = calendar.add_business_days(day, n)

    after = [day + timedelta(days=i + 1) for i in range((last - day).days)]
    assert sum(calendar.is_business_day(each) for each in after) == n
    assert calendar.is_business_day(last)


@given(CALENDARS, DAYS)
def test_no_business_days_later_is_the_day_rolled_forward(calendar: BusinessCalendar, day: date) -> None:
    """So that adding none never gives a holiday."""
    assert calendar.add_business_days(day, 0) == calendar.roll_forward(day)


def test_business_days_are_not_taken_away() -> None:
    """Nothing in billing looks for the day before."""
    with pytest.raises(ValueError, match="not taken away"):
        BusinessCalendar().add_business_days(date(2026, 1, 1), -1)
