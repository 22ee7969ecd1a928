"""Whose money an invoice is, and how a part of it is divided to the cent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.offers.plan_terms import TaxCode
from connector.billing.policy import BillingPolicy
from connector.billing.prices.pricing import CoveredPerson, LineKind, PricedLine, price_period
from connector.billing.prices.shares import apportion, divide, shares
from tests.support.household import aud, dependent, holder, priced_households

WEIGHTS = st.lists(st.integers(min_value=0, max_value=100_000), min_size=1, max_size=12)


def test_a_share_is_what_a_persons_lines_add_up_to() -> None:
    """The holder comes first; the fee on top and lines of nobody are left out."""
    lines = price_period([dependent(1, 1000), holder(2000, setup=500)], policy=BillingPolicy())
    platform_fee = PricedLine(LineKind.PLATFORM_FEE, "mem_holder", "Fee", aud(99), TaxCode.GST)
    nobodys = PricedLine(LineKind.INSTANT, None, "Deposit", aud(77), TaxCode.GST_FREE)

    assert list(shares([*lines, platform_fee, nobodys]).items()) == [("mem_holder", 2300), ("mem_child1", 900)]


@given(priced_households(), st.integers(0, 5_000), st.data())
def test_a_payment_is_divided_among_the_people_and_the_fee(
    priced: tuple[list[CoveredPerson], tuple[PricedLine, ...]], fee_cents: int, data: st.DataObject
) -> None:
    """All of it gives each their share; a part is divided to the cent, and nobody gets more than their share."""
    fee = PricedLine(LineKind.PLATFORM_FEE, None, "SmilePass fee", aud(fee_cents), TaxCode.GST)
    lines = [*priced[1], fee]
    whole = sum(line.amount.cents for line in lines)
    paid = data.draw(st.integers(0, whole))

    parts, fee_part = divide(lines, paid)

    assert divide(lines, whole) == (shares(lines), fee_cents)
    assert sum(parts.values()) + fee_part == paid
    assert fee_part <= fee_cents
    assert all(cents <= shares(lines)[member] for member, cents in parts.items())


@given(priced_households())
def test_shares_add_up_to_the_invoice(priced: tuple[list[CoveredPerson], tuple[PricedLine, ...]]) -> None:
    """As long as nobody but the members has lines."""
    _, lines = priced

    assert sum(shares(lines).values()) == sum(line.amount.cents for line in lines)


@pytest.mark.parametrize(
    ("amount", "weights", "parts"),
    [
        (8400, [1200, 1800, 1800, 1800, 1800], [1200, 1800, 1800, 1800, 1800]),
        (100, [1, 1, 1], [34, 33, 33]),
        (200, [1, 1, 1], [67, 67, 66]),
        (10, [0, 5, 5], [0, 5, 5]),
        (1, [1, 2, 2], [0, 1, 0]),
        (0, [3, 4], [0, 0]),
        (0, [0, 0], [0, 0]),
        (1000, [2000, 900, 900], [526, 237, 237]),
    ],
)
def test_cents_go_to_the_largest_remainders(amount: int, weights: list[int], parts: list[int]) -> None:
    """Equal ones are served in order."""
    assert apportion(amount, weights) == parts


@given(WEIGHTS, st.integers(min_value=0, max_value=1_200_000))
def test_parts_add_up_and_are_fair(weights: list[int], amount: int) -> None:
    """Each is less than a cent from its exact proportion."""
    if not any(weights):
        amount = 0

    parts = apportion(amount, weights)

    assert sum(parts) == amount
    whole = sum(weights)
    assert all(abs(part * whole - amount * weight) < max(1, whole) for part, weight in zip(parts, weights, strict=True))


@given(WEIGHTS, st.data())
def test_nobody_gets_back_more_than_their_share(weights: list[int], data: st.DataObject) -> None:
    """As long as no more is divided than there is; a second refund of the rest gives everybody exactly theirs."""
    amount = data.draw(st.integers(min_value=0, max_value=sum(weights)))

    first = apportion(amount, weights)
    rest = [weight - part for weight, part in zip(weights, first, strict=True)]

    assert min(rest) >= 0
    assert apportion(sum(rest), rest) == rest


@pytest.mark.parametrize(
    ("amount", "weights", "reason"),
    [(-1, [1], "never negative"), (1, [2, -1], "never negative"), (1, [0, 0], "nobody"), (1, [], "nobody")],
)
def test_what_cannot_be_divided_is_refused(amount: int, weights: list[int], reason: str) -> None:
    """Negative numbers, and an amount for nobody."""
    with pytest.raises(ValueError, match=reason):
        apportion(amount, weights)
