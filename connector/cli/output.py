"""How commands print: tables for people, one JSON document for machines, refusals as one sentence."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any, NoReturn, TypeVar

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from connector.errors import DomainError
from connector.unseen import COMMANDS

F = TypeVar("F", bound=Callable[..., Any])

json_option: Callable[[F], F] = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


_COMMANDS = re.compile(f"[{COMMANDS}]")
_COMMANDS_IN_JSON = re.compile(f"(?!\n)[{COMMANDS}]")


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
    """A table; `right` names the columns of figures. A list in a cell stands for its lines. Says so without rows.

    Days are written DD/MM/YYYY.

    A terminal that it does not fit into gets a block of lines for each row instead; words are never torn.
    """
    texts = [[_cell(cell) for cell in row] for row in rows]
    out = console()
    out.print(visible(title), style="bold", soft_wrap=True)
    widths = _widths([list(columns), *texts], out.width if out.is_terminal else None)
    if not texts:
        out.print("None.")
    elif widths is None:
        _print_blocks(out, columns, texts)
    else:
        table = Table(header_style="bold", box=None, pad_edge=False)
        figures = set(right)
        for index, (column, width) in enumerate(zip(columns, widths, strict=True)):
            table.add_column(column, justify="right" if index in figures else "left", width=width)
        for row in texts:
            table.add_row(*row)
        out.width = max(out.width, sum(widths) + GAP * len(widths))
        out.print(table)


GAP = 2
"""Blanks between columns."""


def _widths(rows: Sequence[Sequence[str]], room: int | None) -> list[int] | None:
    """How wide each column is, as wide as it likes without `room`; None when words would have to be torn to fit."""
    columns = list(zip(*rows, strict=True))
    widths = [max(cell_len(line) for cell in column for line in cell.split("\n")) for column in columns]
    if room is None:
        return widths
    least = [max((cell_len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    excess = sum(widths) + GAP * (len(widths) - 1) - room
    while excess > 0:
        spare = [width - narrow for width, narrow in zip(widths, least, strict=True)]
        widest = max(range(len(widths)), key=lambda index: (spare[index] > 0, widths[index]))
        if spare[widest] <= 0:
            return None
        widths[widest] -= 1
        excess -= 1
    return widths


def _print_blocks(out: Console, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Each row as lines of name and value, because the table is wider than the terminal; empty values are left out."""
    margin = max(map(cell_len, columns)) + GAP
    for number, row in enumerate(rows):
        if number:
            out.print()
        for column, cell in zip(columns, row, strict=True):
            if cell:
                heading = f"{column}{' ' * (margin - cell_len(column))}"
                out.print(heading + cell.replace("\n", f"\n{' ' * margin}"), soft_wrap=True)


def _cell(cell: object) -> str:
    lines = cell if isinstance(cell, list) else [cell]
    return "\n".join(visible(f"{line:%d/%m/%Y}" if type(line) is date else str(line)) for line in lines)


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


def confirm(question: str, *, as_json: bool) -> None:
    """Ask before something that cannot be taken back. Raises DomainError where nobody can be asked; Abort on a no."""
    if as_json:
        raise DomainError(f"{question} With --json nobody can be asked: add --yes.")
    click.confirm(visible(question), abort=True)


def fail(sentence: str, *, as_json: bool) -> NoReturn:
    """End with exit code 1 and one sentence."""
    if as_json:
        print_json({"error": sentence})
    else:
        click.echo(f"Error: {visible(sentence)}", err=True)
    sys.exit(1)
