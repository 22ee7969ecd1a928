"""The terms of a payment plan as they are agreed: how many instalments, from when, and what is refused.

There is no interest, ever. Fees are limited by credit law, which is why staff are warned before they come near.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from connector.billing.agreements.asking import askable_day, chargeable, last_askable
from connector.billing.agreements.payment_plans import PaymentPlanTemplate
from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.policy import BillingPolicy
from connector.errors import DomainError
from connector.money import Money

INSTALMENTS_MAX = 260
"""Five years of weeks."""
FREQUENCIES = (Frequency.WEEKLY, Frequency.FORTNIGHTLY, Frequency.MONTHLY)
_PER_YEAR = {Frequency.WEEKLY: 52, Frequency.FORTNIGHTLY: 26, Frequency.MONTHLY: 12}
_WARN_FROM = Decimal("0.9")


@dataclass(frozen=True, slots=True)
class PlanOffer:
    """What a payer is asked to accept. The deposit is part of the total, the set-up fee is not."""

    total: Money
    deposit: Money
    setup_fee: Money
    count: int
    frequency: Frequency
    first_due: date
    """Of the first instalment; the deposit and the set-up fee are due on acceptance."""

    @property
    def at_acceptance(self) -> Money:
        return self.deposit + self.setup_fee


def instalments_of(months: int, frequency: Frequency) -> int:
    """How many instalments so many months have, rounded half up. Raises DomainError for annual ones."""
    if frequency not in _PER_YEAR:
        raise DomainError("Instalments are weekly, fortnightly or monthly: choose one of them.")
    return (2 * months * _PER_YEAR[frequency] + 12) // 24


def first_instalment(today: date, wanted: date, frequency: Frequency, *, pays_today: bool) -> date:
    """When the first instalment falls due for somebody who accepts today; never together with what is paid today."""
    first = max(today, wanted)
    return due_date(today, frequency, 1) if pays_today and first == today else first


def checked(offer: PlanOffer, policy: BillingPolicy, today: date) -> PlanOffer:
    """The offer, if it can be agreed. Raises DomainError otherwise."""
    chargeable("The total of a payment plan", offer.total)
    if offer.frequency not in FREQUENCIES:
        raise DomainError("Instalments are weekly, fortnightly or monthly: choose one of them.")
    if not 1 <= offer.count <= INSTALMENTS_MAX:
        raise DomainError(f"A payment plan has 1 to {INSTALMENTS_MAX} instalments, not {offer.count}.")
    if offer.deposit.cents < 0 or offer.setup_fee.cents < 0:
        raise DomainError("A deposit or set-up fee cannot be below zero.")
    if offer.deposit.cents >= offer.total.cents:
        raise DomainError("The deposit must be less than the total: take an instant payment instead.")
    if offer.at_acceptance:
        chargeable("What is due on acceptance", offer.at_acceptance)
    smallest = (offer.total - offer.deposit).split(offer.count)[0]
    if smallest.cents < policy.instalment_min_cents:
        least = Money(policy.instalment_min_cents, smallest.currency)
        raise DomainError(
            f"Instalments of {smallest} are too small: the least is {least}, so agree on fewer instalments."
        )
    chargeable("An instalment", smallest)
    askable_day("The first instalment", offer.first_due, today)
    if due_date(offer.first_due, offer.frequency, offer.count - 1) > last_askable(today):
        raise DomainError("The last instalment would be more than ten years away: agree on fewer instalments.")
    return offer


def checked_template(template: PaymentPlanTemplate) -> PaymentPlanTemplate:
    """The template, if plans can be made of it. Raises DomainError otherwise."""
    if not 0 < template.min_total_cents <= template.max_total_cents:
        raise DomainError("The smallest total must be above zero and at most the largest.")
    if not template.months or not template.frequencies:
        raise DomainError("A template needs at least one length in months, e.g. --months 12, and one frequency.")
    counts = [instalments_of(months, Frequency(name)) for months in template.months for name in template.frequencies]
    if min(template.months) < 1 or max(counts) > INSTALMENTS_MAX:
        raise DomainError(f"A plan lasts at least a month and has at most {INSTALMENTS_MAX} instalments.")
    if not 0 <= template.deposit_percent < 100:
        raise DomainError("A deposit is 0 to 99 per cent of the total.")
    if template.setup_fee_cents < 0:
        raise DomainError("A set-up fee cannot be below zero.")
    if not 0 <= template.start_after_days <= 366:
        raise DomainError("The first instalment is due within 0 to 366 days after acceptance.")
    return template


def offer_from(
    template: PaymentPlanTemplate, total: Money, months: int, frequency: Frequency, first_due: date
) -> PlanOffer:
    """The offer that a template makes for a total. Raises DomainError for what it does not allow."""
    least, most = (Money(cents, total.currency) for cents in (template.min_total_cents, template.max_total_cents))
    if not least <= total <= most:
        raise DomainError(f"The template {template.name!r} is for totals from {least} to {most}, not for {total}.")
    if months not in template.months:
        allowed = ", ".join(str(length) for length in template.months)
        raise DomainError(f"The template {template.name!r} does not have {months} months: choose one of {allowed}.")
    if frequency.value not in template.frequencies:
        allowed = ", ".join(template.frequencies)
        raise DomainError(f"The template {template.name!r} is not {frequency.value}: choose one of {allowed}.")
    deposit = total.percent(Decimal(template.deposit_percent))
    fee = Money(template.setup_fee_cents, total.currency)
    return PlanOffer(total, deposit, fee, instalments_of(months, frequency), frequency, first_due)


def fee_warning(fees_of_year: Money, policy: BillingPolicy) -> str | None:
    """What staff are told when a payer's fees of one year come within a tenth of the limit that the practice set.

    Buy-now-pay-later credit with higher fees needs a licence (Treasury Laws Amendment (Responsible Buy Now Pay Later)
    Act 2024, in force from 10 June 2025).
    """
    limit = Money(policy.credit_fee_warning_cents, fees_of_year.currency)
    if not limit or not fees_of_year or fees_of_year.cents < limit.cents * _WARN_FROM:
        return None
    return (
        f"The set-up fees of this payer's first year come to {fees_of_year}, near or above the {limit} that you set as "
        "a warning: higher fees may need a credit licence. This is not legal advice; ask somebody who can give it."
    )
