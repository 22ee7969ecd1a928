"""Options that mean something only when they are filled: an empty variable in a script must not widen what is done."""

from __future__ import annotations

from typing import Any

import click


class Filled(click.ParamType[str]):
    """Any text but an empty one, which would otherwise be taken for an option that was left out."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if not text.strip():
            self.fail("It is empty: give a value, or leave the option out.", param, ctx)
        return text


FILLED = Filled()
