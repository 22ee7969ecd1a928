"""Days and months as people type them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

FIRST_YEAR, LAST_YEAR = 2000, 2199
"""A year beyond these is a slip of the finger, and near the ends of the calendar no zone and no next day exists."""


class PlainDay(click.DateTime):
    """A day or a month in the digits 0 to 9; Python would read those of other scripts, too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, str) and not value.isascii():
            self.fail(f"{value!r} is not a date: write it like {self._example}.", param, ctx)
        found: datetime = super().convert(value, param, ctx)
        return found

    @property
    def _example(self) -> str:
        return f"{datetime(2026, 12, 31):{self.formats[0]}}"  # noqa: DTZ001 - a day has no zone


class BusinessTime(PlainDay):
    """A day or a month within the years of business."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        found = super().convert(value, param, ctx)
        if not FIRST_YEAR <= found.year <= LAST_YEAR:
            self.fail(f"{value} is not in the years from {FIRST_YEAR} to {LAST_YEAR}: check the year.", param, ctx)
        return found


DAY = BusinessTime(["%Y-%m-%d"])
BIRTHDAY = PlainDay(["%Y-%m-%d"])
MONTH = BusinessTime(["%Y-%m"])
