"""`connector run-due`: do what is due now, or show beforehand what will be done."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

import click

from connector.cli.context import find_location, opened, senders
from connector.cli.dates import DAY
from connector.cli.filled import FILLED
from connector.cli.output import dollars, json_option, print_json, print_table, visible
from connector.errors import DomainError
from connector.rehearsal.actions import Action
from connector.rehearsal.rehearse import Rehearsal, rehearse
from connector.use_cases.collection.sweep import SweepReport, sweep
from connector.use_cases.context import Context
from connector.use_cases.make_round import RoundReport, make_round
from connector.use_cases.members.list_members import names_of


@click.command()
@click.option("--location", "slug", type=FILLED, help="Only this location.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done; nothing is changed and nobody is asked.")
@click.option("--until", type=DAY, help="With --dry-run: the last day to show, else today.")
@click.option("--sweep", "sweeps", is_flag=True, help="First look through Stripe's lists for what its news missed.")
@json_option
def run_due(slug: str | None, dry_run: bool, until: datetime | None, sweeps: bool, as_json: bool) -> None:
    """Charge what is due now, make retries, write payments to the practice systems, and send messages.

    It may be stopped and run again at any time: nothing is charged or written twice.
    """
    if until and not dry_run:
        raise DomainError("What is not due yet cannot be done: leave --until out, or add --dry-run to look ahead.")
    if sweeps and dry_run:
        raise click.UsageError("A dry run asks nobody: leave --sweep out.")
    with opened(stripe=not dry_run, looks_only=dry_run) as context:
        location_id = None if slug is None else find_location(context, slug).id
        if dry_run:
            rehearsal = _rehearsed(context, until.date() if until else None, location_id)
            _show(rehearsal, names_of(context, (action.member_id for action in rehearsal.actions)), as_json=as_json)
            return
        swept = sweep(context) if sweeps else None
        report = make_round(context, *senders(context), location_id)
    if as_json:
        print_json(_document(report) | ({"sweep": _swept(swept)} if swept else {}))
    else:
        if swept:
            _tell_sweep(swept)
        _tell(report)
    if report.problems or (swept and swept.problems):
        sys.exit(1)


def _swept(swept: SweepReport) -> dict[str, Any]:
    return {
        "listed": swept.listed,
        "missed": swept.missed,
        "complete": swept.complete,
        "problems": swept.problems,
    }


def _tell_sweep(swept: SweepReport) -> None:
    found = ", ".join(swept.missed) or "nothing that its news had missed"
    click.echo(f"Swept {swept.listed} objects on Stripe's lists, and found {visible(found)}.")
    for problem in swept.problems:
        click.echo(f"Problem: {visible(problem)}", err=True)


def _document(report: RoundReport) -> dict[str, Any]:
    due, messages = report.due, report.messages
    return {
        "invoiced": due.invoiced,
        "charged": due.charged,
        "declined": due.declined,
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
    if due.declined:
        verb = "was" if due.declined == 1 else "were"
        click.echo(f"{due.declined} {verb} declined: see `connector recoveries list --location SLUG`.")
    if due.without_method:
        click.echo(f"{due.without_method} invoices wait for a payment method.")
    if due.waiting:
        hint = "see `connector invoices waiting --location SLUG`"
        click.echo(f"{due.waiting} invoices of missed periods wait for release: {hint}.")
    for name, counts in _written(report).items():
        if told := ", ".join(f"{count} {state}" for state, count in counts.items() if count):
            click.echo(f"{name}: {told}.")
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


def _show(rehearsal: Rehearsal, names: Mapping[str, str], *, as_json: bool) -> None:
    if as_json:
        actions = [{**asdict(action), "name": names.get(action.member_id)} for action in rehearsal.actions]
        print_json({"actions": actions, "problems": rehearsal.problems})
        return
    columns = ("Day", "Location", "What", "Who", "Which", "Amount")
    rows = [_row(action, names) for action in rehearsal.actions]
    print_table("What will be done if every charge succeeds", columns, rows, right=(5,))
    if not rows:
        click.echo("Stripe's news is not read in a dry run.")
    for problem in rehearsal.problems:
        click.echo(f"Problem: {visible(problem)}", err=True)


def _row(action: Action, names: Mapping[str, str]) -> tuple[str, ...]:
    amount = dollars(action.cents) if action.cents else ""
    # Messages go to staff and to the practice, too, who are named by what they are.
    who = names.get(action.member_id, action.member_id)
    return (f"{action.on:%d/%m/%Y}", action.location, action.kind.value, who, action.subject, amount)
