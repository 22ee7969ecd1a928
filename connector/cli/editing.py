"""`connector members edit`: correct what is known of a person."""

from __future__ import annotations

from datetime import datetime

import click

from connector.cli.context import actor, opened
from connector.cli.dates import BIRTHDAY
from connector.cli.identifiers import MEMBER
from connector.cli.output import json_option, print_json
from connector.errors import DomainError
from connector.use_cases.context import Context
from connector.use_cases.members.edit_member import edit_member
from connector.use_cases.patient_pages.manage_links import send_link


@click.command()
@click.argument("member_id", type=MEMBER, metavar="MEMBER")
@click.option("--given-name")
@click.option("--family-name")
@click.option("--born", type=BIRTHDAY, help="Date of birth, e.g. 1980-12-31.")
@click.option("--gender")
@click.option("--email")
@click.option("--phone", help="E.g. 0412 345 678.")
@click.option("--address", help="Street and number.")
@click.option("--suburb")
@click.option("--state")
@click.option("--postcode")
@click.option("--send-again", is_flag=True, help="Send new links for those that end because the contact was wrong.")
@json_option
def edit(member_id: str, born: datetime | None, send_again: bool, as_json: bool, **texts: str | None) -> None:
    """Correct what is known of MEMBER; only what is given changes, and "" forgets it.

    Links that went to an e-mail address or a number which is replaced end. The history shows which fields were
    changed, not what they held.
    """
    changes = {name: text for name, text in texts.items() if text is not None}
    if born:
        changes["date_of_birth"] = f"{born:%Y-%m-%d}"
    if not changes:
        raise click.UsageError("Say what to change, e.g. --email.")
    with opened() as context:
        done = edit_member(context, member_id, changes, actor=actor())
        sent = [subject_id for subject_id in done.ended if send_again and _sent(context, subject_id)]
    if as_json:
        document = {"member_id": member_id, "changed": done.changed, "ended_links": done.ended, "sent_again": sent}
        print_json({**document, "phone_forgotten": done.phone_forgotten})
        return
    if not done.changed:
        click.echo(f"Nothing of the member {member_id} is new: nothing was changed.")
        return
    click.echo(f"Of the member {member_id} changed: {', '.join(done.changed).replace('_', ' ')}.")
    if done.phone_forgotten:
        click.echo("The telephone number was given with a link that has ended: it is forgotten, ask the member for it.")
    for subject_id in done.ended:
        told = f"send another with `connector patient-links send {subject_id}`"
        if send_again:
            told = "another is on its way" if subject_id in sent else "nothing waits for the member there any more"
        click.echo(f"The link for {subject_id} went to the old contact and has ended: {told}.")


def _sent(context: Context, subject_id: str) -> bool:
    """Whether a new link is queued; none is where nothing waits for the member any more."""
    try:
        send_link(context, subject_id, actor())
    except DomainError:
        return False
    return True
