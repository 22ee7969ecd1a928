"""`connector payment-plans template`: what a practice offers, within limits."""

from __future__ import annotations

import click

from connector.billing.agreements.instalment_terms import FREQUENCIES
from connector.billing.agreements.schedule import Frequency
from connector.cli.context import actor, find_location, opened
from connector.cli.counts import COUNT
from connector.cli.output import dollars, json_option, print_json, print_table
from connector.money import Money
from connector.use_cases.payment_plans.payment_plan_templates import (
    TemplateLimits,
    add_template,
    archive_template,
    offered_templates,
)

_LOCATION = click.option("--location", "slug", required=True, help="Short name of the location.")


@click.group("template")
def template() -> None:
    """Templates of payment plans."""


@template.command("add")
@click.argument("name")
@_LOCATION
@click.option("--min", "smallest", required=True, help="Smallest total, e.g. 500.00.")
@click.option("--max", "largest", required=True, help="Largest total, e.g. 15000.00.")
@click.option("--months", required=True, multiple=True, type=COUNT, help="A length; repeat it for each.")
@click.option(
    "--frequency",
    "frequencies",
    multiple=True,
    default=("monthly",),
    show_default=True,
    type=click.Choice([frequency.value for frequency in FREQUENCIES]),
    help="Repeat it for each.",
)
@click.option(
    "--deposit-percent", type=COUNT, default=0, show_default=True, help="Part of the total that is due on acceptance."
)
@click.option("--setup-fee", default="0", help="Due on acceptance, beside the total.")
@click.option(
    "--start-after-days", type=COUNT, default=0, show_default=True, help="From acceptance to the first instalment."
)
@click.option("--only-for-members", is_flag=True, help="Only people with an active membership.")
@click.option("--description", default="", help="At most 200 characters.")
@json_option
def add(
    name: str,
    slug: str,
    smallest: str,
    largest: str,
    months: tuple[int, ...],
    frequencies: tuple[str, ...],
    deposit_percent: int,
    setup_fee: str,
    start_after_days: int,
    only_for_members: bool,
    description: str,
    as_json: bool,
) -> None:
    """Offer the template NAME."""
    with opened() as context:
        location = find_location(context, slug)
        limits = TemplateLimits(
            smallest=Money.parse(smallest, location.currency),
            largest=Money.parse(largest, location.currency),
            months=months,
            frequencies=[Frequency(name) for name in frequencies],
            deposit_percent=deposit_percent,
            setup_fee=Money.parse(setup_fee, location.currency),
            start_after_days=start_after_days,
            only_for_members=only_for_members,
        )
        template_id = add_template(context, location, name, limits, description, actor())
    if as_json:
        print_json({"id": template_id, "name": name})
    else:
        click.echo(f"The template {name!r} is offered at {slug}.")


@template.command("list")
@_LOCATION
@json_option
def list_all(slug: str, as_json: bool) -> None:
    """List what is offered."""
    with opened() as context, context.database.read() as session:
        rows = offered_templates(session, find_location(context, slug))
    if as_json:
        print_json(
            [
                {
                    "id": row.id,
                    "name": row.name,
                    "description": row.description,
                    "min_total_cents": row.min_total_cents,
                    "max_total_cents": row.max_total_cents,
                    "months": row.months,
                    "frequencies": row.frequencies,
                    "deposit_percent": row.deposit_percent,
                    "setup_fee_cents": row.setup_fee_cents,
                    "start_after_days": row.start_after_days,
                    "only_for_members": row.only_for_members,
                }
                for row in rows
            ]
        )
        return
    columns = ("Name", "From", "To", "Months", "Frequencies", "Deposit", "Set-up fee", "Starts after", "For")
    table = [
        (
            row.name,
            dollars(row.min_total_cents),
            dollars(row.max_total_cents),
            ", ".join(map(str, row.months)),
            ", ".join(row.frequencies),
            f"{row.deposit_percent} %",
            dollars(row.setup_fee_cents),
            f"{row.start_after_days} days",
            "members" if row.only_for_members else "all",
        )
        for row in rows
    ]
    print_table(f"Templates of payment plans at {slug}", columns, table, right=(1, 2, 5, 6))


@template.command("archive")
@click.argument("name")
@_LOCATION
@json_option
def archive(name: str, slug: str, as_json: bool) -> None:
    """Offer the template NAME no longer; plans made of it go on."""
    with opened() as context:
        archive_template(context, find_location(context, slug), name, actor())
    if as_json:
        print_json({"name": name, "archived": True})
    else:
        click.echo(f"The template {name!r} is no longer offered at {slug}.")
