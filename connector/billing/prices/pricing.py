"""What one period of a household costs, line by line, and which discounts take part in it.

Discounts are worked out on each person's recurring price, rounded half up per line, and never make anybody's part
negative. Dropping out of a discount re-prices the next period, never an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.offers.plan_terms import TaxCode
from connector.billing.policy import BillingPolicy
from connector.errors import DomainError
from connector.money import CENTS_MAX, Money, total

CHARGE_MIN_CENTS = 50
"""Stripe's smallest charge; a period that costs less is waived."""


class LineKind(StrEnum):
    """What a line of an invoice is for, in the order in which lines are printed."""

    PLAN = "plan"
    SETUP_FEE = "setup_fee"
    DEPENDENTS_DISCOUNT = "dependents_discount"
    REFERRAL_DISCOUNT = "referral_discount"
    PROMO_DISCOUNT = "promo_discount"
    PLATFORM_FEE = "platform_fee"
    INSTALMENT = "instalment"
    DEPOSIT = "deposit"
    INSTANT = "instant"
    HOLD = "hold"
    EXIT_FEE = "exit_fee"
    WAIVED = "waived"


class Position(StrEnum):
    """A person's place in the household; the holder pays for all."""

    HOLDER = "holder"
    DEPENDENT = "dependent"


class PromoScope(StrEnum):
    """What a promo code reduces."""

    JOIN = "join"
    RECURRING = "recurring"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class CoveredPerson:
    """A member whom the period covers."""

    member_id: str
    position: Position
    plan_name: str
    price: Money
    """Of the plan for one period."""
    setup_fee: Money
    """Zero unless it is charged with this period."""
    tax_code: TaxCode = TaxCode.GST_FREE
    plan_id: str = ""
    """Which promo codes that are for certain plans ask for."""

    def __post_init__(self) -> None:
        if self.price.cents < 0 or self.setup_fee.cents < 0:
            raise ValueError("A price is never negative.")


@dataclass(frozen=True, slots=True)
class Promo:
    """The reduction of a promo code: either a percentage of each person's part, or an amount for the household."""

    code: str
    percent: Decimal | None
    amount: Money | None
    scope: PromoScope
    plan_ids: frozenset[str] = frozenset()
    """Only who is on one of these plans is reduced; empty: everybody."""

    def __post_init__(self) -> None:
        if (self.percent is None) == (self.amount is None):
            raise ValueError("A promo has either a percentage or an amount.")


@dataclass(frozen=True, slots=True)
class PricedLine:
    """One line of an invoice; discounts are negative. Without a member it belongs to nobody's patient record."""

    kind: LineKind
    member_id: str | None
    description: str
    amount: Money
    tax_code: TaxCode
    gst: Money | None = None
    """Contained in the amount, where it is not the eleventh that the tax code says."""


@dataclass(slots=True)
class _Part:
    """A person's part of the period while it is being worked out."""

    person: CoveredPerson
    plan: Money
    setup: Money
    rate: Decimal = Decimal(0)
    """Of the discounts so far."""
    lines: list[PricedLine] = field(default_factory=list)

    def add(self, kind: LineKind, description: str, amount: Money) -> None:
        self.lines.append(PricedLine(kind, self.person.member_id, description, amount, self.person.tax_code))

    def discount(self, kind: LineKind, name: str, rate: Decimal) -> None:
        """Take a percentage of the full price off the plan; together no more than 100 %, and no more than is left."""
        granted = min(rate, 100 - self.rate)
        amount = min(self.person.price.percent(granted), self.plan)
        if amount:
            self.rate += granted
            self.plan -= amount
            self.add(kind, f"{name} {percent_text(granted)}", -amount)


def price_period(
    people: Sequence[CoveredPerson],
    *,
    policy: BillingPolicy,
    active_referrals: int = 0,
    referred: bool = False,
    promo: Promo | None = None,
) -> tuple[PricedLine, ...]:
    """The lines of one period, by kind and with the holder first; their sum is what is charged, and never negative.

    The rates of the Dependent and Referral Programs are the policy's: the holder gets the former for each dependent
    and the latter for each active referral and for having been referred; each dependent gets the former on the own fee.
    """
    ids = [person.member_id for person in people]
    holders = [person for person in people if person.position is Position.HOLDER]
    if len(set(ids)) < len(ids) or len(holders) > 1:
        raise ValueError("A period covers every person once, and at most one holder.")
    dependents = len(people) - len(holders)
    referral_rate = policy.referral_discount_percent * (active_referrals + referred)
    parts = []
    for person in sorted(people, key=lambda person: person.position is not Position.HOLDER):
        part = _Part(person, person.price, person.setup_fee)
        holds = person.position is Position.HOLDER
        part.add(LineKind.PLAN, f"{person.plan_name} ({'account holder' if holds else 'dependent'})", person.price)
        if person.setup_fee:
            part.add(LineKind.SETUP_FEE, "Join fee", person.setup_fee)
        rate = policy.dependent_discount_percent * (dependents if holds else 1)
        part.discount(LineKind.DEPENDENTS_DISCOUNT, "Dependents discount", rate)
        if holds:
            part.discount(LineKind.REFERRAL_DISCOUNT, "Referral discount", referral_rate)
        parts.append(part)
    if promo:
        _reduce([part for part in parts if not promo.plan_ids or part.person.plan_id in promo.plan_ids], promo)
    _waive_what_is_too_small(parts)
    order = list(LineKind)
    return tuple(sorted((line for part in parts for line in part.lines), key=lambda line: order.index(line.kind)))


def _reduce(parts: Iterable[_Part], promo: Promo) -> None:
    """Take the promo off what is left; an amount is used up by the holder first, then by the dependents in order."""
    budget = promo.amount
    for part in parts:
        nothing = Money.zero(part.plan.currency)
        plan = nothing if promo.scope is PromoScope.JOIN else part.plan
        setup = nothing if promo.scope is PromoScope.RECURRING else part.setup
        base = plan + setup
        if budget is None:
            amount = min(base.percent(promo.percent or Decimal(0)), base)
        else:
            amount = min(base, budget)
            budget -= amount
        if amount:
            from_plan = min(plan, amount)
            part.plan -= from_plan
            part.setup -= amount - from_plan
            part.add(LineKind.PROMO_DISCOUNT, f"Promo code {promo.code}", -amount)


def _waive_what_is_too_small(parts: Sequence[_Part]) -> None:
    """Stripe refuses a charge below its minimum, so such a rest is given away, to each person what is theirs."""
    if sum((part.plan + part.setup).cents for part in parts) < CHARGE_MIN_CENTS:
        for part in parts:
            if rest := part.plan + part.setup:
                part.add(LineKind.WAIVED, "Waived, too small to charge", -rest)


def amount_of(lines: Iterable[PricedLine], currency: str) -> Money:
    """What the lines add up to."""
    return total((line.amount for line in lines), currency)


def active_referrals(referred: Iterable[tuple[date, bool]], on: date, months: int) -> int:
    """How many referrals count on that day; each is the start of the referred contract and whether it is active.

    A referral counts from that start for so many months.
    """
    return sum(active and start <= on < due_date(start, Frequency.MONTHLY, months) for start, active in referred)


@dataclass(frozen=True, slots=True)
class PromoTerms:
    """The rules of a promo code. Raises DomainError when they do not fit together."""

    code: str
    percent: Decimal | None = None
    amount_cents: int | None = None
    scope: PromoScope = PromoScope.BOTH
    periods: int | None = 1
    """How many periods it reduces, counted from the one it was redeemed for; None: for good."""
    opens: date | None = None
    closes: date | None = None
    """The last day on which it can be redeemed; whoever has redeemed it keeps it."""
    max_uses: int | None = None
    plan_ids: frozenset[str] = frozenset()
    """Empty: every plan of the location."""

    def __post_init__(self) -> None:
        if not self.code or len(self.code) > 40 or not self.code.isprintable() or " " in self.code:
            raise DomainError("A promo code has 1 to 40 characters and no spaces.")
        if (self.percent is None) == (self.amount_cents is None):
            raise DomainError("A promo code takes off either a percentage or an amount: give one of them.")
        if self.percent is not None and not _is_percentage(self.percent):
            raise DomainError("The percentage of a promo code is above 0, at most 100, with at most two decimals.")
        if self.amount_cents is not None and not 0 < self.amount_cents <= CENTS_MAX:
            raise DomainError(f"The amount of a promo code is above zero and at most {CENTS_MAX // 100:,}.99.")
        if self.periods is not None and self.periods < 1:
            raise DomainError("A promo code reduces at least one period: leave the number out for all periods.")
        if self.max_uses is not None and self.max_uses < 1:
            raise DomainError("A promo code can be used at least once: leave the number out for no limit.")
        if self.opens and self.closes and self.closes < self.opens:
            raise DomainError("A promo code cannot close before it opens: correct one of the dates.")

    def promo(self, currency: str) -> Promo:
        """The reduction that it gives."""
        amount = None if self.amount_cents is None else Money(self.amount_cents, currency)
        return Promo(self.code, self.percent, amount, self.scope, self.plan_ids)


def promo_applies(terms: PromoTerms, periods_since: int) -> bool:
    """Whether it still reduces a period; the one for which it was redeemed is number 0, the next one is 1."""
    return periods_since >= 0 and (terms.periods is None or periods_since < terms.periods)


class CodeOfNoUse(DomainError):
    """A promo code that nobody can redeem now, or that there is not."""


def redeemable(terms: PromoTerms | None, today: date, used: int, plan_id: str) -> None:
    """Check that a code (None: there is none such) can be redeemed now. Raises DomainError when it cannot."""
    if terms is None:
        raise CodeOfNoUse("This promo code is not known: check its spelling.")
    if terms.opens and today < terms.opens:
        raise CodeOfNoUse(f"This promo code cannot be used before {terms.opens:%d/%m/%Y}: try again then.")
    if terms.closes and today > terms.closes:
        raise CodeOfNoUse(f"This promo code ended on {terms.closes:%d/%m/%Y}: continue without it.")
    if terms.max_uses is not None and used >= terms.max_uses:
        raise CodeOfNoUse("This promo code is used up: continue without it.")
    if terms.plan_ids and plan_id not in terms.plan_ids:
        raise DomainError("This promo code is not for the chosen plan: choose another plan or continue without it.")


def _is_percentage(rate: Decimal) -> bool:
    return rate.is_finite() and 0 < rate <= 100 and rate == round(rate, 2)


def percent_text(rate: Decimal) -> str:
    """A percentage without needless zeros, e.g. '12.5%'."""
    return f"{rate.normalize():f}%"
