"""`connector recoveries`: unpaid invoices, what comes next for each, and taking one over."""

from __future__ import annotations

from dataclasses import asdict

import click

from connector.cli.context import actor, find_location, opened
from connector.cli.output import dollars, json_option, print_json, print_table
from connector.use_cases.recovery.list_recoveries import STOPPED, list_recoveries, stop_recovery


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
    if as_json:
        print_json([asdict(line) for line in lines])
        return
    columns = ("Invoice", "For", "Amount", "Due", "Since", "Failure", "Next", "On")
    rows = [
        (
            line.invoice_id,
            line.agreement_id,
            dollars(line.amount_cents),
            line.due_on,
            line.since,
            line.failure,
            line.next_step.replace("_", " "),
            line.next_on or "",
        )
        for line in lines
    ]
    print_table(f"Unpaid at {slug}", columns, rows, right=(2,))


@recoveries.command("stop")
@click.argument("invoice_id")
@json_option
def stop(invoice_id: str, as_json: bool) -> None:
    """Make no further step for INVOICE_ID: no retry, no reminder. It is still owed and can still be paid."""
    with opened() as context:
        stop_recovery(context, invoice_id, actor())
    if as_json:
        print_json({"invoice_id": invoice_id, "status": STOPPED})
    else:
        click.echo(f"No further step is made for {invoice_id}: please get in touch with the payer.")
