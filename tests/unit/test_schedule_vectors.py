"""Worked examples of dates and amounts, each with the number under which it was agreed.

D: dates, M: money. Nobody is billed quarterly, so D6 and D7 are read off a monthly schedule, every third period. All
dates are derived from an anchor; the tables leave the anchor itself out.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.agreements.schedule import Frequency, due_date, first_due_from, instalment, instalments
from connector.billing.collecting.business_days import calendar_of
from connector.billing.collecting.catch_up import debit_day
from connector.billing.prices.proration import prorate
from connector.clock import business_date, day_bounds, zone
from connector.money import CENTS_MAX, Money, total

SYDNEY = zone("Australia/Sydney")
WEEKLY, FORTNIGHTLY, MONTHLY, ANNUALLY = Frequency
NEW_YEAR = date(2027, 1, 1)


def aud(cents: int) -> Money:
    return Money(cents, "aud")


@pytest.mark.parametrize(
    ("frequency", "anchor", "expected"),
    [
        pytest.param(MONTHLY, "2027-01-31", "2027-02-28 2027-03-31 2027-04-30 2027-05-31 2027-06-30", id="D1"),
        pytest.param(MONTHLY, "2028-01-31", "2028-02-29 2028-03-31 2028-04-30", id="D2"),
        pytest.param(MONTHLY, "2027-01-30", "2027-02-28 2027-03-30 2027-04-30", id="D3-30th"),
        pytest.param(MONTHLY, "2027-01-29", "2027-02-28 2027-03-29 2027-04-29", id="D3-29th"),
        pytest.param(MONTHLY, "2028-01-29", "2028-02-29 2028-03-29", id="D3-leap"),
        pytest.param(MONTHLY, "2027-04-30", "2027-05-30 2027-06-30 2027-07-30", id="D4-April"),
        pytest.param(MONTHLY, "2027-02-28", "2027-03-28 2027-04-28", id="D4-February"),
        pytest.param(ANNUALLY, "2028-02-29", "2029-02-28 2030-02-28 2031-02-28 2032-02-29", id="D5"),
        pytest.param(FORTNIGHTLY, "2026-03-24", "2026-04-07 2026-04-21", id="D8"),
        pytest.param(FORTNIGHTLY, "2026-09-22", "2026-10-06 2026-10-20", id="D9"),
        pytest.param(FORTNIGHTLY, "2026-11-27", "2026-12-11 2026-12-25 2027-01-08 2027-01-22 2027-02-05", id="D13"),
    ],
)
def test_due_dates(frequency: Frequency, anchor: str, expected: str) -> None:
    """Short months, leap years, both changes of the clocks, and the turn of the year."""
    start = date.fromisoformat(anchor)

    found = [due_date(start, frequency, period + 1).isoformat() for period in range(len(expected.split()))]

    assert found == expected.split()


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        pytest.param("2026-01-31", "2026-04-30 2026-07-31 2026-10-31 2027-01-31", id="D6-January"),
        pytest.param("2026-11-30", "2027-02-28 2027-05-30 2027-08-30 2027-11-30 2028-02-29", id="D6-November"),
    ],
)
def test_every_third_month_keeps_the_day_of_the_anchor(anchor: str, expected: str) -> None:
    """A short month in between costs nothing afterwards."""
    start = date.fromisoformat(anchor)

    found = [due_date(start, MONTHLY, 3 * (quarter + 1)).isoformat() for quarter in range(len(expected.split()))]

    assert found == expected.split()


def test_the_end_of_a_month_is_no_anniversary() -> None:
    """D7: anchored on 30 April, nothing begins on 31 May, and the quarter of that day is the one of 30 April."""
    anchor, day = date(2021, 4, 30), date(2021, 5, 31)

    assert day not in {due_date(anchor, MONTHLY, period) for period in range(12)}
    assert max(due for period in (0, 3, 6) if (due := due_date(anchor, MONTHLY, period)) <= day) == anchor


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        pytest.param("2026-03-24", "2026-03-23T22 2026-04-06T23 2026-04-20T23", id="D8"),
        pytest.param("2026-09-22", "2026-09-21T23 2026-10-05T22 2026-10-19T22", id="D9"),
    ],
)
def test_nine_o_clock_follows_the_clocks_of_the_place(anchor: str, expected: str) -> None:
    """Fortnights in Sydney over the end and the start of summer time: 337 and 335 hours instead of 336."""
    due = [due_date(date.fromisoformat(anchor), FORTNIGHTLY, period) for period in range(3)]

    instants = [datetime.combine(day, time(9), SYDNEY).astimezone(UTC) for day in due]

    assert [instant.strftime("%Y-%m-%dT%H") for instant in instants] == expected.split()
    assert [business_date(instant, SYDNEY) for instant in instants] == due


@pytest.mark.parametrize(
    ("day", "instant", "hours"),
    [
        pytest.param(date(2026, 10, 4), datetime(2026, 10, 3, 16, 30, tzinfo=UTC), 23, id="D10-missing"),
        pytest.param(date(2026, 4, 5), datetime(2026, 4, 4, 15, 30, tzinfo=UTC), 25, id="D10-twice"),
    ],
)
def test_a_night_without_half_past_two_or_with_two_is_one_day(day: date, instant: datetime, hours: int) -> None:
    """D10: what runs every five minutes sees the day begin once, whatever the clocks on the wall do."""
    start, end = day_bounds(day, SYDNEY)
    ticks = [start - timedelta(hours=3) + timedelta(minutes=5) * tick for tick in range(30 * 12)]

    beginnings = [
        after
        for before, after in pairwise(ticks)
        if business_date(before, SYDNEY) < day and business_date(after, SYDNEY) == day
    ]

    assert beginnings == [start]
    assert end - start == timedelta(hours=hours)
    assert datetime.combine(day, time(2, 30), SYDNEY).astimezone(UTC) == instant
    assert business_date(instant, SYDNEY) == day


@pytest.mark.parametrize(
    ("place", "is_due"),
    [("Sydney", True), ("Adelaide", True), ("Brisbane", False), ("Darwin", False), ("Perth", False)],
)
def test_the_new_year_is_due_where_it_has_begun(place: str, is_due: bool) -> None:
    """D11: at one instant, half an hour into the new year in Sydney and on its first stroke in Adelaide."""
    now = datetime(2026, 12, 31, 13, 30, tzinfo=UTC)

    assert (business_date(now, zone(f"Australia/{place}")) >= NEW_YEAR) is is_due


def test_a_sign_up_belongs_to_the_day_of_the_place() -> None:
    """D12: eight in the morning of 1 December in Sydney is still November in Greenwich."""
    anchor = business_date(datetime(2026, 11, 30, 21, tzinfo=UTC), SYDNEY)

    assert anchor == date(2026, 12, 1)
    assert due_date(anchor, MONTHLY, 1) == NEW_YEAR


def test_a_plan_ends_with_its_last_instalment() -> None:
    """D13: six instalments, the last on 5 February, and no seventh."""
    agreed = (aud(100_000), 6, date(2026, 11, 27), FORTNIGHTLY)

    assert [part.due for part in instalments(*agreed)][-1] == date(2027, 2, 5)
    with pytest.raises(ValueError, match="no instalment 7"):
        instalment(*agreed, number=7)


def test_a_debit_at_christmas_moves_and_its_due_date_does_not() -> None:
    """D14: due on Friday 25 December, debited on the twenty-ninth, known on the thirty-first; the next one on time."""
    calendar, anchor = calendar_of("Australia/Sydney"), date(2026, 11, 27)
    due = due_date(anchor, FORTNIGHTLY, 2)

    debit = debit_day(due, [], calendar, is_becs=True)

    assert due == date(2026, 12, 25)
    assert debit == date(2026, 12, 29)
    assert calendar.add_business_days(debit, 2) == date(2026, 12, 31)
    assert due_date(anchor, FORTNIGHTLY, 3) == date(2027, 1, 8)


def test_periods_meet_when_a_location_moves() -> None:
    """D15: from Sydney to Perth the date is the same and begins three hours later, in summer."""
    boundary = due_date(date(2026, 11, 15), MONTHLY, 1)

    ends, begins = day_bounds(boundary, SYDNEY)[0], day_bounds(boundary, zone("Australia/Perth"))[0]

    assert boundary == date(2026, 12, 15)
    assert begins - ends == timedelta(hours=3)


def test_what_falls_due_in_a_suspension_is_passed_over() -> None:
    """D16: from 10 January to 20 March nothing on the fifteenth; billing resumes in April on the same day."""
    anchor = date(2026, 12, 15)

    assert first_due_from(anchor, MONTHLY, date(2027, 1, 10)) == (1, date(2027, 1, 15))
    assert first_due_from(anchor, MONTHLY, date(2027, 3, 20)) == (4, date(2027, 4, 15))


@pytest.mark.parametrize(
    ("frequency", "anchor", "day", "expected"),
    [
        (MONTHLY, "2027-01-31", "2027-02-28", (1, "2027-02-28")),
        (MONTHLY, "2027-01-31", "2027-03-01", (2, "2027-03-31")),
        (MONTHLY, "2027-01-31", "2026-01-01", (0, "2027-01-31")),
        (ANNUALLY, "2028-02-29", "2029-02-28", (1, "2029-02-28")),
        (ANNUALLY, "2028-02-29", "2029-03-01", (2, "2030-02-28")),
        (ANNUALLY, "2026-12-15", "2027-01-01", (1, "2027-12-15")),
        (WEEKLY, "2026-12-28", "2027-01-04", (1, "2027-01-04")),
        (WEEKLY, "2026-12-28", "2027-01-05", (2, "2027-01-11")),
        (FORTNIGHTLY, "2026-12-28", "2026-12-28", (0, "2026-12-28")),
    ],
)
def test_billing_resumes_on_the_first_due_date_of_the_cycle(
    frequency: Frequency, anchor: str, day: str, expected: tuple[int, str]
) -> None:
    """The day itself counts, and a day before the anchor finds the anchor."""
    period, due = first_due_from(date.fromisoformat(anchor), frequency, date.fromisoformat(day))

    assert (period, due.isoformat()) == expected


@given(
    st.dates(min_value=date(2020, 1, 1), max_value=date(2060, 12, 31)),
    st.sampled_from(Frequency),
    st.integers(min_value=-800, max_value=4000),
)
def test_the_first_due_date_is_the_one_found_by_counting(anchor: date, frequency: Frequency, days: int) -> None:
    """Period by period from the anchor, until one is not earlier than the day."""
    day = anchor + timedelta(days=days)

    counted = next(period for period in count() if due_date(anchor, frequency, period) >= day)

    assert first_due_from(anchor, frequency, day) == (counted, due_date(anchor, frequency, counted))


@pytest.mark.parametrize(
    ("cents", "parts", "expected"),
    [
        (100_000, 3, [33_333, 33_333, 33_334]),
        (123_457, 10, [12_345] * 9 + [12_352]),
        (500, 7, [71] * 6 + [74]),
    ],
)
def test_a_total_is_split_with_the_remainder_on_the_last(cents: int, parts: int, expected: list[int]) -> None:
    """M1."""
    assert [part.cents for part in aud(cents).split(parts)] == expected


@pytest.mark.parametrize(
    ("price", "start", "change", "end", "used", "rest"),
    [
        pytest.param(6000, "2027-02-15", "2027-02-25", "2027-03-15", 2143, 3857, id="M2"),
        pytest.param(4900, "2027-02-01", "2027-02-10", "2027-03-01", 1575, 3325, id="M3"),
        pytest.param(1, "2027-02-01", "2027-02-15", "2027-03-01", 1, 0, id="half a cent is rounded up"),
        pytest.param(6000, "2027-02-15", "2027-02-15", "2027-03-15", 0, 6000, id="nothing used"),
        pytest.param(6000, "2027-02-15", "2027-03-15", "2027-03-15", 6000, 0, id="all used"),
    ],
)
def test_part_of_a_period_costs_its_days(price: int, start: str, change: str, end: str, used: int, rest: int) -> None:
    """M2: kept after a cancellation, and credited; M3: before joining, and to be paid."""
    first, middle, last = (date.fromisoformat(day) for day in (start, change, end))

    assert prorate(aud(price), (middle - first).days, (last - first).days) == (aud(used), aud(rest))


@given(
    st.integers(0, CENTS_MAX), st.integers(1, 366).flatmap(lambda days: st.tuples(st.integers(0, days), st.just(days)))
)
def test_both_parts_of_a_period_add_up_to_its_price(cents: int, days: tuple[int, int]) -> None:
    """No cent is lost or made, the used part is within half a cent of exact, and a later change never costs less."""
    used_days, all_days = days
    used, rest = prorate(aud(cents), used_days, all_days)

    assert used + rest == aud(cents)
    assert aud(0) <= used <= aud(cents)
    assert -all_days <= 2 * (cents * used_days - used.cents * all_days) < all_days
    assert used_days == all_days or prorate(aud(cents), used_days + 1, all_days)[0] >= used


@pytest.mark.parametrize(("cents", "used", "days"), [(100, -1, 30), (100, 31, 30), (100, 0, 0), (-1, 1, 30)])
def test_days_outside_a_period_have_no_price(cents: int, used: int, days: int) -> None:
    """Nor has a period without days, nor a price below nothing."""
    with pytest.raises(ValueError, match=r"at least one day|not negative"):
        prorate(aud(cents), used, days)


@pytest.mark.parametrize(("rate", "cents", "expected"), [("10", 1995, 200), ("12.5", 1020, 128), ("1.75", 4999, 87)])
def test_a_percentage_is_rounded_half_up(rate: str, cents: int, expected: int) -> None:
    """M4."""
    assert aud(cents).percent(Decimal(rate)) == aud(expected)


def test_a_family_pays_the_sum_of_its_lines() -> None:
    """M5: four dependents take ten per cent each off the holder's price, and have ten per cent off their own."""
    price = aud(2000)

    holder = price - price.percent(Decimal(10) * 4)
    dependents = [price - price.percent(Decimal(10))] * 4

    assert (holder, dependents[0]) == (aud(1200), aud(1800))
    assert total([holder, *dependents], "aud") == aud(8400)
