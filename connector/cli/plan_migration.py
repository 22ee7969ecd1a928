"""`connector plans preview` and `migrate`: move members of older versions of a plan to the newest one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from connector.billing.agreements.schedule import Frequency
from connector.cli.context import actor, opened
from connector.cli.counts import COUNT
from connector.cli.dates import DAY
from connector.cli.output import confirm, dollars, json_option, print_json, print_table, visible
from connector.use_cases.plans.migrate_plan import Migration, Move, Standing, migrate_plan, preview_migration

F = TypeVar("F", bound=Callable[..., Any])

location_option = click.option("--location", "slug", required=True, help="Short name of the location.")


def whom_and_when(command: F) -> F:
    """The options of `preview` and `migrate`, which must mean the same people."""
    for option in (
        click.option("--frequency", type=click.Choice([f.value for f in Frequency]), help="Only these contracts."),
        click.option("--only-version", type=COUNT, help="Only members who are on this version."),
        click.option("--effective", type=DAY, help="First day; by default after the notice."),
    ):
        command = option(command)
    return command


@click.command("preview")
@click.argument("name")
@location_option
@whom_and_when
@json_option
def preview(name: str, slug: str, as_json: bool, **options: Any) -> None:
    """Show who is on an older version of the plan NAME, and what the newest one would change for each."""
    with opened() as context:
        found = preview_migration(context, _migration(name, slug, **options))
    if as_json:
        print_json({"version": found.version, "differences": found.differences, "members": _documents(found.moves)})
        return
    for number, lines in found.differences.items():
        click.echo(f"From version {number} to version {found.version}:")
        for line in lines or ["nothing that a member would notice"]:
            click.echo(f"  {visible(line)}")
    _print_moves(f"Members on older versions of {name}", found.moves)


@click.command("migrate")
@click.argument("name")
@location_option
@whom_and_when
@click.option("--yes", is_flag=True, help="Do not ask; needed with --json.")
@json_option
def migrate(name: str, slug: str, yes: bool, as_json: bool, **options: Any) -> None:
    """Announce the newest version of the plan NAME to members on older ones; it counts for those who accept."""
    wanted = _migration(name, slug, **options)
    with opened() as context:
        if not yes:
            found = preview_migration(context, wanted)
            count = sum(move.standing is Standing.TO_ANNOUNCE for move in found.moves)
            if count:
                confirm(f"Announce version {found.version} of {name} to {count} members?", as_json=as_json)
        announced = migrate_plan(context, wanted, actor())
    if as_json:
        print_json({"announced": len(announced), "members": _documents(announced)})
        return
    _print_moves(f"Announced to members of {name}", announced)
    click.echo("Nothing changes for anybody before they accept.")


def _migration(
    name: str, slug: str, *, frequency: str | None, only_version: int | None, effective: datetime | None
) -> Migration:
    return Migration(
        location_slug=slug,
        plan_name=name,
        frequency=Frequency(frequency) if frequency else None,
        only_version=only_version,
        effective=effective.date() if effective else None,
    )


def _print_moves(title: str, moves: list[Move]) -> None:
    columns = ("Member", "Contract", "Version", "Charged", "Price now", "Price then", "From", "State")
    rows = [
        (
            move.member_id,
            move.contract_id,
            move.version,
            move.frequency.value,
            dollars(move.price_now.cents),
            dollars(move.price_then.cents) if move.price_then else "",
            move.effective_on or "",
            move.standing.value,
        )
        for move in moves
    ]
    print_table(title, columns, rows, right=(2, 4, 5))


def _documents(moves: list[Move]) -> list[dict[str, object]]:
    return [
        {
            "member_id": move.member_id,
            "contract_id": move.contract_id,
            "version": move.version,
            "frequency": move.frequency.value,
            "price_now_cents": move.price_now.cents,
            "price_then_cents": move.price_then.cents if move.price_then else None,
            "effective_on": move.effective_on,
            "state": move.standing.value,
        }
        for move in moves
    ]
