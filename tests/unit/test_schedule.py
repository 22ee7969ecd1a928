"""When something is due: agreed dates, and what holds for every anchor."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.schedule import Frequency, due_date, instalment, instalments
from connector.clock import business_date, day_bounds, zone
from connector.money import Money

ANCHORS = st.dates(min_value=date(2020, 1, 1), max_value=date(2060, 12, 31))
FREQUENCIES = st.sampled_from(Frequency)
PERIODS = st.integers(min_value=0, max_value=600)
SYDNEY = zone("Australia/Sydney")


@pytest.mark.parametrize(
    ("frequency", "anchor", "expected"),
    [
        ("monthly", "2027-01-31", "2027-02-28 2027-03-31 2027-04-30 2027-05-31 2027-06-30"),
        ("monthly", "2028-01-31", "2028-02-29 2028-03-31 2028-04-30"),
        ("monthly", "2027-01-30", "2027-02-28 2027-03-30 2027-04-30"),
        ("monthly", "2027-01-29", "2027-02-28 2027-03-29 2027-04-29"),
        ("monthly", "2028-01-29", "2028-02-29 2028-03-29"),
        ("monthly", "2027-04-30", "2027-05-30 2027-06-30 2027-07-30"),
        ("monthly", "2027-02-28", "2027-03-28 2027-04-28"),
        ("monthly", "2026-12-01", "2027-01-01 2027-02-01"),
        ("monthly", "2026-12-31", "2027-01-31 2027-02-28"),
        ("annually", "2028-02-29", "2029-02-28 2030-02-28 2031-02-28 2032-02-29"),
        ("annually", "2026-11-21", "2027-11-21 2028-11-21"),
        ("weekly", "2026-12-28", "2027-01-04 2027-01-11"),
        ("fortnightly", "2026-03-24", "2026-04-07 2026-04-21"),
        ("fortnightly", "2026-09-22", "2026-10-06 2026-10-20"),
    ],
)
def test_due_dates_follow_the_anchor(frequency: str, anchor: str, expected: str) -> None:
    """Short months, leap years, the turn of the year, and both changes of the clocks in Sydney."""
    start = date.fromisoformat(anchor)

    found = [due_date(start, Frequency(frequency), period + 1).isoformat() for period in range(len(expected.split()))]

    assert found == expected.split()


@pytest.mark.parametrize(("anchor", "hours"), [(date(2026, 3, 24), [337, 336]), (date(2026, 9, 22), [335, 336])])
def test_a_fortnight_keeps_its_weekday_and_not_its_hours(anchor: date, hours: list[int]) -> None:
    """Nine o'clock in Sydney is an hour nearer or farther in the fortnight in which the clocks change."""
    due = [due_date(anchor, Frequency.FORTNIGHTLY, period) for period in range(3)]
    instants = [datetime.combine(day, time(9), SYDNEY).astimezone(UTC) for day in due]

    assert {day.weekday() for day in due} == {1}
    assert [(after - before) / timedelta(hours=1) for before, after in pairwise(instants)] == hours


@pytest.mark.parametrize("place", ["Australia/Brisbane", "Australia/Darwin", "Australia/Perth"])
def test_what_is_due_in_the_new_year_is_due_first_where_it_begins_first(place: str) -> None:
    """At one instant a contract is due in Sydney and Adelaide, and not yet further north and west."""
    instant = datetime(2026, 12, 31, 13, 30, tzinfo=UTC)
    due = due_date(date(2026, 12, 1), Frequency.MONTHLY, 1)

    assert business_date(instant, SYDNEY) >= due
    assert business_date(instant, zone("Australia/Adelaide")) >= due
    assert business_date(instant, zone(place)) < due


def test_a_location_that_moves_keeps_its_dates() -> None:
    """From Sydney to Perth: the periods meet on the same date, which begins three hours later in summer."""
    boundary = due_date(date(2026, 11, 15), Frequency.MONTHLY, 1)

    assert boundary == date(2026, 12, 15)
    moved = day_bounds(boundary, zone("Australia/Perth"))[0] - day_bounds(boundary, SYDNEY)[0]
    assert moved == timedelta(hours=3)


@given(ANCHORS, FREQUENCIES, PERIODS)
def test_due_dates_rise_without_end(anchor: date, frequency: Frequency, period: int) -> None:
    """The first is the anchor itself, and each is later than the one before."""
    assert due_date(anchor, frequency, 0) == anchor
    assert due_date(anchor, frequency, period) < due_date(anchor, frequency, period + 1)


@given(ANCHORS, st.sampled_from([Frequency.MONTHLY, Frequency.ANNUALLY]), PERIODS)
def test_the_day_of_the_month_is_that_of_the_anchor_or_the_last_one(
    anchor: date, frequency: Frequency, period: int
) -> None:
    """A short month costs nothing afterwards: the day is always derived from the anchor."""
    due = due_date(anchor, frequency, period)

    assert due.day == min(anchor.day, monthrange(due.year, due.month)[1])
    months = (due.year - anchor.year) * 12 + due.month - anchor.month
    assert months == period * (1 if frequency is Frequency.MONTHLY else 12)


@given(ANCHORS, st.sampled_from([(Frequency.WEEKLY, 7), (Frequency.FORTNIGHTLY, 14)]), PERIODS)
def test_weeks_are_counted_in_days(anchor: date, rhythm: tuple[Frequency, int], period: int) -> None:
    """On calendar dates, which no change of the clocks can move."""
    frequency, days = rhythm

    assert due_date(anchor, frequency, period) - anchor == timedelta(days=days * period)


@given(ANCHORS, st.integers(min_value=0, max_value=50))
def test_twelve_months_are_a_year(anchor: date, years: int) -> None:
    """Paying monthly or annually, the anniversary is the same day."""
    assert due_date(anchor, Frequency.MONTHLY, 12 * years) == due_date(anchor, Frequency.ANNUALLY, years)


@given(ANCHORS, FREQUENCIES, st.integers(min_value=0, max_value=400), st.integers(min_value=0, max_value=60))
def test_a_contract_falls_due_on_the_same_dates_day_by_day_and_in_one_leap(
    anchor: date, frequency: Frequency, days: int, pause: int
) -> None:
    """However rarely the machine runs, the periods and dates that it finds are the same."""
    last = anchor + timedelta(days=days)

    def walk(visits: list[date]) -> list[date]:
        found: list[date] = []
        for today in visits:
            while (due := due_date(anchor, frequency, len(found))) <= today:
                found.append(due)
        return found

    daily = walk([anchor + timedelta(days=day) for day in range(days + 1)])
    rare = walk([anchor + timedelta(days=day) for day in range(0, days, pause + 1)] + [last])

    assert daily == rare == walk([last])


def test_periods_are_counted_from_the_anchor_onwards() -> None:
    """There is nothing before it."""
    with pytest.raises(ValueError, match="counted from 0"):
        due_date(date(2026, 1, 1), Frequency.MONTHLY, -1)


def test_a_contract_has_due_dates_once_it_has_started() -> None:
    """Activation sets the anchor, the first period and its date."""
    contract = Contract(frequency=Frequency.MONTHLY, anchor=None)
    with pytest.raises(ValueError, match="not started"):
        contract.due_date(0)

    contract.activate(date(2027, 1, 31), date(2027, 1, 31))

    assert contract.status is AgreementStatus.ACTIVE
    assert (contract.next_period, contract.next_due) == (0, date(2027, 1, 31))
    assert contract.due_date(1) == date(2027, 2, 28)


def test_instalments_have_agreed_dates_and_amounts() -> None:
    """Six fortnightly instalments over the turn of the year, the remainder on the last."""
    schedule = list(instalments(Money(100_000, "aud"), 6, date(2026, 11, 27), Frequency.FORTNIGHTLY))

    assert [part.number for part in schedule] == [1, 2, 3, 4, 5, 6]
    assert [part.due.isoformat() for part in schedule] == [
        "2026-11-27",
        "2026-12-11",
        "2026-12-25",
        "2027-01-08",
        "2027-01-22",
        "2027-02-05",
    ]
    assert [part.amount.cents for part in schedule] == [16_666] * 5 + [16_670]


@given(
    st.integers(min_value=1, max_value=60).flatmap(
        lambda count: st.tuples(st.integers(min_value=count, max_value=5_000_000), st.just(count))
    ),
    ANCHORS,
    FREQUENCIES,
)
def test_instalments_add_up_and_each_can_be_computed_alone(
    agreed: tuple[int, int], anchor: date, frequency: Frequency
) -> None:
    """The whole schedule and a single instalment never disagree, nor does the stored plan."""
    cents, count = agreed
    total = Money(cents, "aud")
    plan = PaymentPlan(
        total_cents=cents,
        deposit_cents=0,
        currency="aud",
        instalment_count=count,
        anchor=anchor,
        anchor_number=1,
        frequency=frequency,
    )

    schedule = list(instalments(total, count, anchor, frequency))

    assert sum(part.amount.cents for part in schedule) == cents
    assert all(part.amount.cents > 0 for part in schedule)
    assert all(part == instalment(total, count, anchor, frequency, part.number) for part in schedule)
    assert all(part == plan.instalment(part.number) for part in schedule)
    assert all(before.due < after.due for before, after in pairwise(schedule))


@pytest.mark.parametrize("number", [0, -1, 7])
def test_there_is_no_instalment_outside_the_plan(number: int) -> None:
    """Instalments are numbered from 1 to their count; any other number is a mistake of the program."""
    with pytest.raises(ValueError, match="no instalment"):
        instalment(Money(600, "aud"), 6, date(2026, 1, 1), Frequency.WEEKLY, number)
