"""`connector run-due`: charge what is due now, read Stripe's news, and write the payments to the practice systems."""

from __future__ import annotations

import sys
from typing import Any

import click

from connector.cli.context import find_location, opened
from connector.cli.output import json_option, print_json, visible
from connector.use_cases.read_news import read_news
from connector.use_cases.run_due import run_due as charge_due
from connector.use_cases.work_write_backs import work_write_backs


@click.command()
@click.option("--location", "slug", default=None, help="Only this location.")
@json_option
def run_due(slug: str | None, as_json: bool) -> None:
    """Charge what is due now and write it to the practice systems.

    It may be stopped and run again at any time: nothing is charged or written twice.
    """
    with opened(stripe=True) as context:
        location_id = find_location(context, slug).id if slug else None
        # Stripe's news first: what was decided meanwhile must not be asked for again.
        before = read_news(context)
        due = charge_due(context, location_id)
        after = read_news(context)
        tallies = work_write_backs(context, location_id)
    problems = [*before.problems, *due.problems, *after.problems, *(t.problem for t in tallies.values() if t.problem)]
    problems = list(dict.fromkeys(problems))
    written: dict[str, Any] = {
        slug: {k: v for k, v in _plain(t).items() if k != "problem"} for slug, t in tallies.items()
    }
    if as_json:
        print_json(
            {
                "invoiced": due.invoiced,
                "charged": due.charged,
                "without_method": due.without_method,
                "events": before.new + after.new,
                "write_backs": written,
                "problems": problems,
            }
        )
    else:
        click.echo(f"Invoiced {due.invoiced}, worked on {due.charged} charges, read {before.new + after.new} events.")
        if due.without_method:
            click.echo(f"{due.without_method} invoices wait for a payment method.")
        for name, counts in written.items():
            click.echo(f"{name}: " + ", ".join(f"{count} {state}" for state, count in counts.items() if count) + ".")
        for problem in problems:
            click.echo(f"Problem: {visible(problem)}", err=True)
    if problems:
        sys.exit(1)


def _plain(tally: object) -> dict[str, Any]:
    return {name: value for name, value in vars(tally).items() if not name.startswith("_")}
