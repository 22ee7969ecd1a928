"""Owns how CSV files of people are read: the cells of each data row by their columns, or why it cannot be read.

A bad row never spoils its neighbours: a stray quotation mark or a byte of another encoding costs only its own line.
Reading is streaming. Reasons quote no value of the file, because values are personal.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from connector.billing.intake.card_numbers import CARD_NUMBER, holds_card_number
from connector.billing.intake.cells import unguarded
from connector.errors import DomainError

LINE_MAX = 20_000
"""Characters of one line with its end; a longer one is no list of members, and must not fill the memory."""
CONTINUED_MAX = 20
"""Lines that one row may take because of line breaks inside quotation marks."""
HEAD = 65_536
"""Bytes that are searched for NUL before anything is read: UTF-16 and Excel workbooks have some at once."""
_NOT_UTF8 = re.compile(r"[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that stays out."""

    line: int
    """Where the row starts; the first line of the file is 1."""
    column: str
    """Empty when the row as a whole is meant."""
    reason: str


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one kind of file."""

    required: Sequence[str]
    known: Collection[str]
    """None of these may be there twice; columns with other names are ignored."""
    broken: Collection[str] = ()
    """Those of the known ones whose cells may have line breaks. Elsewhere they mean that a stray quotation mark has
    swallowed good rows."""


def read_rows(stream: BinaryIO, columns: Columns) -> Iterator[tuple[int, dict[str, str]] | RefusedRow]:
    """Line and cells by column of each data row of a seekable stream, in order; blank rows are no data.

    UTF-8 with or without a byte order mark, separated by commas or semicolons, columns in any order. The stream stays
    open. Raises DomainError when nothing can be read at all: an empty file, no text, or a header that cannot be used.
    """
    stream.seek(0)
    if b"\0" in stream.read(HEAD):
        raise DomainError("This is not a text file: save the list as 'CSV UTF-8' and import that.")
    stream.seek(0)
    text = _text_of(stream)
    try:
        lines = _lines(text)
        header, delimiter = _top(lines, columns)
        for row in _rows(lines, header, delimiter, columns):
            if isinstance(row, RefusedRow):
                yield row
            elif any(cell.strip() for cell in row[1]):
                yield _named(*row, header)
    finally:
        if not stream.closed:
            text.detach()


def ignored_columns(stream: BinaryIO, columns: Columns) -> list[str]:
    """The columns of a file that `read_rows` can read whose cells nobody looks at, in the order of the file."""
    stream.seek(0)
    text = _text_of(stream)
    try:
        header, _ = _top(_lines(text), columns)
    finally:
        text.detach()
    return [name for name in header if name and name not in columns.known and name not in columns.required]


def _text_of(stream: BinaryIO) -> io.TextIOWrapper:
    """Bytes that are not UTF-8 survive as lone surrogates, so that only their own row is refused."""
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline=None)


def _top(lines: Iterator[tuple[int, str]], columns: Columns) -> tuple[list[str], str]:
    """The header, which is taken from the lines, and what separates its cells. Raises DomainError."""
    top = next((line for _, line in lines if line.strip()), "")
    delimiter = ";" if top.count(";") > top.count(",") else ","
    return _header(top, delimiter, columns), delimiter


def _named(line: int, row: Sequence[str], header: Sequence[str]) -> tuple[int, dict[str, str]] | RefusedRow:
    if any(map(holds_card_number, row)):
        return RefusedRow(line, "", CARD_NUMBER)
    if len(row) != len(header):
        return RefusedRow(line, "", f"The row has {len(row)} cells, but there are {len(header)} columns.")
    return line, dict(zip(header, map(unguarded, row), strict=True))


def _lines(text: io.TextIOWrapper) -> Iterator[tuple[int, str]]:
    """Physical lines with their numbers; of one that is too long only the beginning, which still tells that it is."""
    number = 0
    while line := text.readline(LINE_MAX + 1):
        number += 1
        yield number, line
        while len(line) > LINE_MAX and not line.endswith("\n"):
            line = text.readline(LINE_MAX + 1)


def _header(line: str, delimiter: str, columns: Columns) -> list[str]:
    """The column names in our spelling. Raises DomainError when one is missing or there twice."""
    if not line:
        raise DomainError("The file is empty: its first line must name the columns.")
    names = [re.sub(r"[\s_-]+", "_", cell.strip().lower()) for cell in _split(line, delimiter) or []]
    missing = [column for column in columns.required if column not in names]
    if missing:
        raise DomainError(f"The first line does not name the column {' or '.join(missing)}: nothing was imported.")
    twice = sorted(column for column in columns.known if names.count(column) > 1)
    if twice:
        raise DomainError(f"The first line names the column {twice[0]} twice: nothing was imported.")
    return names


def _rows(
    lines: Iterator[tuple[int, str]], header: Sequence[str], delimiter: str, columns: Columns
) -> Iterator[tuple[int, list[str]] | RefusedRow]:
    """Split lines into cells; a line that cannot be split is joined with the next ones if that makes a row of them."""
    ahead: deque[tuple[int, str]] = deque()
    while line := ahead.popleft() if ahead else next(lines, None):
        number, text = line
        if reason := _unreadable(text):
            yield RefusedRow(number, "", reason)
            continue
        cells, used = _split(text, delimiter), 0
        # An odd number of quotation marks leaves one open: the row goes on until another line closes it.
        while cells is None and text.count('"') % 2 and used < CONTINUED_MAX:
            if used == len(ahead):
                ahead.extend(islice(lines, 1))
            if used == len(ahead) or _unreadable(ahead[used][1]):
                break
            text, used = text + ahead[used][1], used + 1
        if cells is None and (cells := _joined(text, header, delimiter, columns)):
            ahead = deque(islice(ahead, used, None))
        if cells is None:
            yield RefusedRow(number, "", "A quotation mark is not closed, or stands inside a cell: correct the row.")
        else:
            yield number, cells


def _joined(text: str, header: Sequence[str], delimiter: str, columns: Columns) -> list[str] | None:
    """The cells of lines that belong together, or None if they do not."""
    cells = _split(text, delimiter)
    if cells is None or len(cells) != len(header):
        return None
    broken = {column for column, cell in zip(header, cells, strict=True) if "\n" in cell}
    return None if broken & (set(columns.known) - set(columns.broken)) else cells


def _unreadable(text: str) -> str:
    """Why the line cannot be looked at more closely; empty when it can."""
    if len(text) > LINE_MAX:
        return f"The line is longer than {LINE_MAX:,} characters."
    if not text.isascii() and _NOT_UTF8.search(text):
        return "The row has characters that are not UTF-8: save the list as 'CSV UTF-8' and import it again."
    return "The row has bytes that are not text." if "\0" in text else ""


def _split(text: str, delimiter: str) -> list[str] | None:
    """The cells, or None when the quotation marks do not pair up."""
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None
