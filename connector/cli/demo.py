"""`connector demo`: see the whole main job on embedded defaults, without any account or practice system."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from connector.cli.counts import Count
from connector.cli.output import console, fail, json_option, print_json
from connector.cli.report import print_report
from connector.sandbox.demo.show import Result, play


@click.command()
@click.option(
    "--exit", "leave", is_flag=True, help="End after the result. (It always ends until there are pages to serve.)"
)
@click.option("--members", default=1_000, show_default=True, type=Count(10, 1_600))
@click.option(
    "--folder", default=Path("demo-data"), show_default=True, type=click.Path(file_okay=False, path_type=Path)
)
@json_option
def demo(leave: bool, members: int, folder: Path, as_json: bool) -> None:  # noqa: ARG001
    """Play three months of a practice with a simulated Stripe and a simulated Open Dental, trouble included."""
    out = console(err=as_json)
    # Whoever asks it to stop, and even when a shell has started it with Ctrl-C ignored, no sandbox stays behind.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    result = play(members, folder, out.print)
    if as_json:
        print_json(result.as_json())
    else:
        print_report(result.report)
        _next(result, folder)
    if not result.faultless:
        fail("The two sandboxes do not agree with our book: see the figures above.", as_json=False)


def _next(result: Result, folder: Path) -> None:
    verdict = result.verdict
    out = console()
    out.print(f"\nThree months in {result.wall_seconds:.0f} seconds.", style="bold")
    out.print(f"Stripe took {verdict.charges_succeeded:,} payments, {verdict.charged_cents / 100:,.2f} AUD.")
    out.print(f"The practice system holds {verdict.entries:,} entries of ours, {verdict.written_cents / 100:,.2f} AUD.")
    out.print(
        f"{result.waiting:,} wait for a person or their time; {result.in_review} members are to be linked by hand."
    )
    out.print(
        f"Doubled in the practice system: {verdict.duplicates_in_pms}. Lost: {verdict.lost}. "
        f"Unexplained: {verdict.unexplained_cents / 100:.2f}.",
        style="green" if result.faultless else "red",
    )
    executable = Path(sys.argv[0]).as_posix()
    out.print("\nWhere to look next:", style="bold")
    for command in ("write-backs list --location demo", "links list --location demo", "ledger verify"):
        out.print(f"  CONNECTOR_DATA_DIR={folder.as_posix()} {executable} {command}", soft_wrap=True)
