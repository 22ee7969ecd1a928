"""Days and months of business as people type them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

FIRST_YEAR, LAST_YEAR = 2000, 2199
"""A year beyond these is a slip of the finger, and near the ends of the calendar no zone and no next day exists."""


class BusinessTime(click.DateTime):
    """A day or a month within the years of business."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        found: datetime = super().convert(value, param, ctx)
        if not FIRST_YEAR <= found.year <= LAST_YEAR:
            self.fail(f"{value} is not in the years from {FIRST_YEAR} to {LAST_YEAR}: check the year.", param, ctx)
        return found


DAY = BusinessTime(["%Y-%m-%d"])
MONTH = BusinessTime(["%Y-%m"])
