"""`connector benefits`: what a member may use, and what was used."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import click

from connector.cli.context import actor, opened
from connector.cli.counts import Count
from connector.cli.dates import DAY
from connector.cli.identifiers import MEMBER, USE
from connector.cli.member_sheet import BENEFIT_COLUMNS, benefit_row
from connector.cli.output import json_option, print_json, print_table
from connector.use_cases.members.show_benefits import show_benefits
from connector.use_cases.members.use_benefit import take_back_use, use_benefit


@click.group()
def benefits() -> None:
    """The included services that members use up, year by year."""


@benefits.command("show")
@click.argument("member_id", type=MEMBER)
@json_option
def show(member_id: str, as_json: bool) -> None:
    """Show what MEMBER_ID may use today, and what was used."""
    with opened() as context:
        sheet = show_benefits(context, member_id)
    if as_json:
        print_json(asdict(sheet))
        return
    print_table(
        f"Benefits of {member_id}: {sheet.plan or 'no membership'}", BENEFIT_COLUMNS, map(benefit_row, sheet.benefits)
    )
    uses = [(use.use_id, use.on, use.code, use.quantity, "taken back" if use.taken_back else "") for use in sheet.uses]
    print_table("Uses", ("Use", "Day", "Code", "Quantity", ""), uses, right=(3,))


@benefits.command("use")
@click.argument("member_id", type=MEMBER)
@click.argument("code")
@click.option("--quantity", default=1, show_default=True, type=Count(1, 99))
@click.option("--on", type=DAY, help="Day of the visit; today by default.")
@click.option("--override", is_flag=True, help="Record it although the plan does not include it then.")
@json_option
def use(member_id: str, code: str, quantity: int, on: datetime | None, override: bool, as_json: bool) -> None:
    """Record that MEMBER_ID has used the procedure CODE."""
    day = on.date() if on else None
    with opened() as context:
        use_id = use_benefit(context, member_id, code, quantity=quantity, on=day, override=override, actor=actor())
    if as_json:
        print_json({"id": use_id, "member_id": member_id})
    else:
        click.echo(f"Recorded as {use_id}.")


@benefits.command("take-back")
@click.argument("use_id", type=USE)
@json_option
def take_back(use_id: str, as_json: bool) -> None:
    """Take back the use USE_ID, which was recorded by mistake."""
    with opened() as context:
        back_id = take_back_use(context, use_id, actor=actor())
    if as_json:
        print_json({"id": back_id, "takes_back_id": use_id})
    else:
        click.echo(f"The use {use_id} is taken back.")
