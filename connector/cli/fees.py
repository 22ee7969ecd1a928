"""`connector platform-fees`: what the platform takes of payments, and its monthly statements."""

from __future__ import annotations

from datetime import datetime

import click

from connector.billing.prices.platform_fees import FeeCollection
from connector.cli.context import actor, opened
from connector.cli.dates import MONTH
from connector.cli.filled import FILLED
from connector.cli.output import dollars, json_option, print_json, print_table
from connector.use_cases.practice.fee_statements import StatementShown, list_fee_months, make_fee_statement


@click.group("platform-fees")
def platform_fees() -> None:
    """What the platform takes of the practice's payments."""


@platform_fees.command("statement")
@click.argument("month", type=MONTH, metavar="MONTH")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@json_option
def statement(month: datetime, slug: str, as_json: bool) -> None:
    """Make the statement of a past MONTH such as 2026-09, or show it again: it never changes."""
    with opened() as context:
        shown = make_fee_statement(context, slug, month.date(), actor())
    if as_json:
        print_json(_document(shown))
        return
    rows = [
        (
            f"{line.day:%d/%m/%Y}",
            line.payment_id,
            dollars(line.paid_cents),
            dollars(line.fee_cents),
            dollars(line.gst_cents),
            line.bearer,
            "kept by Stripe" if line.collection is FeeCollection.APPLICATION_FEE else "owed",
        )
        for line in shown.lines
    ]
    columns = ("Day", "Payment", "Paid", "Fee with GST", "GST in it", "Borne by", "Collected")
    print_table(f"Platform fees of {slug} in {shown.month:%m/%Y} ({shown.id})", columns, rows, right=(2, 3, 4))
    click.echo(
        f"{shown.payments} payments: {shown.fee} with {shown.gst} GST in it; "
        f"{shown.kept} kept by Stripe already, {shown.owed} owed."
    )


@platform_fees.command("list")
@click.option("--location", "slug", type=FILLED, help="Of this location only.")
@json_option
def list_all(slug: str | None, as_json: bool) -> None:
    """List the months with their fees, newest first; those without a statement may still grow."""
    with opened() as context:
        months = list_fee_months(context, slug or "")
    if as_json:
        print_json(
            [
                {
                    "location": row.location,
                    "month": f"{row.month:%Y-%m}",
                    "payments": row.payments,
                    "fee_cents": row.fee.cents,
                    "gst_cents": row.gst.cents,
                    "kept_cents": row.kept.cents,
                    "owed_cents": (row.fee - row.kept).cents,
                    "currency": row.fee.currency,
                    "statement_id": row.statement_id,
                }
                for row in months
            ]
        )
        return
    columns = ("Location", "Month", "Payments", "Fee with GST", "GST in it", "Kept by Stripe", "Owed", "Statement")
    rows = [
        (
            row.location,
            f"{row.month:%m/%Y}",
            row.payments,
            *(dollars(amount.cents) for amount in (row.fee, row.gst, row.kept, row.fee - row.kept)),
            row.statement_id or "not made",
        )
        for row in months
    ]
    print_table("Platform fees", columns, rows, right=(2, 3, 4, 5, 6))


def _document(shown: StatementShown) -> dict[str, object]:
    return {
        "id": shown.id,
        "location": shown.location,
        "month": f"{shown.month:%Y-%m}",
        "payments": shown.payments,
        "fee_cents": shown.fee.cents,
        "gst_cents": shown.gst.cents,
        "kept_cents": shown.kept.cents,
        "owed_cents": shown.owed.cents,
        "currency": shown.fee.currency,
        "lines": [
            {
                "payment_id": line.payment_id,
                "day": line.day.isoformat(),
                "paid_cents": line.paid_cents,
                "fee_cents": line.fee_cents,
                "gst_cents": line.gst_cents,
                "bearer": line.bearer,
                "collection": line.collection,
            }
            for line in shown.lines
        ],
    }
