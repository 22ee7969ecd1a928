"""`connector holds`: set an amount aside on a card, and take it or let it go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from connector.billing.agreements.hold_rules import expires_in
from connector.billing.agreements.payment_requests import HoldStatus
from connector.cli.context import actor, find_location, location_of_member, opened
from connector.cli.identifiers import HOLD, MEMBER
from connector.cli.output import dollars, json_option, print_json, print_table
from connector.errors import DomainError, EdgeError
from connector.money import Money
from connector.use_cases.members.list_members import names_of
from connector.use_cases.requests.hold_payment import authorise_for_payer, request_hold
from connector.use_cases.requests.list_requests import list_holds
from connector.use_cases.requests.settle_hold import capture_hold, currency_of, release_hold


@click.group()
def holds() -> None:
    """Holds on cards: reserved now, captured or released later."""


@holds.command("request")
@click.argument("member_id", type=MEMBER)
@click.option("--amount", required=True, help="E.g. 120.00.")
@click.option("--description", default="", help="What it is for.")
@json_option
def request(member_id: str, amount: str, description: str, as_json: bool) -> None:
    """Ask MEMBER_ID for a card on which the amount is held; the link goes out at once."""
    with opened() as context:
        held = Money.parse(amount, location_of_member(context, member_id).currency)
        hold_id = request_hold(context, member_id, held, actor(), description)
    if as_json:
        print_json({"id": hold_id, "amount_cents": held.cents, "status": HoldStatus.REQUESTED.value})
    else:
        click.echo(f"The request for the hold {hold_id} of {held} goes to the member.")


@holds.command("authorise")
@click.argument("hold_id", type=HOLD)
@json_option
def authorise(hold_id: str, as_json: bool) -> None:
    """Hold the amount of HOLD_ID on the card that the member has on file, as agreed at the desk."""
    with opened(stripe=True) as context, _explained():
        status = authorise_for_payer(context, hold_id)
    _tell(hold_id, status, as_json)


@holds.command("capture")
@click.argument("hold_id", type=HOLD)
@click.option("--amount", help="Only a part; the rest is released. Without it, all.")
@json_option
def capture(hold_id: str, amount: str | None, as_json: bool) -> None:
    """Take the money of HOLD_ID. It waits for Post to Ledger like any payment that is asked for once."""
    with opened(stripe=True) as context, _explained():
        part = Money.parse(amount, currency_of(context, hold_id)) if amount is not None else None
        status = capture_hold(context, hold_id, part, actor())
    _tell(hold_id, status, as_json)


@holds.command("release")
@click.argument("hold_id", type=HOLD)
@json_option
def release(hold_id: str, as_json: bool) -> None:
    """Let the money of HOLD_ID go, or withdraw the request."""
    with opened(stripe=True) as context, _explained():
        status = release_hold(context, hold_id, actor())
    _tell(hold_id, status, as_json)


@holds.command("list")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--status", type=click.Choice([status.value for status in HoldStatus]), help="Only these.")
@json_option
def list_all(slug: str, status: str | None, as_json: bool) -> None:
    """List holds with the time that is left of each."""
    with opened() as context:
        rows = list_holds(context, find_location(context, slug), HoldStatus(status) if status else None)
        names = names_of(context, (row.member_id for row in rows))
        now = context.clock.now()
    left = {
        row.id: expires_in(row.capture_before, now)
        for row in rows
        if row.capture_before and row.status is HoldStatus.AUTHORISED
    }
    if as_json:
        print_json(
            [
                {
                    "id": row.id,
                    "member_id": row.member_id,
                    "name": names[row.member_id],
                    "description": row.description,
                    "amount_cents": row.amount_cents,
                    "captured_cents": row.captured_cents,
                    "status": row.status.value,
                    "failure_code": row.failure_code,
                    "capture_before": row.capture_before,
                    "expires_in": left.get(row.id),
                }
                for row in rows
            ]
        )
        return
    columns = ("Hold", "Name", "Amount", "Captured", "Status", "Expires in")
    table = [
        (
            row.id,
            names[row.member_id],
            dollars(row.amount_cents),
            dollars(row.captured_cents) if row.captured_cents else "",
            row.status.value,
            left.get(row.id, ""),
        )
        for row in rows
    ]
    print_table(f"Holds of {slug}", columns, table, right=(2, 3))


@contextmanager
def _explained() -> Iterator[None]:
    """Stripe's trouble is told as one sentence; what was decided stands."""
    try:
        yield
    except EdgeError as error:
        raise DomainError(f"{error} What you decided stands, and is tried again by itself.") from None


def _tell(hold_id: str, status: HoldStatus, as_json: bool) -> None:
    if as_json:
        print_json({"id": hold_id, "status": status.value})
    else:
        click.echo(f"The hold {hold_id} is {status.value}.")
