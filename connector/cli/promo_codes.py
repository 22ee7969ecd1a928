"""`connector promo-codes`: discounts that people enter when they sign up."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

import click

from connector.billing.offers.plan_terms import decimal_text
from connector.billing.prices.pricing import PromoScope, PromoTerms, percent_text
from connector.cli.context import actor, find_location, opened
from connector.cli.counts import COUNT
from connector.cli.dates import DAY
from connector.cli.output import json_option, print_json, print_table
from connector.errors import DomainError
from connector.money import Money
from connector.use_cases.plans.promo_codes import (
    PromoLine,
    add_promo_code,
    end_promo_code,
    list_promo_codes,
    normal_code,
)

_PERCENT = re.compile(r"(-?[0-9]{1,9}(?:\.[0-9]{1,9})?)%?", re.ASCII)


@click.group("promo-codes")
def promo_codes() -> None:
    """Codes that take a percentage or an amount off, entered at sign-up."""


@promo_codes.command("add")
@click.argument("code")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--percent", help="Off each person's part, e.g. 20 or 12.5.")
@click.option("--amount", help="Off the household's invoice, e.g. 10.00.")
@click.option(
    "--scope",
    type=click.Choice([scope.value for scope in PromoScope]),
    default=PromoScope.BOTH.value,
    show_default=True,
    help="What it reduces: the join fee, the recurring price, or both.",
)
@click.option("--periods", type=COUNT, help="How many periods it lasts.  [default: 1]")
@click.option("--forever", is_flag=True, help="It lasts as long as the membership.")
@click.option("--opens", type=DAY, help="First day on which it can be entered.")
@click.option("--closes", type=DAY, help="Last day on which it can be entered.")
@click.option("--max-uses", type=COUNT, help="How many memberships may use it.")
@click.option("--plan", "plans", multiple=True, help="Only for this plan; repeat for several.")
@click.option("--campaign", default="", help="What it was made for, for your own reports.")
@json_option
def add(
    code: str,
    slug: str,
    percent: str | None,
    amount: str | None,
    scope: str,
    periods: int | None,
    forever: bool,
    opens: datetime | None,
    closes: datetime | None,
    max_uses: int | None,
    plans: tuple[str, ...],
    campaign: str,
    as_json: bool,
) -> None:
    """Add CODE; capital and small letters are the same."""
    if forever and periods is not None:
        raise click.UsageError("Give --periods or --forever, not both.")
    with opened() as context:
        currency = find_location(context, slug).currency
        terms = PromoTerms(
            code=normal_code(code),
            percent=None if percent is None else _percent(percent),
            amount_cents=None if amount is None else Money.parse(amount, currency).cents,
            scope=PromoScope(scope),
            periods=None if forever else periods if periods is not None else 1,
            opens=opens and opens.date(),
            closes=closes and closes.date(),
            max_uses=max_uses,
        )
        promo_id = add_promo_code(
            context, location_slug=slug, terms=terms, actor=actor(), plans=plans, campaign=campaign
        )
    if as_json:
        print_json({"id": promo_id, "code": terms.code})
    else:
        click.echo(f"The promo code {terms.code} is added.")


@promo_codes.command("list")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@json_option
def list_all(slug: str, as_json: bool) -> None:
    """List the codes of a location: what they give, how often they were used, and whether they can be."""
    with opened() as context:
        lines = list_promo_codes(context, find_location(context, slug))
    if as_json:
        print_json([_document(line) for line in lines])
        return
    columns = ("Code", "Off", "Of", "Periods", "Days", "Plans", "Campaign", "Used", "State")
    rows = [
        (
            line.terms.code,
            _reduction(line.terms),
            line.terms.scope.value,
            line.terms.periods or "all",
            f"{line.terms.opens or ''} to {line.terms.closes or ''}".strip() if _window(line.terms) else "any",
            ", ".join(line.plans) or "all",
            line.campaign,
            f"{line.used} of {line.terms.max_uses}" if line.terms.max_uses else line.used,
            line.state.value,
        )
        for line in lines
    ]
    print_table(f"Promo codes of {slug}", columns, rows, right=(1, 3))


@promo_codes.command("end")
@click.argument("code")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@json_option
def end(code: str, slug: str, as_json: bool) -> None:
    """Let nobody enter CODE any more; whoever has it keeps it."""
    with opened() as context:
        end_promo_code(context, location_slug=slug, code=code, actor=actor())
    if as_json:
        print_json({"code": normal_code(code), "ended": True})
    else:
        click.echo(f"The promo code {normal_code(code)} has ended.")


def _percent(text: str) -> Decimal:
    found = _PERCENT.fullmatch(text.strip())
    if found is None:
        raise DomainError(f"{text[:20]!r} is not a percentage: write it like 20 or 12.5.")
    return Decimal(found[1])


def _reduction(terms: PromoTerms) -> str:
    return percent_text(terms.percent) if terms.percent is not None else decimal_text(terms.amount_cents or 0)


def _window(terms: PromoTerms) -> bool:
    return terms.opens is not None or terms.closes is not None


def _document(line: PromoLine) -> dict[str, object]:
    terms = line.terms
    return {
        "code": terms.code,
        "percent": None if terms.percent is None else str(terms.percent),
        "amount_cents": terms.amount_cents,
        "scope": terms.scope.value,
        "periods": terms.periods,
        "opens": terms.opens,
        "closes": terms.closes,
        "max_uses": terms.max_uses,
        "used": line.used,
        "plans": line.plans,
        "campaign": line.campaign,
        "state": line.state.value,
    }
