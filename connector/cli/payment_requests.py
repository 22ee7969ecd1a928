"""`connector payment-requests`: ask for one or several amounts by link."""

from __future__ import annotations

from datetime import datetime
from itertools import zip_longest

import click

from connector.billing.agreements.payment_requests import RequestStatus
from connector.cli.context import actor, find_location, location_of_member, opened
from connector.cli.dates import DAY
from connector.cli.identifiers import MEMBER, PAYMENT_REQUEST
from connector.cli.output import dollars, json_option, print_json, print_table
from connector.money import Money
from connector.use_cases.members.list_members import names_of
from connector.use_cases.requests.list_requests import list_requests, show_request
from connector.use_cases.requests.request_payment import cancel_request, request_payment


@click.group("payment-requests")
def payment_requests() -> None:
    """Instant payments: amounts that a person is asked for once."""


@payment_requests.command("add")
@click.argument("member_id", type=MEMBER)
@click.option("--amount", "amounts", required=True, multiple=True, help="E.g. 120.00; repeat it for several.")
@click.option(
    "--due",
    "days",
    multiple=True,
    type=DAY,
    help="Due date of each amount in their order; without any, all are due today.",
)
@click.option("--description", default="", help="What it is for, on the invoice.")
@json_option
def add(member_id: str, amounts: tuple[str, ...], days: tuple[datetime, ...], description: str, as_json: bool) -> None:
    """Ask MEMBER_ID to pay; the link goes out at once."""
    if days and len(days) != len(amounts):
        raise click.UsageError("Give a --due for each --amount, or none at all.")
    with opened() as context:
        currency = location_of_member(context, member_id).currency
        parts = [(Money.parse(text, currency), day.date() if day else None) for text, day in zip_longest(amounts, days)]
        request_id = request_payment(context, member_id, parts, actor(), description)
        cents = show_request(context, request_id).total_cents
    if as_json:
        print_json({"id": request_id, "total_cents": cents, "amounts": len(parts)})
        return
    fee = cents - sum(amount.cents for amount, _ in parts)
    borne = f", {dollars(fee)} of it the platform's fee," if fee else ""
    click.echo(f"Payment request {request_id} for {dollars(cents)}{borne} goes to the member.")


@payment_requests.command("list")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--status", type=click.Choice([status.value for status in RequestStatus]), help="Only these.")
@json_option
def list_all(slug: str, status: str | None, as_json: bool) -> None:
    """List payment requests with what is paid of them."""
    with opened() as context:
        wanted = RequestStatus(status) if status else None
        requests = list_requests(context, find_location(context, slug), wanted)
        names = names_of(context, (request.member_id for request in requests))
    if as_json:
        print_json([request.document() | {"name": names[request.member_id]} for request in requests])
        return
    columns = ("Request", "Name", "Status", "Total", "Paid", "Expires")
    rows = [
        (
            request.id,
            names[request.member_id],
            request.status,
            dollars(request.total_cents),
            dollars(request.paid_cents),
            request.expires_on,
        )
        for request in requests
    ]
    print_table(f"Payment requests of {slug}", columns, rows, right=(3, 4))


@payment_requests.command("show")
@click.argument("request_id", type=PAYMENT_REQUEST)
@json_option
def show(request_id: str, as_json: bool) -> None:
    """Show REQUEST_ID with its invoices."""
    with opened() as context:
        request = show_request(context, request_id)
    if as_json:
        print_json(request.document(parts=True))
        return
    rows = [(part.invoice_number, part.due, dollars(part.cents), part.status) for part in request.parts]
    title = f"Payment request {request_id}, {request.status}"
    print_table(title, ("Invoice", "Due", "Amount", "Status"), rows, right=(0, 2))


@payment_requests.command("cancel")
@click.argument("request_id", type=PAYMENT_REQUEST)
@json_option
def cancel(request_id: str, as_json: bool) -> None:
    """Ask for REQUEST_ID no longer, and give up what is unpaid of it."""
    with opened() as context:
        voided = cancel_request(context, request_id, actor())
    if as_json:
        print_json({"id": request_id, "status": "cancelled", "voided": voided})
    else:
        click.echo(f"Payment request {request_id} is cancelled; nothing is owed any more on {voided} invoices.")
