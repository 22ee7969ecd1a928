"""What a membership plan offers, as one value that is checked as a whole and kept as one JSON document.

A plan's name is not part of its terms. Terms are never edited: a plan gets new ones, and `changes` tells what differs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from connector.billing.agreements.asking import SMALLEST_CHARGE_CENTS
from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.intake.card_numbers import without_card_number
from connector.billing.policy import Percent
from connector.errors import DomainError
from connector.money import CENTS_MAX
from connector.phrases import phrase


class TaxCode(StrEnum):
    """How an amount is taxed. Dental care by a recognised professional is GST-free (GST Act, s 38-10)."""

    GST_FREE = "gst_free"
    GST = "gst"
    """Taxable, with 10 % GST inside the amount; only the platform fee states a GST of its own."""


class DiscountCategory(StrEnum):
    """The kinds of treatment on which a plan may give a discount: fixed, in this order."""

    DIAGNOSTIC = "diagnostic"
    PREVENTIVE = "preventive"
    PERIODONTICS = "periodontics"
    ORAL_SURGERY = "oral_surgery"
    ENDODONTICS = "endodontics"
    RESTORATIVE = "restorative"
    PROSTHODONTICS = "prosthodontics"
    ORTHODONTICS = "orthodontics"
    GENERAL = "general"
    MISCELLANEOUS = "miscellaneous"

    @property
    def label(self) -> str:
        """As it is printed, e.g. 'Oral Surgery'."""
        if self is DiscountCategory.PREVENTIVE:
            return "Preventive, Prophylactic and Bleaching"
        return self.value.replace("_", " ").title()


def _plain(text: str) -> str:
    """Line ends are unified. Control characters have no place on a contract, and databases refuse some of them."""
    unified = text.replace("\r\n", "\n")
    if any(unicodedata.category(character) == "Cc" and character not in "\n\t" for character in unified):
        raise ValueError("contains a control character: type the text again")
    return unified


def _one_line(text: str) -> str:
    if "\n" in text or "\t" in text:
        raise ValueError("must be on one line")
    return text


def _day(value: object) -> object:
    """Dates only: a bare number would be taken for seconds since 1970."""
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a date like 2027-01-31") from None


def _hundredths(percent: Decimal) -> Decimal:
    """One spelling for each number; adding zero takes the sign from -0."""
    return percent.quantize(Decimal("0.01")) + 0


Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), AfterValidator(_plain)]
LongText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=5_000), AfterValidator(_plain)]
Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(_plain),
    AfterValidator(_one_line),
]
Code = Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, pattern=r"^[0-9A-Za-z.]{1,15}$")]
Day = Annotated[date, Strict(), BeforeValidator(_day)]
Months = Annotated[int, Strict(), Field(ge=0, le=120)]
Age = Annotated[int, Strict(), Field(ge=0, le=130)]
PriceCents = Annotated[int, Strict(), Field(gt=0, le=CENTS_MAX)]
FeeCents = Annotated[int, Strict(), Field(ge=0, le=CENTS_MAX)]
DiscountPercent = Annotated[Percent, AfterValidator(_hundredths)]
Flag = Annotated[bool, Strict()]


class _Terms(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


NO_TERM = "No term."
"""What stands in place of a benefit's own terms; nobody need read it."""


class Benefit(_Terms):
    """A service that is included in the price. Several codes are alternatives: each use of any of them counts."""

    title: Title
    annual_quantity: Annotated[int, Strict(), Field(ge=0, le=999)]
    """How often in a benefit year; 0 means without limit."""
    waiting_months: Months = 0
    """After the start of the contract."""
    procedure_codes: tuple[Code, ...] = ()
    """Items of the practice system by which use is counted, e.g. the ADA item '012'."""
    terms: Text = NO_TERM


class ServiceDiscount(_Terms):
    """What members pay less for one kind of treatment. Shown to them only when included and above zero."""

    percent: DiscountPercent = Decimal("0.00")
    included: Flag = False
    note: Text = ""

    @property
    def shown(self) -> bool:
        return self.included and self.percent > 0


class PlanTerms(_Terms):
    """The terms of a plan; amounts are cents of the location's currency, dates are local. Made by `terms_of`."""

    description: Text = ""
    prices: Annotated[Mapping[Frequency, PriceCents], Field(min_length=1)]
    setup_fee_cents: FeeCents = 0
    """Charged once for each person who joins."""
    benefits: Annotated[tuple[Benefit, ...], Field(max_length=100)] = ()
    discounts: Mapping[DiscountCategory, ServiceDiscount] = Field(default_factory=dict, validate_default=True)
    """All ten, in their fixed order; those that were not given are zero."""
    lock_in_months: Months = 0
    min_age: Age | None = None
    max_age: Age | None = None
    """Still admitted; None leaves the range open."""
    offered_from: Day | None = None
    offered_until: Day | None = None
    """The last day of sign-ups; who is in stays in."""
    terms: LongText = ""
    tax_code: TaxCode = TaxCode.GST_FREE

    @field_validator("prices")
    @classmethod
    def _in_order(cls, prices: Mapping[Frequency, int]) -> Mapping[Frequency, int]:
        return {frequency: prices[frequency] for frequency in Frequency if frequency in prices}

    @field_validator("discounts")
    @classmethod
    def _complete(cls, given: Mapping[DiscountCategory, ServiceDiscount]) -> Mapping[DiscountCategory, ServiceDiscount]:
        return {category: given.get(category, ServiceDiscount()) for category in DiscountCategory}

    @field_validator("benefits")
    @classmethod
    def _distinct(cls, benefits: tuple[Benefit, ...]) -> tuple[Benefit, ...]:
        """One use must count against one benefit, so no code may belong to two of them."""
        titles = [benefit.title.casefold() for benefit in benefits]
        if len(set(titles)) < len(titles):
            raise ValueError("have the same title twice: rename one of them")
        codes = [code for benefit in benefits for code in benefit.procedure_codes]
        twice = sorted({code for code in codes if codes.count(code) > 1})
        if twice:
            raise ValueError(f"count the procedure code {twice[0]} twice: leave it in one place")
        return benefits

    @model_validator(mode="after")
    def _consistent(self) -> PlanTerms:
        if self.min_age is not None and self.max_age is not None and self.max_age < self.min_age:
            raise ValueError("max_age is below min_age: correct one of them")
        if self.offered_from and self.offered_until and self.offered_until < self.offered_from:
            raise ValueError("offered_until is before offered_from: correct one of them")
        return self


_PHRASES = {
    "extra_forbidden": "is not a setting of a plan: remove it or check its spelling",
    "string_pattern_mismatch": "must be 1 to 15 letters, digits or points",
    "too_short": "are missing: give at least one, e.g. monthly",
}
"""What is said otherwise than everywhere."""


def terms_of(document: Mapping[str, Any]) -> PlanTerms:
    """The terms from their JSON document. Raises DomainError, naming the first field that cannot be used and why.

    A card number is refused in any of the texts.
    """
    try:
        terms = PlanTerms.model_validate(dict(document))
    except ValidationError as error:
        mistake = error.errors(include_url=False)[0]
        raise DomainError(f"{_field(mistake['loc'])} {phrase(mistake, _PHRASES)}.".strip()) from None
    # Only here and not in the model: what is kept must stay readable, whatever it costs and its digits may add up to.
    for frequency, cents in terms.prices.items():
        if cents < SMALLEST_CHARGE_CENTS:
            least = decimal_text(SMALLEST_CHARGE_CENTS)
            raise DomainError(f"prices.{frequency} must be at least {least}: less than that cannot be charged.")
    texts = [terms.description, terms.terms, *(discount.note for discount in terms.discounts.values())]
    of_benefits = ((benefit.title, benefit.terms, *benefit.procedure_codes) for benefit in terms.benefits)
    without_card_number(*texts, *(text for several in of_benefits for text in several))
    return terms


def _field(location: tuple[int | str, ...]) -> str:
    """A field as people know it: ('benefits', 1, 'title') is 'benefit 2: title'."""
    names = [str(part)[:40].removesuffix("_cents") for part in location if part != "[key]"]
    if len(location) > 1 and location[0] == "benefits" and isinstance(location[1], int):
        place = f"benefit {location[1] + 1}"
        names[:2] = []
        return f"{place}: {'.'.join(names)}" if names else place
    return ".".join(names)


def admits(terms: PlanTerms, birth: date | None, on: date) -> None:
    """Check a person's age on that day against the plan. Raises DomainError, which never tells the age.

    Born on 29 February, a person is a year older on the 28th of a common year.
    """
    if not terms.min_age and terms.max_age is None:
        return
    ages = ages_text(terms)
    if birth is None:
        raise DomainError(f"This plan is for ages {ages}: enter the date of birth first.")
    if birth > on:
        raise DomainError("The date of birth is in the future: correct it.")
    years = on.year - birth.year
    age = years - (due_date(birth, Frequency.ANNUALLY, years) > on)
    if age < (terms.min_age or 0) or (terms.max_age is not None and age > terms.max_age):
        raise DomainError(f"This plan is for ages {ages}: choose another plan.")


def offered_on(terms: PlanTerms, day: date) -> bool:
    """Whether people may sign up on that day; both limits are included."""
    return (terms.offered_from or day) <= day <= (terms.offered_until or day)


def decimal_text(cents: int) -> str:
    """Cents, not negative, as '29.90': the form in which people read and write amounts."""
    return f"{cents // 100}.{cents % 100:02d}"


def changes(old: PlanTerms, new: PlanTerms, only: Frequency | None = None) -> list[str]:
    """What a member would notice, one line each, e.g. 'price monthly 29.90 -> 31.90'; long texts only as changed.

    `only`: how often the member pays, so that prices that mean nothing to them are left out.
    """
    before, after = _facts(old, only), _facts(new, only)
    found = [
        f"{name} {before.get(name, 'none')} -> {after.get(name, 'none')}"
        for name in (before | after)
        if before.get(name) != after.get(name)
    ]
    was, now = _texts(old), _texts(new)
    return found + [f"{name} changed" for name, text in now.items() if was.get(name, text) != text]


def _facts(terms: PlanTerms, only: Frequency | None) -> dict[str, str]:
    """The short facts by their names; what is not offered has no entry."""
    prices = {frequency: cents for frequency, cents in terms.prices.items() if only in (None, frequency)}
    facts = {f"price {frequency}": decimal_text(cents) for frequency, cents in prices.items()}
    facts["setup fee"] = decimal_text(terms.setup_fee_cents)
    for benefit in terms.benefits:
        quantity = f"{benefit.annual_quantity} a year" if benefit.annual_quantity else "unlimited"
        waiting = f", {waiting_text(benefit)}" if benefit.waiting_months else ""
        codes = f" ({', '.join(benefit.procedure_codes)})" if benefit.procedure_codes else ""
        facts[f"benefit {benefit.title}"] = quantity + waiting + codes
    for category, discount in terms.discounts.items():
        if discount.shown:
            facts[f"discount {category.label}"] = f"{discount.percent.normalize():f}%"
    facts["lock-in months"] = str(terms.lock_in_months)
    facts["ages"] = ages_text(terms)
    facts["offered from"] = str(terms.offered_from or "any day")
    facts["offered until"] = str(terms.offered_until or "any day")
    facts["tax"] = terms.tax_code.value
    return facts


def _texts(terms: PlanTerms) -> dict[str, str]:
    shown = {category.label: discount for category, discount in terms.discounts.items() if discount.shown}
    texts = {"description": terms.description, "terms": terms.terms}
    texts |= {f"terms of benefit {benefit.title}": benefit.terms for benefit in terms.benefits}
    return texts | {f"note on {label}": discount.note for label, discount in shown.items()}


def months_text(count: int) -> str:
    """E.g. '1 month' or '12 months'."""
    return "1 month" if count == 1 else f"{count} months"


def waiting_text(benefit: Benefit) -> str:
    """From when the benefit may be used, e.g. 'after 2 months'."""
    return f"after {months_text(benefit.waiting_months)}" if benefit.waiting_months else "at once"


def ages_text(terms: PlanTerms) -> str:
    """Whom the plan admits, e.g. '18 and over' or '0 to 12'; 'any' for everybody."""
    if terms.max_age is None:
        return f"{terms.min_age} and over" if terms.min_age else "any"
    return f"{terms.min_age or 0} to {terms.max_age}"
