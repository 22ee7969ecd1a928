"""What a measurement is, how repeated runs become one figure, and what is known about the machine."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FSYNCS = 500


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity. `bar` bounds the ratio to the baseline, or the measurement itself when there is none."""

    name: str
    measured: float
    unit: str
    baseline: float | None = None
    baseline_name: str = ""
    bar: float | None = None
    """None: for information only."""
    at_least: bool = False
    """Whether the bar is a least value; otherwise it is a greatest one."""
    by_ratio: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.measured / self.baseline if self.baseline else None

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without a bar."""
        value = self.ratio if self.by_ratio else self.measured
        if self.bar is None or value is None:
            return None
        return value >= self.bar if self.at_least else value <= self.bar

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "measured": round(self.measured, 4),
            "unit": self.unit,
            "baseline": None if self.baseline is None else round(self.baseline, 4),
            "baseline_name": self.baseline_name,
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "bar": self.bar,
            "bar_on": "ratio" if self.by_ratio else "measured",
            "bar_sense": "at least" if self.at_least else "at most",
            "met": self.met,
            "note": self.note,
        }


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def alternating(rounds: int, *works: Callable[[], float]) -> list[list[float]]:
    """Run the works in turn, so that a disturbance hits all alike; the results of each, in the order of the works."""
    results: list[list[float]] = [[] for _ in works]
    for number in range(rounds):
        order = list(enumerate(works))
        for place, work in order if number % 2 == 0 else reversed(order):
            results[place].append(work())
    return results


def spread(values: Sequence[float]) -> str:
    """The range of repeated runs, as a note beside their median."""
    return f"{len(values)} runs, {min(values):,.0f} to {max(values):,.0f}"


def percentile(values: Sequence[float], share: int) -> float:
    """The value that `share` of a hundred do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


def fsyncs_per_second(folder: Path) -> float:
    """How many 8 kB writes a second reach the disk for certain."""
    with (folder / "fsync-probe").open("wb", buffering=0) as file:

        def write() -> None:
            for _ in range(FSYNCS):
                file.seek(0)
                file.write(b"x" * 8192)
                os.fsync(file.fileno())

        return FSYNCS / seconds(write)


def machine(folder: Path) -> dict[str, str]:
    """The facts without which absolute numbers mean nothing."""
    from connector.database.engine import sqlite_version

    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "processors": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite_version(),
        "fsync per second": f"{fsyncs_per_second(folder):,.0f}",
        "load before the run": load,
    }
