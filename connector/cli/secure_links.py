"""`connector patient-links`: send, list and revoke the links that patients get instead of a login."""

from __future__ import annotations

from dataclasses import asdict

import click

from connector.cli.context import actor, find_location, opened
from connector.cli.identifiers import LINK, SUBJECT
from connector.cli.output import console, json_option, print_json, print_table, visible
from connector.errors import DomainError, EdgeError
from connector.use_cases.patient_pages.link_url import link_for
from connector.use_cases.patient_pages.manage_links import list_links, revoke_link, send_link, subject_and_member


@click.group("patient-links")
def patient_links() -> None:
    """The links by which patients sign up, pay and accept changes."""


@patient_links.command("send")
@click.argument("subject_id", type=SUBJECT)
@click.option("--show", is_flag=True, help="Print the address instead, e.g. to show it at the desk.")
@json_option
def send(subject_id: str, show: bool, as_json: bool) -> None:
    """Send a new link for a contract, invoice, payment request, payment plan, hold or plan change.

    SUBJECT_ID is its id. The link goes to the contact on file, and every older one for it is revoked. For a contract
    that waits it leads to the sign-up, for one that runs to a change of card or bank account, as for a payment plan;
    for a paid invoice to the invoice itself.
    """
    with opened(stripe=True) as context:
        if not show:
            expires_on = send_link(context, subject_id, actor())
        else:
            subject, member = subject_and_member(context, subject_id)
            try:
                url = link_for(context, subject.kind, subject_id, subject.location, member)
            except EdgeError as error:
                raise DomainError(str(error)) from None
    if show and as_json:
        print_json({"subject_id": subject_id, "url": url})
    elif show:
        console().print("Whoever opens this address acts as the patient; show it to nobody else:")
        click.echo(visible(url))
    elif as_json:
        print_json({"subject_id": subject_id, "queued": True, "expires_on": expires_on})
    else:
        ends = f"until {expires_on:%d/%m/%Y}" if expires_on else "for a day from when it is sent"
        click.echo(f"A link goes out with the next messages, and is open {ends}.")


@patient_links.command("list")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@json_option
def list_all(slug: str, as_json: bool) -> None:
    """List the links that can be used now. Their addresses are known to their receivers only."""
    with opened() as context:
        location = find_location(context, slug)
        found = list_links(context, location)
    if as_json:
        print_json([asdict(line) for line in found])
        return
    ends = [f"{line.expires_at.astimezone(location.zone):%d/%m/%Y %H:%M}" for line in found]
    rows = [(line.id, line.kind, line.subject_id, line.member_id, end) for line, end in zip(found, ends, strict=True)]
    print_table(f"Links of {slug}", ("Link", "For", "Subject", "Member", "Open until"), rows)


@patient_links.command("revoke")
@click.argument("link_id", type=LINK)
@json_option
def revoke(link_id: str, as_json: bool) -> None:
    """Revoke the link LINK_ID: its address shows nothing any more."""
    with opened() as context:
        revoke_link(context, link_id, actor())
    if as_json:
        print_json({"id": link_id, "revoked": True})
    else:
        click.echo(f"The link {link_id} is revoked.")
