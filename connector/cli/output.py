"""How commands print: tables for people, one JSON document for machines, refusals as one sentence."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console
from rich.table import Table

F = TypeVar("F", bound=Callable[..., Any])

json_option: Callable[[F], F] = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")

_ID = re.compile(r"[a-z]+_[0-9A-Z]{20}|\d{4}-\d\d-\d\d")
"""Ids and dates must stay in one piece, to be copied."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


_UNSEEN = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Control characters, which command a terminal, those that turn the direction of text, and halves of characters."""
_COMMANDS = re.compile(f"[{_UNSEEN}]")
_COMMANDS_IN_JSON = re.compile(f"(?!\n)[{_UNSEEN}]")


def visible(text: str) -> str:
    """The text on one line, with a question mark for whatever would command the terminal instead of being shown."""
    return _COMMANDS.sub("?", text)


def console(*, err: bool = False) -> Console:
    """A console that keeps its tables whole when the output is not a terminal, and shows every text as it is."""
    # What it prints comes from files and other systems: square brackets and colons in it are no instructions.
    out = Console(stderr=err, highlight=False, markup=False, emoji=False)
    if not out.is_terminal:
        out.width = 160
    return out


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str)
    click.echo(_COMMANDS_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], right: Iterable[int] = ()
) -> None:
    """A table; `right` names the columns of figures. A list in a cell stands for its lines. Says so without rows."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    figures = set(right)
    rows = [list(row) for row in rows]
    for index, column in enumerate(columns):
        whole = any(_ID.fullmatch(str(row[index])) for row in rows)
        table.add_column(column, justify="right" if index in figures else "left", overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(_cell(cell) for cell in row))
    out = console()
    out.print(visible(title), style="bold")
    out.print(table if table.rows else "None.")


def _cell(cell: object) -> str:
    lines = cell if isinstance(cell, list) else [cell]
    return "\n".join(visible(str(line)) for line in lines)


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """CSV on standard output. A text that a spreadsheet would run as a formula gets an apostrophe."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)


def _harmless(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    guarded = f"'{cell}" if cell.startswith(_FORMULA) else cell
    # The writer does not quote a carriage return that is not part of its line end, so it would break the row.
    return "\n".join(map(visible, guarded.replace("\r\n", "\n").replace("\r", "\n").split("\n")))


def dollars(cents: int) -> str:
    """Cents as 1,234.50."""
    return f"{cents / 100:,.2f}" if abs(cents) < 10**15 else str(cents)


def fail(sentence: str, *, as_json: bool) -> NoReturn:
    """End with exit code 1 and one sentence."""
    if as_json:
        print_json({"error": sentence})
    else:
        click.echo(f"Error: {visible(sentence)}", err=True)
    sys.exit(1)
