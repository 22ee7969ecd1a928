"""Instants, business dates and the bounds of a local day, also when the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from connector.clock import MovableClock, SystemClock, as_utc, business_date, day_bounds, zone
from connector.errors import DomainError

# Cairo, Beirut and Havana change their clocks at midnight.
ZONES = (
    "Australia/Sydney",
    "Australia/Adelaide",
    "Australia/Perth",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "America/New_York",
    "Africa/Cairo",
    "Asia/Beirut",
    "America/Havana",
)
DAYS = st.dates(min_value=date(2024, 1, 1), max_value=date(2030, 12, 31))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("tz", "day", "start", "hours"),
    [
        ("Australia/Sydney", "2026-10-04", "2026-10-03T14:00", 23),
        ("Australia/Sydney", "2026-04-05", "2026-04-04T13:00", 25),
        ("Australia/Adelaide", "2026-10-04", "2026-10-03T14:30", 23),
        ("Australia/Adelaide", "2026-04-05", "2026-04-04T13:30", 25),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30", 23.5),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00", 24.5),
        ("Pacific/Auckland", "2026-09-27", "2026-09-26T12:00", 23),
        ("Pacific/Auckland", "2026-04-05", "2026-04-04T11:00", 25),
        ("America/New_York", "2026-03-08", "2026-03-08T05:00", 23),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00", 25),
        ("Australia/Brisbane", "2026-10-04", "2026-10-03T14:00", 24),
    ],
)
def test_a_day_is_as_long_as_its_clocks_make_it(tz: str, day: str, start: str, hours: float) -> None:
    """On the days of the change a day has another length; half an hour on Lord Howe Island."""
    first, after = day_bounds(date.fromisoformat(day), zone(tz))

    assert first == utc(start)
    assert after - first == timedelta(hours=hours)
    assert first.tzinfo is UTC


@given(DAYS, st.sampled_from(ZONES))
def test_days_meet_without_gap_or_overlap(day: date, tz: str) -> None:
    """The first instant after a day is the first one of the next."""
    place = zone(tz)

    assert day_bounds(day, place)[1] == day_bounds(day + timedelta(days=1), place)[0]


@given(DAYS, st.sampled_from(ZONES), st.floats(min_value=0, max_value=0.999_999))
def test_every_instant_of_a_day_has_its_business_date(day: date, tz: str, part: float) -> None:
    """What is booked on a day lies between its bounds, so that no payment falls out of every report."""
    place = zone(tz)
    start, end = day_bounds(day, place)

    assert business_date(start + part * (end - start), place) == day
    assert business_date(start - timedelta(microseconds=1), place) == day - timedelta(days=1)


@pytest.mark.parametrize(
    ("tz", "expected"),
    [
        ("Australia/Sydney", date(2027, 1, 1)),
        ("Australia/Adelaide", date(2027, 1, 1)),
        ("Australia/Brisbane", date(2026, 12, 31)),
        ("Australia/Darwin", date(2026, 12, 31)),
        ("Australia/Perth", date(2026, 12, 31)),
    ],
)
def test_one_instant_has_the_date_of_each_place(tz: str, expected: date) -> None:
    """New Year begins in Sydney and Adelaide while it is still the old year further north and west."""
    assert business_date(utc("2026-12-31T13:30"), zone(tz)) == expected


def test_a_morning_sign_up_in_sydney_is_on_the_local_day() -> None:
    """At 08:00 on 1 December in Sydney it is 30 November in UTC; the anchor is the 1st."""
    assert business_date(utc("2026-11-30T21:00"), zone("Australia/Sydney")) == date(2026, 12, 1)


def test_a_datetime_without_a_zone_is_refused_everywhere() -> None:
    """It could be any of 38 instants, and the machine's own zone would be a guess."""
    naive = datetime(2026, 11, 21, 9, 0)  # noqa: DTZ001  (that is the mistake)

    for use in (
        lambda: as_utc(naive),
        lambda: MovableClock(naive),
        lambda: MovableClock(utc("2026-01-01T00:00")).move_to(naive),
        lambda: business_date(naive, zone("Australia/Sydney")),
    ):
        with pytest.raises(ValueError, match="needs a time zone"):
            use()


def test_an_instant_is_the_same_in_utc() -> None:
    """Only the way of writing changes."""
    local = datetime(2026, 11, 21, 9, 0, tzinfo=ZoneInfo("Australia/Sydney"))

    assert as_utc(local) == local
    assert as_utc(local).isoformat() == "2026-11-20T22:00:00+00:00"


@pytest.mark.parametrize(
    "name", ["", "Sydney", "Australia/Melborne", "../../etc/passwd", "/etc/localtime", "australia/sydney"]
)
def test_a_place_that_is_no_time_zone_is_refused(name: str) -> None:
    """Also one that would be a path, or that a file system without case would find."""
    with pytest.raises(DomainError, match="use a name such as Australia/Sydney"):
        zone(name)


def test_a_movable_clock_stands_still_until_it_is_moved() -> None:
    """Forwards and backwards, always in UTC."""
    clock = MovableClock(datetime(2026, 11, 21, 9, 0, tzinfo=ZoneInfo("Australia/Sydney")))

    assert clock.now() == clock.now() == utc("2026-11-20T22:00")
    clock.advance(timedelta(days=1))
    assert clock.now() == utc("2026-11-21T22:00")
    clock.move_to(utc("2026-01-01T00:00"))
    assert clock.now() == utc("2026-01-01T00:00")


def test_the_system_clock_tells_the_time_in_utc() -> None:
    """Whatever zone the machine is set to."""
    with time_machine.travel(utc("2026-11-20T22:00"), tick=False):
        now = SystemClock().now()

    assert now == utc("2026-11-20T22:00")
    assert now.tzinfo is UTC
