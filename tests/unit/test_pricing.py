"""What a period of a household costs: the published examples, the order of discounts, promos, and what always holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.offers.plan_terms import TaxCode
from connector.billing.policy import BillingPolicy
from connector.billing.prices.pricing import (
    CHARGE_MIN_CENTS,
    CoveredPerson,
    LineKind,
    Position,
    PricedLine,
    Promo,
    PromoScope,
    PromoTerms,
    active_referrals,
    amount_of,
    price_period,
    promo_applies,
    redeemable,
)
from connector.billing.prices.shares import shares
from connector.errors import DomainError
from connector.money import Money
from tests.support.household import POLICIES, aud, dependent, holder, households, priced_households

TEN = BillingPolicy()
FAMILY = [holder(2000), *(dependent(number, 2000) for number in range(4))]


def rates(dependents: str = "10", referrals: str = "10") -> BillingPolicy:
    return BillingPolicy(dependent_discount_percent=Decimal(dependents), referral_discount_percent=Decimal(referrals))


def sum_of(lines: tuple[PricedLine, ...]) -> int:
    return amount_of(lines, "aud").cents


def cents(lines: tuple[PricedLine, ...], kind: LineKind) -> list[int]:
    return [line.amount.cents for line in lines if line.kind is kind]


def test_a_family_of_five_at_twenty_dollars_pays_eighty_four() -> None:
    """Ten per cent for each: the holder gets it four times, every dependent once."""
    lines = price_period(FAMILY, policy=TEN)

    assert sum_of(lines) == 8400
    assert list(shares(lines).values()) == [1200, 1800, 1800, 1800, 1800]


@pytest.mark.parametrize(("dependents", "paid"), [(0, 2000), (1, 1800), (2, 1600), (3, 1400), (10, 0), (11, 0)])
def test_the_holder_gets_the_discount_for_each_dependent(dependents: int, paid: int) -> None:
    """Until nothing is left to pay."""
    lines = price_period([holder(2000), *(dependent(n, 2000) for n in range(dependents))], policy=TEN)

    assert shares(lines)["mem_holder"] == paid


def test_two_referrals_are_twenty_per_cent_off() -> None:
    """One line, for the holder alone."""
    lines = price_period([holder(2990), dependent(1, 1000)], policy=rates(dependents="0"), active_referrals=2)

    assert [(line.kind, line.member_id, line.description, line.amount.cents) for line in lines] == [
        (LineKind.PLAN, "mem_holder", "Essential (account holder)", 2990),
        (LineKind.PLAN, "mem_child1", "Kids (dependent)", 1000),
        (LineKind.REFERRAL_DISCOUNT, "mem_holder", "Referral discount 20%", -598),
    ]


@pytest.mark.parametrize(("referrals", "referred", "discount"), [(0, True, 299), (3, True, 1196), (0, False, 0)])
def test_a_referred_friend_gets_the_discount_too(referrals: int, referred: bool, discount: int) -> None:
    """For having been referred, and on top for each own referral."""
    lines = price_period([holder(2990)], policy=TEN, active_referrals=referrals, referred=referred)

    assert sum_of(lines) == 2990 - discount


@pytest.mark.parametrize(("price", "rate", "discount"), [(1995, "10", 200), (1020, "12.5", 128), (4999, "1.75", 87)])
def test_each_discount_line_is_rounded_half_up(price: int, rate: str, discount: int) -> None:
    """To a cent, line by line."""
    lines = price_period([dependent(1, price)], policy=rates(dependents=rate))

    assert cents(lines, LineKind.DEPENDENTS_DISCOUNT) == [-discount]


def test_what_exceeds_the_price_is_cut_from_the_last_discount() -> None:
    """Four dependents at 20 % and three referrals at 10 %: the second line takes only what is left."""
    lines = price_period(FAMILY, policy=rates(dependents="20"), active_referrals=3)

    assert cents(lines, LineKind.DEPENDENTS_DISCOUNT) == [-1600, -400, -400, -400, -400]
    assert cents(lines, LineKind.REFERRAL_DISCOUNT) == [-400]
    assert lines[-1].description == "Referral discount 20%"
    assert shares(lines)["mem_holder"] == 0


def test_two_halves_of_an_odd_price_do_not_take_more_than_all_of_it() -> None:
    """Both round up, and the second gives the cent back."""
    lines = price_period([holder(1995), dependent(1, 5000)], policy=rates("50", "50"), active_referrals=1)

    assert cents(lines, LineKind.DEPENDENTS_DISCOUNT) == [-998, -2500]
    assert cents(lines, LineKind.REFERRAL_DISCOUNT) == [-997]


def test_programs_never_touch_the_join_fee() -> None:
    """It is charged in full, beside a recurring fee that may be reduced to nothing."""
    lines = price_period([holder(2000, setup=2500)], policy=TEN, active_referrals=10)

    assert [(line.kind, line.amount.cents) for line in lines] == [
        (LineKind.PLAN, 2000),
        (LineKind.SETUP_FEE, 2500),
        (LineKind.REFERRAL_DISCOUNT, -2000),
    ]


def test_the_holder_comes_first_and_lines_are_sorted_by_kind() -> None:
    """However the people are given; every line carries its person's tax code."""
    child = CoveredPerson("mem_child", Position.DEPENDENT, "Whitening", aud(1000), aud(500), TaxCode.GST)

    lines = price_period([child, holder(2000, setup=2500)], policy=TEN)

    assert [(line.kind.value, line.member_id, line.tax_code.value) for line in lines] == [
        ("plan", "mem_holder", "gst_free"),
        ("plan", "mem_child", "gst"),
        ("setup_fee", "mem_holder", "gst_free"),
        ("setup_fee", "mem_child", "gst"),
        ("dependents_discount", "mem_holder", "gst_free"),
        ("dependents_discount", "mem_child", "gst"),
    ]


@pytest.mark.parametrize(
    ("scope", "percent", "amount", "expected"),
    [
        (PromoScope.JOIN, "50", None, [-1250]),
        (PromoScope.RECURRING, "50", None, [-900, -450]),
        (PromoScope.BOTH, "50", None, [-2150, -450]),
        (PromoScope.BOTH, "100", None, [-4300, -900]),
        (PromoScope.JOIN, None, 9999, [-2500]),
        (PromoScope.RECURRING, None, 1000, [-1000]),
        (PromoScope.RECURRING, None, 2000, [-1800, -200]),
        (PromoScope.BOTH, None, 4400, [-4300, -100]),
        (PromoScope.BOTH, None, 9999, [-4300, -900]),
    ],
)
def test_a_promo_takes_its_part_of_what_is_left(
    scope: PromoScope, percent: str | None, amount: int | None, expected: list[int]
) -> None:
    """Of the join fee (25.00), of the reduced recurring fees (18.00 and 9.00), or of both; never more than there is."""
    promo = Promo("SMILE", Decimal(percent) if percent else None, aud(amount) if amount else None, scope)

    lines = price_period([holder(2000, setup=2500), dependent(1, 1000)], policy=TEN, promo=promo)

    assert cents(lines, LineKind.PROMO_DISCOUNT) == expected
    assert {line.description for line in lines if line.kind is LineKind.PROMO_DISCOUNT} == {"Promo code SMILE"}


@pytest.mark.parametrize(
    ("plan_ids", "percent", "amount", "expected"),
    [
        ({"pln_kids"}, "50", None, {"mem_child1": -450}),
        ({"pln_kids"}, None, 9999, {"mem_child1": -900}),
        ({"pln_essential"}, "50", None, {"mem_holder": -900}),
        ({"pln_essential", "pln_kids"}, None, 2000, {"mem_holder": -1800, "mem_child1": -200}),
        (set(), None, 2000, {"mem_holder": -1800, "mem_child1": -200}),
        ({"pln_other"}, "50", None, {}),
    ],
)
def test_a_promo_for_certain_plans_reduces_only_who_is_on_them(
    plan_ids: set[str], percent: str | None, amount: int | None, expected: dict[str, int]
) -> None:
    """An amount is not used up by anybody else; without plans it is for everybody."""
    percentage, off = Decimal(percent) if percent else None, aud(amount) if amount else None
    promo = Promo("SMILE", percentage, off, PromoScope.BOTH, frozenset(plan_ids))
    people = [replace(holder(2000), plan_id="pln_essential"), replace(dependent(1, 1000), plan_id="pln_kids")]

    lines = price_period(people, policy=TEN, promo=promo)

    taken = {line.member_id: line.amount.cents for line in lines if line.kind is LineKind.PROMO_DISCOUNT}
    assert taken == expected


@pytest.mark.parametrize(("price", "waived"), [(49, [-49]), (50, []), (51, [])])
def test_what_stripe_would_not_charge_is_waived(price: int, waived: list[int]) -> None:
    """Below fifty cents."""
    lines = price_period([holder(price)], policy=TEN)

    assert cents(lines, LineKind.WAIVED) == waived


def test_a_rest_is_waived_for_each_person_what_is_theirs() -> None:
    """So that nobody's ledger in the practice system shows money that was not taken."""
    promo = Promo("ALMOST", Decimal("99.00"), None, PromoScope.BOTH)

    lines = price_period([holder(2000), dependent(1, 1000)], policy=rates(dependents="0"), promo=promo)

    assert cents(lines, LineKind.WAIVED) == [-20, -10]
    assert shares(lines) == {"mem_holder": 0, "mem_child1": 0}


def test_nobody_costs_nothing() -> None:
    """A household without members has no lines."""
    assert price_period([], policy=TEN) == ()


SECOND_HOLDER = CoveredPerson("mem_other", Position.HOLDER, "Essential", aud(1), aud(0))


@pytest.mark.parametrize("people", [[dependent(1, 1), dependent(1, 2)], [holder(1), SECOND_HOLDER]])
def test_nobody_is_charged_twice(people: list[CoveredPerson]) -> None:
    """Neither a person in two places nor a second holder."""
    with pytest.raises(ValueError, match="at most one holder"):
        price_period(people, policy=TEN)


def test_values_that_make_no_sense_are_refused() -> None:
    """A negative price; a promo of nothing, or of both kinds."""
    with pytest.raises(ValueError, match="never negative"):
        holder(-1)
    with pytest.raises(ValueError, match="either a percentage or an amount"):
        Promo("BOTH", Decimal(1), aud(1), PromoScope.BOTH)


@given(priced_households())
def test_a_period_is_never_negative_never_dearer_and_always_adds_up(
    priced: tuple[list[CoveredPerson], tuple[PricedLine, ...]],
) -> None:
    """Whatever is combined: nobody's part is below zero, and what is charged can be charged."""
    people, lines = priced
    parts = shares(lines)

    full = sum((person.price + person.setup_fee).cents for person in people)
    assert sum(parts.values()) == sum_of(lines)
    assert set(parts) == {person.member_id for person in people}
    assert min(parts.values()) >= 0
    assert sum_of(lines) == 0 or CHARGE_MIN_CENTS <= sum_of(lines) <= full
    assert all(line.amount for line in lines)
    for person in people:
        taken = [
            -line.amount.cents
            for line in lines
            if line.member_id == person.member_id
            and line.kind in (LineKind.DEPENDENTS_DISCOUNT, LineKind.REFERRAL_DISCOUNT)
        ]
        assert all(amount > 0 for amount in taken)
        assert sum(taken) <= person.price.cents


@given(households(), POLICIES, st.integers(min_value=0, max_value=9))
def test_one_more_referral_never_costs_more(people: list[CoveredPerson], policy: BillingPolicy, count: int) -> None:
    """Each active referral is worth something or nothing."""
    fewer, more = (price_period(people, policy=policy, active_referrals=number) for number in (count, count + 1))

    assert sum_of(more) <= sum_of(fewer)


START = date(2027, 2, 28)


@pytest.mark.parametrize(
    ("on", "active", "expected"),
    [
        ("2027-02-27", True, 0),
        ("2027-02-28", True, 1),
        ("2028-02-27", True, 1),
        ("2028-02-28", True, 0),
        ("2027-05-01", False, 0),
    ],
)
def test_a_referral_counts_for_twelve_months_while_the_friend_stays(on: str, active: bool, expected: int) -> None:
    """From the start of the referred contract to the day before it is a year old."""
    assert active_referrals([(START, active)], date.fromisoformat(on), 12) == expected


@given(st.lists(st.tuples(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.booleans())), st.integers(1, 120))
def test_referrals_count_each_on_its_own(referred: list[tuple[date, bool]], months: int) -> None:
    """As many as are active and young enough."""
    on = date(2026, 6, 15)

    expected = [
        start for start, active in referred if active and start <= on < due_date(start, Frequency.MONTHLY, months)
    ]
    assert active_referrals(referred, on, months) == len(expected)


@pytest.mark.parametrize(
    ("periods", "applies"), [(1, [True, False, False, False]), (3, [True, True, True, False]), (None, [True] * 4)]
)
def test_a_promo_lasts_for_its_periods(periods: int | None, applies: list[bool]) -> None:
    """Once, for some periods, or for good."""
    terms = PromoTerms("SMILE", percent=Decimal(10), periods=periods)

    assert [promo_applies(terms, period) for period in range(4)] == applies
    assert not promo_applies(terms, -1)


def test_a_promo_is_made_from_its_terms() -> None:
    """With the currency of the location."""
    percent = PromoTerms("TEN", percent=Decimal("12.5"), scope=PromoScope.JOIN)
    amount = PromoTerms("FIVER", amount_cents=500)

    assert percent.promo("aud") == Promo("TEN", Decimal("12.5"), None, PromoScope.JOIN)
    few = PromoTerms("FEW", amount_cents=500, plan_ids=frozenset({"pln_a"}))
    assert few.promo("aud").plan_ids == {"pln_a"}
    assert amount.promo("nzd") == Promo("FIVER", None, Money(500, "nzd"), PromoScope.BOTH)


@pytest.mark.parametrize(
    ("today", "used", "plan", "sentence"),
    [
        ("2027-01-09", 0, "pln_a", "This promo code cannot be used before 10/01/2027: try again then."),
        ("2027-01-21", 0, "pln_a", "This promo code ended on 20/01/2027: continue without it."),
        ("2027-01-15", 5, "pln_a", "This promo code is used up: continue without it."),
        (
            "2027-01-15",
            0,
            "pln_b",
            "This promo code is not for the chosen plan: choose another plan or continue without it.",
        ),
        ("2027-01-10", 0, "pln_a", ""),
        ("2027-01-20", 4, "pln_a", ""),
    ],
)
def test_a_code_is_redeemed_within_its_limits(today: str, used: int, plan: str, sentence: str) -> None:
    """Its days, its number of uses, its plans; otherwise one sentence says why not."""
    terms = PromoTerms(
        "SMILE",
        percent=Decimal(10),
        opens=date(2027, 1, 10),
        closes=date(2027, 1, 20),
        max_uses=5,
        plan_ids=frozenset({"pln_a"}),
    )

    try:
        redeemable(terms, date.fromisoformat(today), used, plan)
        refusal = ""
    except DomainError as error:
        refusal = str(error)

    assert refusal == sentence


def test_a_code_that_nobody_knows_is_refused_and_one_without_limits_is_not() -> None:
    """An unknown code has no terms."""
    with pytest.raises(DomainError, match="not known: check its spelling"):
        redeemable(None, START, 0, "pln_a")

    redeemable(PromoTerms("EVER", amount_cents=1, max_uses=None), START, 10_000, "pln_a")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"code": ""}, "1 to 40 characters"),
        ({"code": "TWO WORDS"}, "no spaces"),
        ({"code": "X" * 41}, "1 to 40 characters"),
        ({"amount_cents": 5}, "either a percentage or an amount"),
        ({"percent": None}, "either a percentage or an amount"),
        ({"percent": Decimal(0)}, "above 0, at most 100"),
        ({"percent": Decimal("100.01")}, "above 0, at most 100"),
        ({"percent": Decimal("1.005")}, "two decimals"),
        ({"percent": Decimal("NaN")}, "above 0, at most 100"),
        ({"percent": None, "amount_cents": 0}, "above zero"),
        ({"percent": None, "amount_cents": 100_000_000}, "at most 999,999.99"),
        ({"periods": 0}, "at least one period"),
        ({"max_uses": 0}, "at least once"),
        ({"opens": date(2027, 1, 2), "closes": date(2027, 1, 1)}, "cannot close before it opens"),
    ],
)
def test_rules_of_a_promo_that_do_not_fit_are_refused(fields: dict[str, Any], sentence: str) -> None:
    """Each with the reason."""
    good: dict[str, Any] = {"code": "SMILE", "percent": Decimal(10)}

    with pytest.raises(DomainError, match=sentence):
        PromoTerms(**(good | fields))
