"""`connector plans`: add and list the membership plans of a location."""

from __future__ import annotations

import click
from sqlalchemy import select

from connector.billing.plans import MembershipPlan
from connector.billing.schedule import Frequency
from connector.cli.context import find_location, opened
from connector.cli.output import dollars, json_option, print_json, print_table
from connector.use_cases.set_up_location import add_plan


@click.group()
def plans() -> None:
    """The membership plans that a location sells."""


@plans.command("add")
@click.argument("name")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option(
    "--price", multiple=True, metavar="FREQUENCY=AMOUNT", help="E.g. monthly=29.90; repeat for each frequency."
)
@json_option
def add(name: str, slug: str, price: tuple[str, ...], as_json: bool) -> None:
    """Add the plan NAME."""
    prices = dict(_price(text) for text in price)
    with opened() as context:
        plan_id = add_plan(context, location_slug=slug, name=name, prices=prices)
    if as_json:
        print_json({"id": plan_id, "name": name})
    else:
        click.echo(f"Plan {name} is added.")


@plans.command("list")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@json_option
def list_all(slug: str, as_json: bool) -> None:
    """List the plans of a location with their prices."""
    with opened() as context:
        location = find_location(context, slug)
        with context.database.read() as session:
            query = (
                select(MembershipPlan).where(MembershipPlan.location_id == location.id).order_by(MembershipPlan.name)
            )
            found = session.scalars(query).all()
    if as_json:
        print_json(
            [{"name": plan.name, "prices": {p.frequency: p.amount_cents for p in plan.prices}} for plan in found]
        )
    else:
        rows = [(p.name, ", ".join(f"{q.frequency} {dollars(q.amount_cents)}" for q in p.prices)) for p in found]
        print_table(f"Plans of {slug}", ("Plan", "Prices"), rows)


def _price(text: str) -> tuple[Frequency, str]:
    name, _, amount = text.partition("=")
    try:
        return Frequency(name), amount
    except ValueError:
        known = ", ".join(Frequency)
        raise click.BadParameter(f"{name!r} is not a frequency: use one of {known}.", param_hint="--price") from None
