"""The platform's fee: by tier and kind of payment, with a GST of its own, borne by the practice or the patient."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connector.billing.offers.plan_terms import TaxCode
from connector.billing.policy import BillingPolicy, FeeBearer
from connector.billing.prices.platform_fee import (
    DEFAULT_TIERS,
    FeeCategory,
    Tier,
    effective_bearer,
    fee,
    tier_named,
    with_fee,
)
from connector.billing.prices.pricing import CoveredPerson, LineKind, PricedLine, amount_of, price_period
from connector.billing.prices.shares import shares
from connector.errors import DomainError
from tests.support.household import PERCENTS, aud, holder, priced_households

TIER = Tier(name="Pro", membership_percent=Decimal("1.75"), other_percent=Decimal("2.5"), gst_percent=Decimal(6))
LINES = price_period([holder(4999)], policy=BillingPolicy())


@pytest.mark.parametrize(
    ("category", "base", "amount", "gst"),
    [
        (FeeCategory.MEMBERSHIP, 4999, 87, 5),
        (FeeCategory.OTHER, 4999, 125, 8),
        (FeeCategory.OTHER, 100_000, 2500, 150),
        (FeeCategory.MEMBERSHIP, 28, 0, 0),
        (FeeCategory.MEMBERSHIP, 29, 1, 0),
        (FeeCategory.MEMBERSHIP, 0, 0, 0),
    ],
)
def test_a_fee_is_a_percentage_rounded_half_up_with_its_own_gst(
    category: FeeCategory, base: int, amount: int, gst: int
) -> None:
    """GST is six per cent of the fee as the platform states it (1.50 of 25.00), not an eleventh of it (2.27)."""
    found = fee(TIER, category, aud(base))

    assert (found.amount, found.gst) == (aud(amount), aud(gst))


def test_a_patient_who_bears_the_fee_pays_it_on_top() -> None:
    """As the last line, which is nobody's treatment: no share and no ledger of a patient has it."""
    lines, found = with_fee(LINES, TIER, FeeCategory.MEMBERSHIP, FeeBearer.PATIENT, "aud")

    assert lines == (
        *LINES,
        PricedLine(LineKind.PLATFORM_FEE, None, "SmilePass fee 1.75%", aud(87), TaxCode.GST, aud(5)),
    )
    assert found.gst == aud(5)
    assert shares(lines) == shares(LINES)


@pytest.mark.parametrize(
    ("now", "agreed", "bears"),
    [
        (FeeBearer.PATIENT, FeeBearer.PATIENT, FeeBearer.PATIENT),
        (FeeBearer.PATIENT, FeeBearer.PRACTICE, FeeBearer.PRACTICE),
        (FeeBearer.PATIENT, None, FeeBearer.PATIENT),
        (FeeBearer.PRACTICE, FeeBearer.PATIENT, FeeBearer.PRACTICE),
        (FeeBearer.PRACTICE, FeeBearer.PRACTICE, FeeBearer.PRACTICE),
        (FeeBearer.PRACTICE, None, FeeBearer.PRACTICE),
    ],
)
def test_a_patient_bears_the_fee_only_where_the_agreement_and_the_location_say_so(
    now: FeeBearer, agreed: FeeBearer | None, bears: FeeBearer
) -> None:
    """A practice that stops passing it on stops for all; one that starts does so for new agreements."""
    assert effective_bearer(now, agreed) is bears


def test_a_practice_that_bears_the_fee_leaves_the_invoice_as_it_is() -> None:
    """What the fee will be is known all the same."""
    lines, found = with_fee(LINES, TIER, FeeCategory.MEMBERSHIP, FeeBearer.PRACTICE, "aud")

    assert (lines, found.amount) == (LINES, aud(87))


def test_what_is_free_bears_no_fee() -> None:
    """No line is added to a period that costs nothing."""
    free = price_period([holder(2000)], policy=BillingPolicy(), active_referrals=10)

    assert with_fee(free, TIER, FeeCategory.MEMBERSHIP, FeeBearer.PATIENT, "aud")[0] == free


def test_a_fee_is_not_taken_twice_nor_of_money_that_goes_back() -> None:
    """Neither on lines that bear it already nor on a negative amount."""
    lines, _ = with_fee(LINES, TIER, FeeCategory.MEMBERSHIP, FeeBearer.PATIENT, "aud")

    with pytest.raises(ValueError, match="already"):
        with_fee(lines, TIER, FeeCategory.MEMBERSHIP, FeeBearer.PATIENT, "aud")
    with pytest.raises(ValueError, match="never negative"):
        fee(TIER, FeeCategory.OTHER, aud(-1))


@given(priced_households(), PERCENTS, PERCENTS, st.sampled_from(list(FeeBearer)))
def test_an_invoice_with_its_fee_adds_up(
    priced: tuple[list[CoveredPerson], tuple[PricedLine, ...]], rate: Decimal, gst: Decimal, bearer: FeeBearer
) -> None:
    """The fee is between nothing and the price, its GST within the fee, and it is charged only to who bears it."""
    _, lines = priced
    before = amount_of(lines, "aud")
    tier = Tier(name="Own", membership_percent=rate, other_percent=Decimal(0), gst_percent=gst)

    charged, found = with_fee(lines, tier, FeeCategory.MEMBERSHIP, bearer, "aud")

    assert aud(0) <= found.gst <= found.amount <= before
    extra = found.amount if bearer is FeeBearer.PATIENT else aud(0)
    assert amount_of(charged, "aud") == before + extra


@pytest.mark.parametrize("name", ["free", "Growth", " PRO ", "enterprise"])
def test_a_tier_is_found_by_its_name(name: str) -> None:
    """In any case; the default of a location is one of them."""
    assert tier_named(name).name.lower() == name.strip().lower()
    assert tier_named(BillingPolicy().platform_tier) is DEFAULT_TIERS["free"]


def test_a_better_tier_is_never_dearer() -> None:
    """Which is what its subscription pays for."""
    rates = [(tier.membership_percent, tier.other_percent) for tier in DEFAULT_TIERS.values()]

    assert [name for name, _ in rates] == sorted((name for name, _ in rates), reverse=True)
    assert [other for _, other in rates] == sorted((other for _, other in rates), reverse=True)


def test_a_tier_that_nobody_knows_is_refused() -> None:
    """With the names of those that exist; a tier from the settings is checked as data."""
    with pytest.raises(DomainError, match="choose one of free, growth, pro, enterprise"):
        tier_named("gold")
    with pytest.raises(ValidationError):
        Tier.model_validate({"name": "Gold", "membership_percent": "101", "other_percent": "1"})
