"""Catching up: what is charged after days offline, on which day, and within which limit."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.collecting.business_days import BusinessCalendar, calendar_of
from connector.billing.collecting.catch_up import Release, debit_day, select, week_meter
from connector.billing.policy import CatchUp

NOW, LATER, WAIT = Release.CHARGE_NOW, Release.CHARGE_LATER, Release.WAIT_FOR_PERSON
NSW = calendar_of("Australia/Sydney")
START = date(2026, 12, 1)
DAYS = st.integers(min_value=0, max_value=60).map(lambda days: START + timedelta(days=days))
MODES = st.sampled_from(CatchUp)

DUE = [(period, due_date(date(2026, 8, 15), Frequency.MONTHLY, period)) for period in range(1, 5)]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (CatchUp.LATEST, [(1, WAIT), (2, WAIT), (3, NOW)]),
        (CatchUp.ALL, [(1, NOW), (2, LATER), (3, LATER)]),
        (CatchUp.ASK, [(1, WAIT), (2, WAIT), (3, WAIT)]),
    ],
)
def test_three_months_offline_are_caught_up_as_the_practice_wants(
    mode: CatchUp, expected: list[tuple[int, Release]]
) -> None:
    """Off from 16 August to 20 November: due on 15 September, October and November; December is not due yet."""
    assert select(mode, DUE, date(2026, 11, 20)) == expected
    assert select(mode, DUE[::-1], date(2026, 11, 20)) == expected


@pytest.mark.parametrize("mode", CatchUp)
@pytest.mark.parametrize("today", [date(2026, 9, 15), date(2026, 10, 14)])
def test_a_period_whose_successor_is_not_due_was_not_missed(mode: CatchUp, today: date) -> None:
    """However late in the period it is charged, nobody is asked."""
    assert select(mode, DUE, today) == [(1, NOW)]


@pytest.mark.parametrize("mode", CatchUp)
def test_nothing_is_charged_before_anything_is_due(mode: CatchUp) -> None:
    """Not even when the caller looks ahead."""
    assert select(mode, DUE, date(2026, 9, 14)) == []
    assert select(mode, [], date(2026, 9, 14)) == []


@given(MODES, st.sampled_from(Frequency), st.integers(0, 400))
def test_each_due_period_is_released_once_and_at_most_one_is_charged_today(
    mode: CatchUp, frequency: Frequency, days: int
) -> None:
    """Oldest first; the practice is asked only where something was missed."""
    today = START + timedelta(days=days)
    due = [(period, due_date(START, frequency, period)) for period in range(80)]

    released = select(mode, due, today)

    assert [period for period, _ in released] == [period for period, on in due if on <= today]
    assert sum(release is NOW for _, release in released) == (0 if mode is CatchUp.ASK and len(released) > 1 else 1)
    assert len(released) > 1 or [release for _, release in released] == [NOW]
    if len(released) > 1:
        assert {release for _, release in released if release is not NOW} == {LATER if mode is CatchUp.ALL else WAIT}


@given(st.integers(2, 8), DAYS)
def test_charging_all_takes_one_day_each(count: int, today: date) -> None:
    """Oldest first, and never two debits of an agreement on one day."""
    due = [(period, START - timedelta(days=30 * (count - period))) for period in range(count)]
    taken: list[date] = []

    for _ in select(CatchUp.ALL, due, today):
        taken.append(debit_day(today, taken, NSW, is_becs=False))

    assert taken == [today + timedelta(days=day) for day in range(count)]


@pytest.mark.parametrize(
    ("today", "taken", "is_becs", "expected"),
    [
        ("2026-12-24", [], True, "2026-12-24"),
        ("2026-12-25", [], True, "2026-12-29"),
        ("2026-12-25", [], False, "2026-12-25"),
        ("2026-12-25", ["2026-12-29"], True, "2026-12-30"),
        ("2026-12-24", ["2026-12-24"], True, "2026-12-29"),
        ("2026-12-24", ["2026-12-24"], False, "2026-12-25"),
        ("2026-12-24", ["2026-12-23", "2026-12-25"], False, "2026-12-24"),
    ],
)
def test_a_debit_moves_to_the_next_free_day(today: str, taken: list[str], is_becs: bool, expected: str) -> None:
    """Bank debits to a business day in New South Wales, cards to any day without another debit."""
    found = debit_day(date.fromisoformat(today), [date.fromisoformat(day) for day in taken], NSW, is_becs)

    assert found == date.fromisoformat(expected)


@given(DAYS, st.sets(DAYS, max_size=40), st.booleans(), st.sampled_from([NSW, BusinessCalendar()]))
def test_the_debit_day_is_the_first_that_is_free(
    today: date, taken: set[date], is_becs: bool, calendar: BusinessCalendar
) -> None:
    """Found by trying one day after the other."""
    found = debit_day(today, taken, calendar, is_becs)

    before = [today + timedelta(days=day) for day in range((found - today).days)]
    free = [
        day not in taken and (calendar.is_business_day(day) or not is_becs) for day in [*before, found] if day >= today
    ]
    assert free == [False] * len(before) + [True]


@pytest.mark.parametrize(
    ("others", "cents", "expected"),
    [
        ([], 1_000_000, True),
        ([], 1_000_001, False),
        ([(0, 600_000)], 400_000, True),
        ([(0, 600_000)], 400_001, False),
        ([(-6, 600_000)], 400_001, False),
        ([(-7, 600_000)], 1_000_000, True),
        ([(-6, 300_000), (-3, 300_000)], 400_001, False),
        ([(6, 600_000)], 400_001, False),
        ([(7, 600_000)], 1_000_000, True),
        ([(-6, 600_000), (6, 600_000)], 400_000, True),
    ],
)
def test_seven_days_share_one_limit(others: list[tuple[int, int]], cents: int, expected: bool) -> None:
    """The day itself and six before it; a debit planned in the six days after it counts as well."""
    debits = [(START + timedelta(days=days), amount) for days, amount in others]

    assert week_meter(debits, START, cents, limit_cents=1_000_000) is expected


@given(st.lists(st.tuples(DAYS, st.integers(1, 600_000)), max_size=25), st.integers(1, 1_000_000))
def test_debits_that_were_let_through_never_exceed_the_limit_of_any_week(
    wishes: list[tuple[date, int]], limit: int
) -> None:
    """In whatever order they were planned; and what was refused would have exceeded it."""

    def heaviest_week(debits: list[tuple[date, int]]) -> int:
        first_days = [START + timedelta(days=day) for day in range(-7, 61)]
        return max(sum(cents for on, cents in debits if 0 <= (on - first).days < 7) for first in first_days)

    passed: list[tuple[date, int]] = []
    for day, cents in wishes:
        allowed = week_meter(passed, day, cents, limit)
        assert allowed is (heaviest_week([*passed, (day, cents)]) <= limit)
        if allowed:
            passed.append((day, cents))
