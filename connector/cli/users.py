"""`connector users`: the people who work with the connector at a practice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import click

from connector.billing.staff import Role
from connector.cli.asked import asked
from connector.cli.context import actor, opened
from connector.cli.filled import FILLED
from connector.cli.identifiers import USER
from connector.cli.output import json_option, print_json, print_table
from connector.use_cases.practice import staff_users
from connector.use_cases.practice.list_staff import list_staff
from connector.use_cases.practice.staff_users import Invitation, StaffDetails

ROLES = click.Choice([role.value for role in Role])


@click.group()
def users() -> None:
    """The people who work with the connector: invite them, and decide what they may do."""


@users.command("add")
@click.option("--clinic", required=True, help="Name of the clinic whose team it is.")
@click.option("--given-name", required=True)
@click.option("--family-name", required=True)
@click.option("--email", required=True, help="Where the invitation goes; each address belongs to one user of a clinic.")
@click.option("--phone", default="")
@click.option("--role", type=ROLES, required=True, help="admin: everything; limited: the work of the front desk.")
@click.option(
    "--location", "slugs", multiple=True, help="Where the user works; repeat for each. An admin works at all."
)
@json_option
def add(
    clinic: str,
    given_name: str,
    family_name: str,
    email: str,
    phone: str,
    role: str,
    slugs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Add somebody to the team and send an invitation."""
    details = StaffDetails(given_name, family_name, email, phone)
    with opened() as context:
        invitation = staff_users.add_user(context, clinic, details, Role(role), slugs, actor())
    _show(invitation, as_json)


@users.command("list")
@click.option("--clinic", type=FILLED, help="Of this clinic only.")
@json_option
def list_all(clinic: str | None, as_json: bool) -> None:
    """List the team."""
    with opened() as context:
        lines = list_staff(context, clinic or "")
    if as_json:
        print_json([asdict(line) for line in lines])
        return
    columns = ("User", "Clinic", "Name", "E-mail", "Role", "Status", "Locations")
    rows = [
        (
            line.user_id,
            line.clinic,
            f"{line.given_name} {line.family_name}",
            line.email,
            line.role,
            line.status,
            ", ".join(line.locations),
        )
        for line in lines
    ]
    print_table("Team", columns, rows)


@users.command("invite")
@click.argument("user_id", type=USER)
@json_option
def invite(user_id: str, as_json: bool) -> None:
    """Send USER_ID, who is still pending, another invitation; the older one ends."""
    with opened() as context:
        invitation = staff_users.invite_user(context, user_id, actor())
    _show(invitation, as_json)


@users.command("accept")
@click.argument("code", required=False)
@json_option
def accept(code: str | None, as_json: bool) -> None:
    """Accept the invitation with the CODE of the message; without CODE it is asked for, or read from a pipe.

    Whoever else works on this computer may see what stands on a command line.
    """
    given = asked("code", "CODE") if code is None else code
    with opened() as context:
        user_id = staff_users.accept_invitation(context, given)
    _say(f"The user {user_id} is active.", {"id": user_id, "status": "active"}, as_json)


@users.command("edit")
@click.argument("user_id", type=USER)
@click.option("--given-name")
@click.option("--family-name")
@click.option("--email")
@click.option("--phone", help="Empty: none any more.")
@click.option("--role", type=ROLES)
@click.option("--location", "slugs", multiple=True, help="All locations from now on; repeat for each.")
@json_option
def edit(user_id: str, role: str | None, slugs: tuple[str, ...], as_json: bool, **details: str | None) -> None:
    """Change what is known about USER_ID, what the user may do, and where."""
    changes = {name: text for name, text in details.items() if text is not None}
    if not changes and role is None and not slugs:
        raise click.UsageError("Say what is to be changed, e.g. --phone or --role.")
    with opened() as context:
        again = staff_users.edit_user(context, user_id, changes, Role(role) if role else None, slugs, actor())
    hint = f" Their invitation has ended: send one to the new address with `connector users invite {user_id}`."
    _say(f"The user {user_id} is changed.{hint if again else ''}", {"id": user_id, "invite_again": again}, as_json)


@users.command("disable")
@click.argument("user_id", type=USER)
@json_option
def disable(user_id: str, as_json: bool) -> None:
    """Shut USER_ID out from now on."""
    with opened() as context:
        staff_users.disable_user(context, user_id, actor())
    _say(f"The user {user_id} is disabled.", {"id": user_id, "status": "disabled"}, as_json)


@users.command("enable")
@click.argument("user_id", type=USER)
@json_option
def enable(user_id: str, as_json: bool) -> None:
    """Let USER_ID in again."""
    with opened() as context:
        status = staff_users.enable_user(context, user_id, actor())
    _say(f"The user {user_id} is {status}.", {"id": user_id, "status": status.value}, as_json)


def _show(invitation: Invitation, as_json: bool) -> None:
    """The code is not shown: the message carries one of its own, which replaces it."""
    document = {"id": invitation.user_id, "queued": True, "expires_at": invitation.expires_at.isoformat()}
    said = (
        f"The user {invitation.user_id} is invited by e-mail. The code in it is for `connector users accept`, "
        f"at most until {invitation.expires_at:%d/%m/%Y}."
    )
    _say(said, document, as_json)


def _say(sentence: str, document: Mapping[str, object], as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo(sentence)
