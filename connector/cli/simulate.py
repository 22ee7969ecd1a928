"""`connector simulate`: months of a practice with crashes and faults, judged by somebody who shares no rule with us."""

from __future__ import annotations

import sys

import click

from connector.cli.counts import Count
from connector.cli.output import console, json_option, print_json
from connector.simulation.faults import LEVELS
from connector.simulation.simulate import CALM_DAYS, DATABASES, FIRST_DAY, Outcome, Wanted, shortest
from connector.simulation.simulate import simulate as play
from connector.simulation.surroundings import OFFICES


@click.command()
@click.option("--days", default=60, show_default=True, type=Count(1, 3_660))
@click.option("--members", default=200, show_default=True, type=Count(1, 2_000))
@click.option("--seed", default=1, show_default=True, type=Count(0), help="The same seed makes the same run.")
@click.option("--faults", default="heavy", show_default=True, type=click.Choice(list(LEVELS)))
@click.option("--pms", default="open_dental", show_default=True, type=click.Choice(list(OFFICES)))
@click.option("--database", default="sqlite", show_default=True, type=click.Choice(DATABASES))
@json_option
def simulate(days: int, members: int, seed: int, faults: str, pms: str, database: str, as_json: bool) -> None:
    """Run the real product on a moved clock against both sandboxes, and count broken promises.

    Ends with 0 when every promise was kept, and with 1 and the story of a payment when one was broken.
    """
    out = console(err=True)
    wanted = Wanted(days, members, seed, faults, pms, database)

    def tell(number: int) -> None:
        if out.is_terminal:
            out.print(f"Day {number} of {days + CALM_DAYS} ...", end="\r")

    outcome = play(wanted, lambda today: tell((today - FIRST_DAY).days + 1))
    if as_json:
        print_json(outcome.as_json())
    else:
        _show(outcome)
    if not outcome.kept:
        _accuse(wanted, outcome)
        sys.exit(1)


def _show(outcome: Outcome) -> None:
    out = console()
    fields = outcome.as_json()
    faults = fields.pop("faults")
    for name, value in fields.items():
        out.print(f"{name.replace('_', ' '):28} {value:>14,}" if name != "seed" else f"{name:28} {value:>14}")
    out.print("\nWhat went wrong, and how often:", style="bold")
    out.print(", ".join(f"{name.replace('_', ' ')} {count}" for name, count in faults.items()), soft_wrap=True)
    style = "green" if outcome.kept else "red"
    out.print("\nEvery promise was kept." if outcome.kept else "\nA promise was broken.", style=style)


def _accuse(wanted: Wanted, outcome: Outcome) -> None:
    """The broken promises, and the shortest run that shows one."""
    out = console(err=True)
    for violation in outcome.verdict.violations:
        out.print(f"{violation.kind}: {violation.about}: {violation.sentence}", soft_wrap=True)
    out.print("Looking for the fewest days that show it ...")
    short = shortest(wanted)
    seen = short.wanted
    out.print(
        f"Seen again by: connector simulate --days {seen.days} --members {seen.members} --seed {seen.seed} "
        f"--faults {seen.faults} --pms {seen.pms} --database {seen.database}",
        soft_wrap=True,
    )
    for violation, lines in short.stories.items():
        out.print(f"\n{violation.kind}: {violation.about}: {violation.sentence}", style="bold", soft_wrap=True)
        for line in lines:
            out.print(f"  {line}", soft_wrap=True)
