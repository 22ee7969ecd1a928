"""`connector ledger`: check the book and show its balances."""

from __future__ import annotations

import click

from connector.cli.context import opened
from connector.cli.output import dollars, fail, json_option, print_json, print_table, visible
from connector.use_cases.books.verify_ledger import verify_ledger


@click.group()
def ledger() -> None:
    """The double-entry book."""


@ledger.command("verify")
@json_option
def verify(as_json: bool) -> None:
    """Add up the whole book again and check its links to invoices, payments and write-backs."""
    with opened() as context:
        result = verify_ledger(context)
    if as_json:
        balances = {f"{account} {currency}": cents for (account, currency), cents in sorted(result.balances.items())}
        print_json({"ok": result.ok, "entries": result.entries, "balances": balances, "faults": result.faults})
    else:
        rows = [
            (account, currency.upper(), dollars(cents))
            for (account, currency), cents in sorted(result.balances.items())
        ]
        print_table(f"{result.entries} journal entries", ("Account", "Currency", "Balance"), rows, right=(2,))
        for fault in result.faults:
            click.echo(f"Fault: {visible(fault)}", err=True)
    if not result.ok:
        fail(f"The book has {len(result.faults)} faults: keep a copy of the database and call support.", as_json=False)
    if not as_json:
        click.echo("The book adds up.")
