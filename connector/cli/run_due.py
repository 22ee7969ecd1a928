"""`connector run-due`: do what is due now, or show beforehand what will be done."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

import click

from connector.cli.context import find_location, opened, senders
from connector.cli.output import dollars, json_option, print_json, print_table, visible
from connector.errors import DomainError
from connector.rehearsal.actions import Action
from connector.rehearsal.rehearse import Rehearsal, rehearse
from connector.use_cases.context import Context
from connector.use_cases.make_round import RoundReport, make_round


@click.command()
@click.option("--location", "slug", default=None, help="Only this location.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done; nothing is changed and nobody is asked.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="With --dry-run: the last day to show, else today.")
@json_option
def run_due(slug: str | None, dry_run: bool, until: datetime | None, as_json: bool) -> None:
    """Charge what is due now, make retries, write payments to the practice systems, and send messages.

    It may be stopped and run again at any time: nothing is charged or written twice.
    """
    if until and not dry_run:
        raise DomainError("What is not due yet cannot be done: leave --until out, or add --dry-run to look ahead.")
    with opened(stripe=not dry_run) as context:
        location_id = find_location(context, slug).id if slug else None
        if dry_run:
            _show(_rehearsed(context, until.date() if until else None, location_id), as_json=as_json)
            return
        report = make_round(context, *senders(context), location_id)
    if as_json:
        print_json(_document(report))
    else:
        _tell(report)
    if report.problems:
        sys.exit(1)


def _document(report: RoundReport) -> dict[str, Any]:
    due, messages = report.due, report.messages
    return {
        "invoiced": due.invoiced,
        "charged": due.charged,
        "without_method": due.without_method,
        "waiting_for_release": due.waiting,
        "events": report.events,
        "write_backs": _written(report),
        "messages": {"sent": messages.sent, "later": messages.later, "failed": messages.failed},
        "problems": report.problems,
    }


def _tell(report: RoundReport) -> None:
    due = report.due
    click.echo(f"Invoiced {due.invoiced}, worked on {due.charged} charges, read {report.events} events.")
    if due.without_method:
        click.echo(f"{due.without_method} invoices wait for a payment method.")
    if due.waiting:
        click.echo(f"{due.waiting} invoices of missed periods wait for release: see `connector invoices waiting`.")
    for name, counts in _written(report).items():
        click.echo(f"{name}: " + ", ".join(f"{count} {state}" for state, count in counts.items() if count) + ".")
    if report.messages.sent:
        click.echo(f"Sent {report.messages.sent} messages.")
    for problem in report.problems:
        click.echo(f"Problem: {visible(problem)}", err=True)


def _written(report: RoundReport) -> dict[str, Any]:
    return {
        slug: {name: value for name, value in vars(tally).items() if not name.startswith("_") and name != "problem"}
        for slug, tally in report.write_backs.items()
    }


def _rehearsed(context: Context, until: date | None, location_id: str | None) -> Rehearsal:
    """Shows the day that is being worked on, where somebody is looking."""

    def progress(day: date) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{day:%d/%m/%Y}", err=True, nl=False)

    found = rehearse(context, until, location_id, progress)
    if sys.stderr.isatty():
        click.echo("", err=True)
    return found


def _show(rehearsal: Rehearsal, *, as_json: bool) -> None:
    if as_json:
        print_json({"actions": [asdict(action) for action in rehearsal.actions], "problems": rehearsal.problems})
        return
    columns = ("Day", "Location", "What", "Member", "Which", "Amount")
    print_table("What will be done if every charge succeeds", columns, map(_row, rehearsal.actions), right=(5,))
    for problem in rehearsal.problems:
        click.echo(f"Problem: {visible(problem)}", err=True)


def _row(action: Action) -> tuple[str, ...]:
    amount = dollars(action.cents) if action.cents else ""
    return (f"{action.on:%d/%m/%Y}", action.location, action.kind.value, action.member_id, action.subject, amount)
