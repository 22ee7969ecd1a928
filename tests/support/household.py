"""Random households with everything that can reduce what they pay."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st

from connector.billing.policy import BillingPolicy
from connector.billing.prices.pricing import CoveredPerson, Position, PricedLine, Promo, PromoScope, price_period
from connector.money import Money

CENTS = st.one_of(st.integers(min_value=1, max_value=120), st.integers(min_value=1, max_value=80_000))
PERCENTS = st.decimals(min_value=0, max_value=100, places=2)


def aud(cents: int) -> Money:
    return Money(cents, "aud")


def holder(cents: int, setup: int = 0) -> CoveredPerson:
    """The account holder, with a price per period and a join fee in cents."""
    return CoveredPerson("mem_holder", Position.HOLDER, "Essential", aud(cents), aud(setup))


def dependent(number: int, cents: int, setup: int = 0) -> CoveredPerson:
    return CoveredPerson(f"mem_child{number}", Position.DEPENDENT, "Kids", aud(cents), aud(setup))


@st.composite
def households(draw: st.DrawFn) -> list[CoveredPerson]:
    """In any order, with or without a holder who is a member, some of them joining."""
    setups = st.one_of(st.just(0), CENTS)
    children = [dependent(number, draw(CENTS), draw(setups)) for number in range(draw(st.integers(0, 5)))]
    holders = [holder(draw(CENTS), draw(setups))] if draw(st.booleans()) or not children else []
    return draw(st.permutations([*holders, *children]))


def _promo(code: str, by: Decimal | Money, scope: PromoScope) -> Promo:
    return Promo(code, None, by, scope) if isinstance(by, Money) else Promo(code, by, None, scope)


PROMOS = st.builds(_promo, st.just("SMILE"), st.one_of(PERCENTS, CENTS.map(aud)), st.sampled_from(list(PromoScope)))
POLICIES = st.builds(
    lambda dependents, referrals: BillingPolicy(
        dependent_discount_percent=dependents, referral_discount_percent=referrals
    ),
    PERCENTS,
    PERCENTS,
)


@st.composite
def priced_households(draw: st.DrawFn) -> tuple[list[CoveredPerson], tuple[PricedLine, ...]]:
    """People with the lines of one of their periods."""
    people = draw(households())
    lines = price_period(
        people,
        policy=draw(POLICIES),
        active_referrals=draw(st.integers(min_value=0, max_value=12)),
        referred=draw(st.booleans()),
        promo=draw(st.none() | PROMOS),
    )
    return people, lines
