"""`connector recoveries`: unpaid invoices, what comes next for each, and taking one over."""

from __future__ import annotations

from dataclasses import asdict

import click

from connector.billing.collecting.declines import DeclineClass
from connector.cli.context import actor, find_location, opened
from connector.cli.identifiers import INVOICE
from connector.cli.output import dollars, json_option, print_json, print_table
from connector.use_cases.members.list_members import names_of
from connector.use_cases.recovery.list_recoveries import INVITE_AGAIN, STOPPED, list_recoveries, stop_recovery

_FAILURES = {
    DeclineClass.HARD: "refused for good",
    DeclineClass.PAYER_NEEDED: "bank asks the payer",
    DeclineClass.NEW_DETAILS: "card details are out of date",
    DeclineClass.SOFT: "refused for now",
    DeclineClass.SOFT_TWICE: "refused, worth one more try",
    DeclineClass.TECHNICAL: "technical trouble",
    DeclineClass.DUPLICATE: "looks like a second charge",
    DeclineClass.MANDATE_DEAD: "direct debit authority has ended",
    DeclineClass.ACCOUNT_LIMIT: "above the practice's limit at Stripe",
    DeclineClass.REFUSED: "not accepted by Stripe or the bank",
    DeclineClass.UNKNOWN: "refused, reason not known",
}
"""What staff read; --json has the classes themselves."""


@click.group()
def recoveries() -> None:
    """The recovery of unpaid invoices."""


@recoveries.command("list")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@json_option
def list_all(slug: str, as_json: bool) -> None:
    """List every unpaid invoice that a charge has failed for, with its next step and the day for it."""
    with opened() as context:
        lines = list_recoveries(context, find_location(context, slug))
        names = names_of(context, (line.member_id for line in lines))
    if as_json:
        print_json([{**asdict(line), "name": names[line.member_id]} for line in lines])
        return
    columns = ("Invoice", "Name", "For", "Amount", "Due", "Since", "Failure", "Next", "On")
    rows = [
        (
            line.invoice_id,
            names[line.member_id],
            line.agreement_id,
            dollars(line.amount_cents),
            line.due_on,
            line.since,
            _FAILURES[DeclineClass(line.failure)],
            line.next_step.replace("_", " "),
            line.next_on or "",
        )
        for line in lines
    ]
    print_table(f"Unpaid at {slug}", columns, rows, right=(3,))
    if any(line.next_step == INVITE_AGAIN for line in lines):
        click.echo(
            "Invite again: the first charge failed; `connector members invite CONTRACT` opens the page once more."
        )


@recoveries.command("stop")
@click.argument("invoice_id", type=INVOICE)
@json_option
def stop(invoice_id: str, as_json: bool) -> None:
    """Make no further step for INVOICE_ID: no retry, no reminder. It is still owed and can still be paid."""
    with opened() as context:
        stop_recovery(context, invoice_id, actor())
    if as_json:
        print_json({"invoice_id": invoice_id, "status": STOPPED})
    else:
        click.echo(f"No further step is made for {invoice_id}: please get in touch with the payer.")
