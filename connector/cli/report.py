"""`connector report`: what happened to a day's money, line by line and difference by difference."""

from __future__ import annotations

import sys
from datetime import datetime
from decimal import Decimal

import click

from connector.cli.context import find_location, opened
from connector.cli.dates import DAY
from connector.cli.output import console, dollars, print_csv, print_json, print_table, visible
from connector.clock import business_date
from connector.errors import DomainError
from connector.reconciliation.report import DayReport
from connector.use_cases.books.close_day import close_day
from connector.use_cases.books.report_day import report_day

FORMATS = click.Choice(["table", "json", "csv"])


@click.group()
def report() -> None:
    """Reports on a location's money."""


@report.command("day")
@click.argument("date", type=DAY, metavar="DATE")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--close", is_flag=True, help="Keep this report as the day's final one.")
def day(date: datetime, slug: str, form: str, as_json: bool, close: bool) -> None:
    """Compare the business day DATE (YYYY-MM-DD) with the practice system's day sheet and with Stripe."""
    with opened() as context:
        location = find_location(context, slug)
        if date.date() > business_date(context.clock.now(), location.zone):
            raise DomainError(f"The day {date:%Y-%m-%d} has not begun at {slug!r}: choose today or an earlier one.")
        verb = close_day if close else report_day
        result = verb(context, location, date.date())
    if as_json or form == "json":
        print_json(result.as_json())
    elif form == "csv":
        print_csv(("section", "name", "count", "amount", "detail", "next step"), _rows(result))
    else:
        print_report(result)
    if result.problems:
        sys.exit(1)


def print_report(result: DayReport) -> None:
    """The report as people read it."""
    title = f"{result.location}, {result.business_date:%A %d/%m/%Y}, amounts in {result.currency.upper()}"
    figures = [(name[0].upper() + name[1:], count, dollars(cents)) for name, count, cents in _shown(result)]
    print_table(title, ("", "Count", "Amount"), figures, right=(1, 2))
    out = console()
    if result.differences:
        rows = [
            (d.kind.value.replace("_", " "), d.subject, dollars(d.cents), d.detail, d.next_step)
            for d in result.differences
        ]
        out.print()
        print_table("Differences", ("What", "Reference", "Amount", "Detail", "Next step"), rows, right=(2,))
    for problem in result.problems:
        out.print(f"\n{visible(problem)}", style="yellow")
    if result.agrees:
        out.print("\nThe practice system and Stripe agree with our book to the cent.", style="green")
    elif not result.differences and not result.problems:
        out.print(f"\nNothing differs, but {result.waiting_count} are not in the practice system yet.", style="yellow")
    if not result.day_is_over:
        out.print("The day is not over: figures may still change.", style="yellow")


def _shown(result: DayReport) -> list[tuple[str, int, int]]:
    """Waiting states without a row would only hide those with one."""
    return [row for row in result.figures() if row[1] or not row[0].startswith("waiting")]


def _rows(result: DayReport) -> list[tuple[str, str, int, Decimal | str, str, str]]:
    figures = [("figure", name, count, _amount(cents), "", "") for name, count, cents in result.figures()]
    found = [("difference", d.subject, 1, _amount(d.cents), d.detail, d.next_step) for d in result.differences]
    return [*figures, *found, *(("problem", "", 1, "", text, "") for text in result.problems)]


def _amount(cents: int) -> Decimal:
    """A number and not a text, which would be taken for a formula when it is negative."""
    return Decimal(cents).scaleb(-2)
