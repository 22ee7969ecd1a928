"""Whether a benefit may be used: waiting time, quantity per benefit year, and the state of the member."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.offers.benefits import BenefitState, Use, benefit_year, standing
from connector.billing.offers.plan_terms import Benefit

START = date(2027, 1, 31)
DAYS = st.dates(date(2020, 1, 1), date(2050, 1, 1))


def clean(quantity: int = 2, waiting: int = 0, codes: tuple[str, ...] = ("114", "115")) -> Benefit:
    return Benefit(title="Clean", annual_quantity=quantity, waiting_months=waiting, procedure_codes=codes)


def use(day: str, code: str = "114", quantity: int = 1) -> Use:
    return date.fromisoformat(day), code, quantity


@pytest.mark.parametrize(
    ("waiting", "today", "state"),
    [
        (0, "2027-01-30", BenefitState.WAITING),
        (0, "2027-01-31", BenefitState.AVAILABLE),
        (1, "2027-02-27", BenefitState.WAITING),
        (1, "2027-02-28", BenefitState.AVAILABLE),
        (6, "2027-07-30", BenefitState.WAITING),
        (6, "2027-07-31", BenefitState.AVAILABLE),
        (18, "2028-07-30", BenefitState.WAITING),
        (18, "2028-07-31", BenefitState.AVAILABLE),
    ],
)
def test_a_benefit_is_available_when_its_waiting_time_is_over(waiting: int, today: str, state: BenefitState) -> None:
    """Months are counted from the start of the contract; a short month ends it on its last day."""
    assert standing(clean(waiting=waiting), START, date.fromisoformat(today), [], active=True).state is state


def test_uses_of_all_its_codes_count_and_of_no_other() -> None:
    """Also when the practice system writes a code with other letters or blanks."""
    benefit = clean(quantity=4, codes=("114", "D1110"))
    uses = [use("2027-02-01"), use("2027-03-01", " d1110", 2), use("2027-03-01", "012")]

    found = standing(benefit, START, date(2027, 6, 1), uses, active=True)

    assert (found.used, found.left, found.state) == (3, 1, BenefitState.AVAILABLE)


def test_what_is_used_up_comes_back_with_the_next_benefit_year() -> None:
    """And what was left over does not."""
    uses = [use("2027-02-01"), use("2028-01-30"), use("2028-01-31")]

    before = standing(clean(), START, date(2028, 1, 30), uses, active=True)
    after = standing(clean(), START, date(2028, 1, 31), uses, active=True)

    assert (before.state, before.used, before.left) == (BenefitState.USED_UP, 2, 0)
    assert (before.year_start, before.year_end) == (date(2027, 1, 31), date(2028, 1, 31))
    assert (after.state, after.used, after.left) == (BenefitState.AVAILABLE, 1, 1)


def test_without_limit_there_is_always_one_more() -> None:
    """The count goes on for the record."""
    found = standing(clean(quantity=0), START, date(2027, 6, 1), [use("2027-02-01", quantity=50)], active=True)

    assert (found.state, found.used, found.left) == (BenefitState.AVAILABLE, 50, None)


def test_a_correction_gives_a_use_back_but_no_more_than_that() -> None:
    """It is a use with a negative quantity; one for an earlier year adds nothing to this one."""
    uses = [use("2027-02-01"), use("2027-02-02", quantity=-1), use("2028-03-01", quantity=-1)]

    first, second = (standing(clean(), START, day, uses, active=True) for day in (date(2027, 3, 1), date(2028, 3, 1)))

    assert (first.used, first.left) == (0, 2)
    assert (second.used, second.left) == (0, 2)


def test_a_later_use_of_the_same_year_counts_for_an_earlier_day() -> None:
    """Otherwise a visit entered afterwards could be the third of two."""
    found = standing(clean(), START, date(2027, 2, 15), [use("2027-05-01"), use("2027-06-01")], active=True)

    assert found.state is BenefitState.USED_UP


def test_a_member_who_is_not_active_has_everything_frozen_while_waiting_goes_on() -> None:
    """After the pause, the waiting time that passed meanwhile is over."""
    benefit = clean(waiting=6)

    paused = standing(benefit, START, date(2027, 5, 1), [], active=False)
    back = standing(benefit, START, date(2027, 8, 1), [], active=True)

    assert (paused.state, paused.available_from) == (BenefitState.FROZEN, date(2027, 7, 31))
    assert (back.state, back.available_from) == (BenefitState.AVAILABLE, date(2027, 7, 31))


def test_uses_carry_over_to_another_plan_by_their_codes() -> None:
    """The new plan counts what was used under the old one in the same benefit year."""
    uses = [use("2027-02-01"), use("2027-03-01")]

    under_new_plan = standing(clean(quantity=3), START, date(2027, 4, 1), uses, active=True)

    assert (under_new_plan.used, under_new_plan.left) == (2, 1)


@pytest.mark.parametrize(
    ("today", "year"),
    [
        ("2028-02-01", ("2028-02-29", "2029-02-28")),
        ("2028-02-29", ("2028-02-29", "2029-02-28")),
        ("2029-02-27", ("2028-02-29", "2029-02-28")),
        ("2029-02-28", ("2029-02-28", "2030-02-28")),
        ("2032-02-28", ("2031-02-28", "2032-02-29")),
        ("2032-02-29", ("2032-02-29", "2033-02-28")),
    ],
)
def test_a_benefit_year_from_a_leap_day_starts_on_the_last_of_february(today: str, year: tuple[str, str]) -> None:
    """On the 29th whenever there is one; before the contract starts, it is the first year."""
    found = benefit_year(date(2028, 2, 29), date.fromisoformat(today))

    assert (str(found[0]), str(found[1])) == year


@given(DAYS, DAYS)
def test_benefit_years_follow_one_another_without_a_gap(starts_on: date, today: date) -> None:
    """Each day from the start on lies in exactly one, and the day that ends one begins the next."""
    year_start, year_end = benefit_year(starts_on, today)

    assert year_start <= max(today, starts_on) < year_end
    assert benefit_year(starts_on, year_end)[0] == year_end
    assert benefit_year(starts_on, max(year_end - timedelta(days=1), starts_on)) == (year_start, year_end)


@given(
    DAYS,
    st.integers(min_value=0, max_value=1000),
    st.integers(min_value=0, max_value=5),
    st.integers(min_value=0, max_value=24),
    st.lists(st.tuples(st.integers(min_value=0, max_value=1500), st.integers(min_value=1, max_value=3)), max_size=6),
    st.booleans(),
)
def test_a_benefit_is_usable_exactly_when_the_rule_says_so(
    starts_on: date, later: int, quantity: int, waiting: int, visits: list[tuple[int, int]], active: bool
) -> None:
    """Active, waited for, and unlimited or not yet used up in this benefit year."""
    today = starts_on + timedelta(days=later)
    uses = [(starts_on + timedelta(days=day), "114", number) for day, number in visits]

    found = standing(clean(quantity, waiting), starts_on, today, uses, active)

    used = sum(number for day, _, number in uses if found.year_start <= day < found.year_end)
    usable = active and today >= found.available_from and (quantity == 0 or used < quantity)
    assert (found.state is BenefitState.AVAILABLE) == usable
    assert found.used == used
