"""`connector export`: everything that is held, as files, for whoever leaves or moves to another installation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from connector.cli.context import actor, opened
from connector.cli.filled import FILLED
from connector.cli.output import console, json_option, print_json, visible
from connector.errors import DomainError
from connector.use_cases.transfer.export_everything import export_everything

PERSONAL = "The files hold personal data: keep them from others, and delete them when they are used."
STOPS = "This installation will bill nobody any more, and another one has to take over."
BOTH = "This installation goes on charging: stop it before another one begins, e.g. with --and-stop."


@click.command("export")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--location", "slug", type=FILLED, help="Short name of the only location to export; by default all.")
@click.option("--and-stop", is_flag=True, help="End the billing here once the files are complete.")
@click.option("--yes", is_flag=True, help="Do not ask before the billing ends; needed with --json.")
@json_option
def export(folder: Path, slug: str | None, and_stop: bool, yes: bool, as_json: bool) -> None:
    """Write everything into the empty folder DIR as CSV, with README.txt that explains each file.

    members.csv and payment-plans.csv are what `import-members` and `import-payment-plans` of another installation
    take, so that nobody has to sign up again. With --and-stop this installation bills nobody any more.
    """
    if and_stop and not yes:
        if as_json:
            raise DomainError(f"{STOPS} Repeat with --yes to export and stop.")
        click.confirm(f"{STOPS} Export and stop?", abort=True)
    with opened() as context:
        report = export_everything(
            context, folder, slug=slug, stop=and_stop, actor=actor(), progress=None if as_json else _progress()
        )
    if as_json:
        document = {"folder": str(folder), "rows": report.rows, "by_hand": report.by_hand, "stopped": report.stopped}
        print_json({**document, "warning": PERSONAL if and_stop else f"{PERSONAL} {BOTH}"})
        return
    click.echo(f"{sum(report.rows.values()):,} rows in {len(report.rows)} files; README.txt explains them.")
    if report.by_hand:
        click.echo(f"{report.by_hand} matters are to be settled by hand: see by-hand.csv.")
    click.echo(PERSONAL)
    click.echo(f"{report.stopped} agreements are not billed here any more." if and_stop else BOTH)


def _progress() -> Callable[[str, int], None]:
    """On a terminal, one line for each file and each thousand rows."""
    terminal = console(err=True).is_terminal

    def tell(name: str, rows: int) -> None:
        if terminal:
            click.echo(f"{visible(name)}: {rows:,} rows", err=True)

    return tell
