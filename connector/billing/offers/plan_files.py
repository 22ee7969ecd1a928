"""A plan's terms as a TOML document that a practice edits by hand, and the three documents that it may start from.

Amounts are written in whole currency ('29.90'), never in cents; they are read as decimals and never become floats.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from importlib.resources import files

from connector.billing.offers.plan_terms import PlanTerms, decimal_text, terms_of
from connector.errors import DomainError
from connector.money import Money

STARTERS = ("essential", "comprehensive", "premium")
DOCUMENT_MAX = 200_000
"""Characters; whatever is longer is no plan."""

_HEADING = """\
# Amounts are in whole currency, like "29.90". Dates are like 2027-01-31. annual_quantity = 0 means unlimited.
# All but the prices may be left out; lock_in_months, min_age, max_age, offered_from and offered_until may be added.
# tax_code is gst_free (dental care) or gst (10 % GST is inside the amounts).

"""
_OPTIONAL = ("lock_in_months", "min_age", "max_age", "offered_from", "offered_until")


def parse(text: str) -> PlanTerms:
    """Read a plan document. Raises DomainError that names the line (what is no TOML) or the field (what cannot be)."""
    if len(text) > DOCUMENT_MAX:
        raise DomainError(f"A plan document has at most {DOCUMENT_MAX:,} characters: this is another file.")
    try:
        document = tomllib.loads(text.removeprefix("\ufeff"), parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise DomainError(f"The plan document cannot be read: {str(error).rstrip('.')}.") from None
    except (ValueError, ArithmeticError, RecursionError):
        raise DomainError("The plan document holds a number or a nesting beyond all limits: correct it.") from None
    if "setup_fee_cents" in document:
        raise DomainError('setup_fee_cents is not a setting of a plan: write setup_fee = "25.00".')
    if "setup_fee" in document:
        document["setup_fee_cents"] = _cents("setup_fee", document.pop("setup_fee"))
    prices = document.get("prices")
    if isinstance(prices, dict):
        document["prices"] = {key: _cents(f"prices.{key}", amount) for key, amount in prices.items()}
    return terms_of(document)


def write(terms: PlanTerms) -> str:
    """The document of a plan, which `parse` reads back as the same terms; what does not apply is left out."""
    stored = terms.model_dump()
    head: dict[str, object] = {"description": terms.description, "setup_fee": decimal_text(terms.setup_fee_cents)}
    head |= {name: stored[name] for name in _OPTIONAL if stored[name] is not None}
    head |= {"tax_code": terms.tax_code.value, "terms": terms.terms}
    prices = {frequency.value: decimal_text(cents) for frequency, cents in terms.prices.items()}
    lines = [*_assignments(head), "", "[prices]", *_assignments(prices)]
    for benefit in terms.benefits:
        lines += ["", "[[benefits]]", *_assignments(benefit.model_dump())]
    for category, discount in terms.discounts.items():
        lines += ["", f"[discounts.{category}]", *_assignments(discount.model_dump())]
    return _HEADING + "\n".join(lines) + "\n"


def starter(name: str) -> PlanTerms:
    """One of the plans that a new location starts with. Raises DomainError for a name that is not in STARTERS."""
    if name not in STARTERS:
        raise DomainError(f"There is no starter plan {name[:40]!r}: choose one of {', '.join(STARTERS)}.")
    document = files("connector.billing.offers").joinpath("starter_plans", f"{name}.toml")
    return parse(document.read_text(encoding="utf-8"))


def _cents(field: str, amount: object) -> int:
    """Cents of an amount; a document names no currency, so only the number counts."""
    if isinstance(amount, bool) or not isinstance(amount, (str, int, Decimal)):
        raise DomainError(f'{field} must be an amount like "29.90".')
    try:
        return Money.parse(str(amount), "aud").cents
    except DomainError as error:
        raise DomainError(f"{field}: {error}") from None


def _assignments(values: Mapping[str, object]) -> Iterator[str]:
    return (f"{name} = {_value(value)}" for name, value in values.items())


def _value(value: object) -> str:
    """A value in TOML. JSON's escapes are valid in TOML's strings; only line breaks are shown as such."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Decimal():
            return f"{value.normalize():f}"
        case date():
            return value.isoformat()
        case tuple():
            return f"[{', '.join(_value(part) for part in value)}]"
        case _:
            lines = [json.dumps(line, ensure_ascii=False)[1:-1] for line in str(value).split("\n")]
            return f'"{lines[0]}"' if len(lines) == 1 else '"""\n' + "\n".join(lines) + '"""'
