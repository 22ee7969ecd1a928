"""Secrets that are asked for, so that they need not stand on the command line, which others can read."""

from __future__ import annotations

import sys

import click

from connector.cli.output import visible

LINE_MAX = 100_000
"""Bytes of what is piped in."""


def asked(what: str, hint: str) -> str:
    """At a prompt that does not show it; what is no terminal is read, one line for each. `hint`: where it belongs."""
    if sys.stdin.isatty():
        return str(click.prompt(visible(what), hide_input=True, err=True))
    line = sys.stdin.readline(LINE_MAX).strip()
    if not line:
        raise click.BadParameter(f"Nothing was given for {what!r}: type it, or pipe it in.", param_hint=hint)
    return line
