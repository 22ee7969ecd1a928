"""`connector resume`: catch up after the database was set back, then work on."""

from __future__ import annotations

import sys

import click

from connector.cli.context import actor, opened
from connector.cli.output import dollars, json_option, print_json, print_table, visible
from connector.use_cases.continuity.resume import Resumption
from connector.use_cases.continuity.resume import resume as resume_work


@click.command()
@json_option
def resume(as_json: bool) -> None:
    """Adopt what was done since this database was saved, and work on.

    For a database that was restored from a backup, or a copy that is to be the only one from now on. First make sure
    that no other copy runs. It may be said again at any time.
    """
    with opened(stripe=True) as context:
        report = resume_work(context, actor())
    if as_json:
        print_json(_document(report))
    else:
        _tell(report)
    if not report.done:
        sys.exit(1)


def _document(report: Resumption) -> dict[str, object]:
    return {
        "since": report.since.isoformat(),
        "invoiced": report.invoiced,
        "adopted": report.adopted,
        "strangers": [
            {"payment": listed.processor_id, "created": listed.created.isoformat(), "cents": listed.amount.cents}
            for listed in report.strangers
        ],
        "problems": report.problems,
        "done": report.done,
    }


def _tell(report: Resumption) -> None:
    click.echo(
        f"Looked at everything since {report.since:%d/%m/%Y %H:%M} UTC: issued {report.invoiced} invoices again, and "
        f"adopted {report.adopted} payments that Stripe knew."
    )
    if report.strangers:
        print_table(
            "Payments that belong to nothing in this database: look at each in Stripe's dashboard",
            ("payment at Stripe", "created (UTC)", "amount"),
            [
                (listed.processor_id, f"{listed.created:%d/%m/%Y %H:%M}", dollars(listed.amount.cents))
                for listed in report.strangers
            ],
            right=(2,),
        )
    for problem in report.problems:
        click.echo(f"Problem: {visible(problem)}", err=True)
    click.echo("The work goes on." if report.done else "Nothing is sent yet: mend this, then say it again.")
