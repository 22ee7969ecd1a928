"""`connector plans`: the membership plans that a location sells, in versions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from connector.billing.agreements.schedule import Frequency
from connector.billing.offers.plan_files import DOCUMENT_MAX, STARTERS, parse, starter, write
from connector.billing.offers.plan_terms import PlanTerms
from connector.cli.context import actor, find_location, opened
from connector.cli.counts import Count
from connector.cli.output import dollars, json_option, print_json, print_table, visible
from connector.cli.plan_migration import location_option, migrate, preview
from connector.errors import DomainError
from connector.files import NotAnOrdinaryFile, open_ordinary
from connector.use_cases.plans.edit_plan import archive_plan, edit_plan, restore_plan
from connector.use_cases.plans.list_plans import find_version, list_plans
from connector.use_cases.practice.set_up_location import add_plan, prices_only

DOCUMENT = click.Path(exists=True, dir_okay=False, path_type=Path)
closed_option = click.option(
    "--closed", is_flag=True, help="Also when its days of sign-up have passed: for members who are on it already."
)


@click.group()
def plans() -> None:
    """The membership plans that a location sells."""


plans.add_command(preview)
plans.add_command(migrate)


@plans.command("template")
@click.argument("name", type=click.Choice(STARTERS))
@json_option
def template(name: str, as_json: bool) -> None:
    """Print the TOML document of the starter plan NAME, to be changed and given to `add` or `edit`."""
    document = write(starter(name))
    if as_json:
        print_json({"name": name, "toml": document})
    else:
        click.echo(document, nl=False)


@plans.command("add")
@click.argument("name")
@location_option
@click.option("--file", type=DOCUMENT, help="Its terms; `connector plans template` prints a document to begin with.")
@click.option(
    "--price", multiple=True, metavar="FREQUENCY=AMOUNT", help="E.g. monthly=29.90; repeat for each frequency."
)
@closed_option
@json_option
def add(name: str, slug: str, file: Path | None, price: tuple[str, ...], closed: bool, as_json: bool) -> None:
    """Add the plan NAME."""
    if file and price:
        raise click.UsageError("Give --file or --price, not both: the document names the prices.")
    prices = dict(_price(text) for text in price)
    with opened() as context:
        terms = _terms_in(file) if file else prices_only(prices, find_location(context, slug).currency)
        plan_id = add_plan(context, location_slug=slug, name=name, terms=terms, actor=actor(), closed=closed)
    if as_json:
        print_json({"id": plan_id, "name": name})
    else:
        click.echo(f"Plan {name} is added.")


@plans.command("show")
@click.argument("name")
@location_option
@click.option("--version", type=Count(min=1), help="An older version; by default the one that is offered.")
@click.option("--toml", is_flag=True, help="As the document that `edit` takes.")
@json_option
def show(name: str, slug: str, version: int | None, toml: bool, as_json: bool) -> None:
    """Show the terms of the plan NAME."""
    with opened() as context:
        found = find_version(context, find_location(context, slug), name, version)
    terms = found.terms
    if as_json:
        made = {"name": name, "version": found.number, "actor": found.actor, "created_at": found.created_at}
        print_json({**made, "terms": terms.model_dump(mode="json")})
    elif toml:
        click.echo(write(terms), nl=False)
    else:
        print_table(f"{name}, version {found.number}", ("Term", "Value"), _rows(terms))


@plans.command("edit")
@click.argument("name")
@location_option
@click.option("--file", required=True, type=DOCUMENT, help="The new terms; `show --toml` prints the old ones.")
@closed_option
@json_option
def edit(name: str, slug: str, file: Path, closed: bool, as_json: bool) -> None:
    """Give the plan NAME new terms; whoever has signed keeps the old ones until `migrate`."""
    with opened() as context:
        terms = _terms_in(file)
        made = edit_plan(context, location_slug=slug, name=name, terms=terms, actor=actor(), closed=closed)
    if as_json:
        print_json({"name": name, **asdict(made)})
        return
    click.echo(f"Plan {name} has the version {made.version} now:")
    for line in made.differences or ["nothing that a member would notice"]:
        click.echo(f"  {visible(line)}")
    hint = visible(f"`connector plans preview {name} --location {slug}`")
    click.echo(f"Members keep their terms; {hint} shows what the new ones would mean to them.")


@plans.command("list")
@location_option
@json_option
def list_all(slug: str, as_json: bool) -> None:
    """List the plans of a location with their prices and how many people are on them."""
    with opened() as context:
        lines = list_plans(context, find_location(context, slug))
    if as_json:
        print_json(
            [
                {
                    "name": line.name,
                    "version": line.version,
                    "prices": {key.value: cents for key, cents in line.terms.prices.items()},
                    "members": line.members,
                    "archived": line.archived,
                }
                for line in lines
            ]
        )
        return
    rows = [
        (line.name, line.version, _prices(line.terms), line.members, "archived" if line.archived else "")
        for line in lines
    ]
    print_table(f"Plans of {slug}", ("Plan", "Version", "Prices", "Members", "State"), rows, right=(1, 3))


@plans.command("archive")
@click.argument("name")
@location_option
@json_option
def archive(name: str, slug: str, as_json: bool) -> None:
    """Let nobody join the plan NAME any more; its members stay."""
    with opened() as context:
        archive_plan(context, location_slug=slug, name=name, actor=actor())
    _done(name, "is archived: nobody can join it, and its members stay", as_json=as_json, archived=True)


@plans.command("restore")
@click.argument("name")
@location_option
@json_option
def restore(name: str, slug: str, as_json: bool) -> None:
    """Let people join the plan NAME again."""
    with opened() as context:
        restore_plan(context, location_slug=slug, name=name, actor=actor())
    _done(name, "is restored: people can join it again", as_json=as_json, archived=False)


def _rows(terms: PlanTerms) -> list[tuple[str, object]]:
    """The terms that apply, one row each."""
    ages = f"{terms.min_age or 0} to {terms.max_age}" if terms.max_age is not None else f"from {terms.min_age or 0}"
    offered = f"{terms.offered_from or '...'} to {terms.offered_until or '...'}"
    benefits = [
        f"{benefit.title}: {benefit.annual_quantity or 'any number'} a year, waiting {benefit.waiting_months} months"
        for benefit in terms.benefits
    ]
    discounts = [f"{category.label} {found.percent}%" for category, found in terms.discounts.items() if found.shown]
    return [
        ("Description", terms.description),
        ("Prices", _prices(terms)),
        ("Set-up fee", dollars(terms.setup_fee_cents)),
        ("Lock-in", f"{terms.lock_in_months} months"),
        ("Ages", ages),
        ("Sign-ups", offered if terms.offered_from or terms.offered_until else "any day"),
        ("Tax", terms.tax_code.value),
        ("Benefits", benefits or "none"),
        ("Discounts", discounts or "none"),
        ("Terms", terms.terms.split("\n")),
    ]


def _prices(terms: PlanTerms) -> str:
    return ", ".join(f"{frequency} {dollars(cents)}" for frequency, cents in terms.prices.items())


def _done(name: str, what: str, *, as_json: bool, archived: bool) -> None:
    if as_json:
        print_json({"name": name, "archived": archived})
    else:
        click.echo(f"Plan {visible(name)} {what}.")


def _terms_in(file: Path) -> PlanTerms:
    """The plan in a document. Raises DomainError when it cannot be read, or is no plan."""
    try:
        with open_ordinary(file) as stream:
            # A character takes up to four bytes; `parse` refuses what is too long.
            return parse(stream.read(4 * DOCUMENT_MAX + 4).decode("utf-8"))
    except (OSError, NotAnOrdinaryFile, UnicodeDecodeError):
        raise DomainError("The plan document cannot be read: save it as a text file in UTF-8.") from None


def _price(text: str) -> tuple[Frequency, str]:
    name, _, amount = text.partition("=")
    try:
        return Frequency(name), amount
    except ValueError:
        known = ", ".join(Frequency)
        raise click.BadParameter(f"{name!r} is not a frequency: use one of {known}.", param_hint="--price") from None
