"""Counts as people type them."""

from __future__ import annotations

import re
from typing import Any

import click

_WHOLE = re.compile(r"-?[0-9]+", re.ASCII)


class Count(click.IntRange):
    """A whole number in the digits 0 to 9; `1_0` and full-width digits are slips that Python would read as numbers."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, str) and not _WHOLE.fullmatch(value):
            self.fail(f"{value!r} is not a whole number: write it like 12.", param, ctx)
        return int(super().convert(value, param, ctx))


COUNT = Count(max=1_000_000)
"""Where the use case itself says what is too few."""
