"""`connector invoices`: see what was invoiced, decide about missed periods, and print an invoice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from connector.billing.documents.html import render_html
from connector.billing.documents.pdf import render_pdf
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.cli.context import actor, find_location, opened
from connector.cli.counts import Count
from connector.cli.dates import DAY
from connector.cli.identifiers import INVOICE, MEMBER
from connector.cli.output import dollars, json_option, print_json, print_table
from connector.files import private_file
from connector.use_cases.context import Context
from connector.use_cases.invoices.invoice_document import invoice_document, invoice_number
from connector.use_cases.invoices.list_invoices import InvoiceShown, list_invoices, show_invoice
from connector.use_cases.invoices.release_invoice import cancel_invoice, find_invoice, forgive_invoice, release_invoices
from connector.use_cases.members.list_members import names_of

STATUSES = click.Choice([status.value for status in InvoiceStatus])


@click.group()
def invoices() -> None:
    """Invoices and the missed periods among them."""


@invoices.command("list")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--status", "statuses", multiple=True, type=STATUSES, help="Only these.")
@click.option("--member", "member_id", type=MEMBER, help="Only of this payer.")
@click.option("--limit", default=100, show_default=True, type=Count(1, 10_000))
@json_option
def list_all(slug: str, statuses: tuple[str, ...], member_id: str | None, limit: int, as_json: bool) -> None:
    """List invoices, the newest first."""
    with opened() as context:
        wanted = [InvoiceStatus(status) for status in statuses]
        found = list_invoices(context, find_location(context, slug), wanted, member_id, limit)
        names = names_of(context, (row.member_id for row in found))
    _print(f"Invoices of {slug}", found, names, as_json)
    if len(found) == limit and not as_json:
        click.echo(f"Only the first {limit} are shown: --limit shows more.")


@invoices.command("waiting")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@json_option
def waiting(slug: str, as_json: bool) -> None:
    """List invoices of missed periods: each waits to be released or forgiven."""
    with opened() as context:
        found = list_invoices(context, find_location(context, slug), [InvoiceStatus.WAITING], limit=10_000)
        names = names_of(context, (row.member_id for row in found))
    _print(f"Waiting at {slug}", found, names, as_json)


@invoices.command("show")
@click.argument("invoice_id", type=INVOICE)
@json_option
def show(invoice_id: str, as_json: bool) -> None:
    """Show one invoice, by id or printed number, with its lines and every try to collect it."""
    with opened() as context:
        history = show_invoice(context, invoice_id)
    if as_json:
        print_json(asdict(history))
        return
    head = history.invoice
    title = f"{head.number}, {head.status}, due {head.due_date:%d/%m/%Y}, {dollars(head.amount_cents)}"
    lines = [(line["description"], line["member_id"] or "", dollars(line["amount_cents"])) for line in history.lines]
    print_table(title, ("For", "Member", "Amount"), lines, right=(2,))
    tries = [(a.id, a.debit_on, a.origin, a.state, a.failure_code or "") for a in history.attempts]
    print_table("Attempts", ("Attempt", "On", "Because of", "State", "Failure"), tries)
    for payment_id in history.payment_ids:
        click.echo(f"Payment {payment_id}.")
    for note in history.credit_notes:
        amount, day = dollars(note["amount_cents"]), note["business_date"]
        click.echo(f"Credit note {note['number']} of {day:%d/%m/%Y}: {amount} credited.")


@invoices.command("release")
@click.argument("invoice_ids", type=INVOICE, nargs=-1, required=True)
@click.option("--on", type=DAY, default=None, help="Day of the debit; by default the payer's next free one.")
@click.option("--same-day", is_flag=True, help="Allow a second debit of the payer on one day.")
@json_option
def release(invoice_ids: tuple[str, ...], on: datetime | None, same_day: bool, as_json: bool) -> None:
    """Charge invoices that wait, each on a day without another debit of its payer."""
    day = on.date() if on else None
    with opened() as context:
        released = release_invoices(context, invoice_ids, day, actor(), same_day=same_day)
    if as_json:
        print_json([{"id": invoice_id, "debit_on": debit_on} for invoice_id, debit_on in released])
    for invoice_id, debit_on in released if not as_json else ():
        click.echo(f"The invoice {invoice_id} is charged on {debit_on:%d/%m/%Y}.")


@invoices.command("forgive")
@click.argument("invoice_id", type=INVOICE)
@json_option
def forgive(invoice_id: str, as_json: bool) -> None:
    """Never charge a missed period: void the invoice that waits for it."""
    _void(forgive_invoice, invoice_id, as_json)


@invoices.command("cancel")
@click.argument("invoice_id", type=INVOICE)
@json_option
def cancel(invoice_id: str, as_json: bool) -> None:
    """Void an unpaid invoice for which nothing is under way; of one that is paid in part, give up the rest."""
    _void(cancel_invoice, invoice_id, as_json)


@invoices.command("pdf")
@click.argument("invoice_id", type=INVOICE)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), default=None, help="By default its number.")
@json_option
def pdf(invoice_id: str, output: Path | None, as_json: bool) -> None:
    """Write an invoice as a PDF file."""
    with opened() as context, context.database.read() as session:
        invoice, _ = find_invoice(session, invoice_id)
        content = render_pdf(invoice_document(session, invoice))
    file = output or Path(f"{invoice_number(invoice)}.pdf")
    # An invoice names a patient, so it is for its owner alone; where another file was, its rights stay.
    private_file(file)
    file.write_bytes(content)
    if as_json:
        print_json({"id": invoice.id, "file": str(file), "bytes": len(content)})
    else:
        click.echo(f"Invoice {invoice_number(invoice)} is in {file}.")


@invoices.command("html")
@click.argument("invoice_id", type=INVOICE)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), default=None, help="By default the screen.")
def html(invoice_id: str, output: Path | None) -> None:
    """Write an invoice as a page of HTML."""
    with opened() as context, context.database.read() as session:
        page = render_html(invoice_document(session, find_invoice(session, invoice_id)[0]))
    if output is None:
        click.echo(page, nl=False)
    else:
        private_file(output)
        output.write_text(page, encoding="utf-8")
        click.echo(f"The invoice is in {output}.")


def _print(title: str, found: list[InvoiceShown], names: Mapping[str, str], as_json: bool) -> None:
    if as_json:
        print_json([{**asdict(row), "name": names[row.member_id]} for row in found])
        return
    rows = [(r.number, r.id, names[r.member_id], r.kind, r.due_date, dollars(r.amount_cents), r.status) for r in found]
    print_table(title, ("Number", "Invoice", "Name", "Kind", "Due", "Amount", "Status"), rows, right=(5,))


def _void(verb: Callable[[Context, str, str], Invoice], invoice_id: str, as_json: bool) -> None:
    with opened() as context:
        invoice = verb(context, invoice_id, actor())
    if as_json:
        print_json({"id": invoice.id, "status": invoice.status})
    else:
        paid_in_part = invoice.status is InvoiceStatus.COMPLETED
        outcome = "stays paid as far as it is: nothing more" if paid_in_part else "is void: nothing"
        click.echo(f"The invoice {invoice_number(invoice)} {outcome} is owed on it.")
