"""`connector members edit`: correct what is known of a person."""

from __future__ import annotations

from datetime import datetime

import click

from connector.cli.context import actor, opened
from connector.cli.identifiers import MEMBER
from connector.cli.output import json_option, print_json
from connector.use_cases.members.edit_member import edit_member


@click.command()
@click.argument("member_id", type=MEMBER, metavar="MEMBER")
@click.option("--given-name")
@click.option("--family-name")
@click.option("--born", type=click.DateTime(["%Y-%m-%d"]), help="Date of birth, e.g. 1980-12-31.")
@click.option("--gender")
@click.option("--email")
@click.option("--phone", help="E.g. 0412 345 678.")
@click.option("--address", help="Street and number.")
@click.option("--suburb")
@click.option("--state")
@click.option("--postcode")
@json_option
def edit(member_id: str, born: datetime | None, as_json: bool, **texts: str | None) -> None:
    """Correct what is known of MEMBER; only what is given changes, and "" forgets it.

    The history shows which fields were changed, not what they held.
    """
    changes = {name: text for name, text in texts.items() if text is not None}
    if born:
        changes["date_of_birth"] = f"{born:%Y-%m-%d}"
    if not changes:
        raise click.UsageError("Say what to change, e.g. --email.")
    with opened() as context:
        changed = edit_member(context, member_id, changes, actor=actor())
    if as_json:
        print_json({"member_id": member_id, "changed": changed})
    elif changed:
        click.echo(f"Of the member {member_id} changed: {', '.join(changed).replace('_', ' ')}.")
    else:
        click.echo(f"Nothing of the member {member_id} is new: nothing was changed.")
