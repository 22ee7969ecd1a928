"""When messages may go out: sending hours and business days of the practice, through every change of clocks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connector.errors import DomainError
from connector.messaging.window import send_at

SYDNEY = ZoneInfo("Australia/Sydney")
ZONES = [ZoneInfo(f"{name}") for name in ("Australia/Adelaide", "Pacific/Auckland", "America/New_York")]
MINUTE = timedelta(minutes=1)
# The clocks of all four zones change within these days of 2026.
CHANGES = [datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 7), (4, 3), (9, 25), (10, 2), (10, 31))]


def weekday(day: date) -> bool:
    return day.weekday() < 5


def every_day(day: date) -> bool:
    return True


def open_then(
    instant: datetime, zone: ZoneInfo, hours: tuple[int, int], is_business_day: Callable[[date], bool]
) -> bool:
    """Whether the window is open, by the clock on the wall."""
    local = instant.astimezone(zone)
    return hours[0] <= local.hour < hours[1] and is_business_day(local.date())


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-20T10:15:30+11:00", "2026-11-20T10:15:30+11:00"),
        ("2026-11-20T08:59:59+11:00", "2026-11-20T09:00:00+11:00"),
        ("2026-11-20T16:59:59+11:00", "2026-11-20T16:59:59+11:00"),
        ("2026-11-20T17:00:00+11:00", "2026-11-23T09:00:00+11:00"),
        ("2026-11-21T12:00:00+11:00", "2026-11-23T09:00:00+11:00"),
        ("2026-10-02T17:00:00+10:00", "2026-10-05T09:00:00+11:00"),
        ("2026-04-03T17:00:00+11:00", "2026-04-06T09:00:00+10:00"),
    ],
)
def test_a_message_waits_for_the_next_sending_hour(now: str, expected: str) -> None:
    """Over nights, weekends and changes of clocks; inside the window it goes at once."""
    found = send_at(datetime.fromisoformat(now), SYDNEY, 9, 17, weekday)

    assert found == datetime.fromisoformat(expected)
    assert found.utcoffset() == timedelta(0)


@given(
    start=st.sampled_from(CHANGES),
    minutes=st.integers(0, 4 * 24 * 60),
    zone=st.sampled_from([SYDNEY, *ZONES]),
    hours=st.tuples(st.integers(0, 23), st.integers(1, 24)).filter(lambda pair: pair[0] < pair[1]),
    days=st.sampled_from([weekday, every_day]),
)
@example(CHANGES[3], 40 * 60, SYDNEY, (2, 3), every_day)
@example(CHANGES[1], 40 * 60, SYDNEY, (2, 3), every_day)
@example(CHANGES[0], 24 * 60, ZONES[2], (1, 2), every_day)
@example(CHANGES[4], 24 * 60, ZONES[2], (1, 2), every_day)
def test_nothing_earlier_would_do_and_what_is_found_is_open(
    start: datetime, minutes: int, zone: ZoneInfo, hours: tuple[int, int], days: Callable[[date], bool]
) -> None:
    """Compared with a look at the wall clock, minute by minute."""
    now = start + minutes * MINUTE

    found = send_at(now, zone, *hours, days)

    looked = now
    while not open_then(looked, zone, hours, days):
        looked += MINUTE
    assert found == looked
    assert send_at(found, zone, *hours, days) == found


@given(st.timedeltas(timedelta(0), timedelta(days=1100)), st.sampled_from([SYDNEY, *ZONES]))
def test_the_window_of_office_hours_is_never_missed(later: timedelta, zone: ZoneInfo) -> None:
    """To the microsecond, at any time of three years."""
    instant = CHANGES[0] + later

    found = send_at(instant, zone, 9, 17, weekday)

    assert instant <= found <= instant + timedelta(days=3)
    assert open_then(found, zone, (9, 17), weekday)
    assert found == instant or found.astimezone(zone).time().isoformat() == "09:00:00"


@pytest.mark.parametrize(("from_hour", "until_hour"), [(9, 9), (17, 9), (-1, 9), (9, 25)])
def test_hours_that_make_no_window_are_refused(from_hour: int, until_hour: int) -> None:
    """They would never come."""
    with pytest.raises(ValueError, match="window"):
        send_at(CHANGES[0], SYDNEY, from_hour, until_hour, weekday)


def test_a_calendar_without_business_days_is_refused() -> None:
    """Rather than looked through for ever."""
    with pytest.raises(DomainError, match="holidays"):
        send_at(CHANGES[0], SYDNEY, 9, 17, lambda _: False)


def test_an_instant_needs_a_zone() -> None:
    """Else it would be a guess."""
    with pytest.raises(ValueError, match="time zone"):
        send_at(datetime(2026, 11, 20), SYDNEY, 9, 17, weekday)  # noqa: DTZ001
