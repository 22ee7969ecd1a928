"""`python -m tests.benchmarks [--only NAME] [--json]`: run the benchmarks and print each figure beside its baseline."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from connector.logs import configure
from connector.settings import LogSettings
from tests.benchmarks.measure import Figure, machine

BENCHMARKS = ("write_back", "latency", "ingest", "billing", "daemon", "recovery", "day_report", "simulation")


def main() -> None:
    """Run the chosen benchmarks one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="run this one; may be given repeatedly")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    configure(LogSettings(level="error"))
    progress = Console(stderr=True)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="connector-bench-", ignore_cleanup_errors=True) as place:
        facts = machine(Path(place))
        for name in options.only or BENCHMARKS:
            folder = Path(place) / name
            folder.mkdir()
            started = time.monotonic()
            progress.print(f"{name} ...", end=" ")
            figures += importlib.import_module(f"tests.benchmarks.{name}").run(folder)
            progress.print(f"{time.monotonic() - started:.0f} s")
    if options.json:
        json.dump({"machine": facts, "figures": [figure.as_json() for figure in figures]}, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _print(facts, figures)


def _print(facts: dict[str, str], figures: list[Figure]) -> None:
    out = Console(width=None if sys.stdout.isatty() else 170)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("Figure", "Measured", "Baseline", "Ratio", "Bar", "Met", "Note"):
        table.add_column(heading, justify="right" if heading in ("Measured", "Ratio") else "left")
    for figure in figures:
        table.add_row(
            figure.name,
            f"{_number(figure.measured)} {figure.unit}",
            "" if figure.baseline is None else f"{_number(figure.baseline)} {figure.baseline_name}",
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            _bar(figure),
            {True: "yes", False: "NO", None: ""}[figure.met],
            figure.note,
        )
    out.print(table)
    out.print("  ".join(f"{name}: {value}" for name, value in facts.items()), style="dim")


def _bar(figure: Figure) -> str:
    if figure.bar is None:
        return ""
    sense = "at least" if figure.at_least else "at most"
    return f"{sense} {figure.bar:g}{'x' if figure.by_ratio else f' {figure.unit}'}"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


if __name__ == "__main__":
    main()
