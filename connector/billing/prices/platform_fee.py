"""What the platform takes for a transaction, by tier and kind of payment, and the GST inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from connector.billing.offers.plan_terms import TaxCode
from connector.billing.policy import FeeBearer, Percent
from connector.billing.prices.pricing import LineKind, PricedLine, percent_text
from connector.errors import DomainError
from connector.money import Money, total


class FeeCategory(StrEnum):
    """Which of a tier's two rates applies."""

    MEMBERSHIP = "membership"
    OTHER = "other"


class Tier(BaseModel):
    """The rates of a tier, in per cent of a transaction."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=40)]
    membership_percent: Percent
    other_percent: Percent
    gst_percent: Percent = Decimal(6)
    """Of the fee, as the platform states it. It is never derived as an eleventh: not all of the fee is taxable."""

    def rate(self, category: FeeCategory) -> Decimal:
        return self.membership_percent if category is FeeCategory.MEMBERSHIP else self.other_percent


def _tier(name: str, membership: str, other: str) -> Tier:
    return Tier(name=name, membership_percent=Decimal(membership), other_percent=Decimal(other))


# Placeholders: the rates that hold are those of the practice's contract with the platform, set in the settings.
DEFAULT_TIERS: Mapping[str, Tier] = {
    "free": _tier("Free", "5.00", "3.50"),
    "growth": _tier("Growth", "3.50", "2.75"),
    "pro": _tier("Pro", "2.50", "2.25"),
    "enterprise": _tier("Enterprise", "1.75", "1.75"),
}


def tier_named(name: str, tiers: Mapping[str, Tier] = DEFAULT_TIERS) -> Tier:
    """The tier of that name in any case. Raises DomainError when there is none."""
    tier = tiers.get(name.strip().lower())
    if tier is None:
        raise DomainError(f"There is no tier {name[:40]!r}: choose one of {', '.join(tiers)}.")
    return tier


@dataclass(frozen=True, slots=True)
class PlatformFee:
    """The fee of one transaction."""

    amount: Money
    """GST included."""
    gst: Money
    """The GST contained in the amount; kept with it, because it cannot be worked out from the amount alone."""
    percent: Decimal


def fee(tier: Tier, category: FeeCategory, base: Money) -> PlatformFee:
    """The fee on a transaction of that amount. Raises ValueError for a negative one."""
    if base.cents < 0:
        raise ValueError("A fee is taken of what is paid, which is never negative.")
    rate = tier.rate(category)
    amount = base.percent(rate)
    return PlatformFee(amount, amount.percent(tier.gst_percent), rate)


def effective_bearer(now: FeeBearer, agreed: FeeBearer | None) -> FeeBearer:
    """Who bears the fee of an agreement, by what the location says now and what it said when the payer agreed.

    What was agreed never becomes dearer, so the patient bears it only where both say so. Without an agreement, or one
    from before that was kept (None), the location decides.
    """
    return FeeBearer.PRACTICE if agreed is FeeBearer.PRACTICE else now


def with_fee(
    lines: Sequence[PricedLine], tier: Tier, category: FeeCategory, bearer: FeeBearer, currency: str
) -> tuple[tuple[PricedLine, ...], PlatformFee]:
    """The lines of an invoice, with the fee on top as a line of its own when the patient bears it, and the fee itself.

    The fee is taken of the sum of the lines; what costs nothing bears none. Raises ValueError for a second fee.
    """
    if any(line.kind is LineKind.PLATFORM_FEE for line in lines):
        raise ValueError("The lines bear the platform fee already.")
    found = fee(tier, category, total((line.amount for line in lines), currency))
    if bearer is FeeBearer.PRACTICE or not found.amount:
        return tuple(lines), found
    text = f"SmilePass fee {percent_text(found.percent)}"
    return (*lines, PricedLine(LineKind.PLATFORM_FEE, None, text, found.amount, TaxCode.GST, found.gst)), found
