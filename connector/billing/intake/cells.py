"""Owns what one cell of a CSV file may hold, whatever the file is about, and how cells are kept from being formulas.

Reasons quote no value of the file, because values are personal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from connector.billing.agreements.schedule import Frequency
from connector.billing.policy import FeeBearer
from connector.errors import DomainError
from connector.money import CENTS_MAX, Money
from connector.unseen import holds_unseen

EARLIEST = date(1900, 1, 1)
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""A spreadsheet runs a cell that starts like this as a formula (OWASP, CSV injection); some also in full width."""
_RISKY = re.compile(f"'*[{re.escape(''.join(FORMULA))}]")
_GUARDED = re.compile(f"'+[{re.escape(''.join(FORMULA))}]")
_NOTHING = frozenset(["n/a", "#n/a", "na", "n.a.", "nil", "none", "null", "unknown", "tba", "tbc", "-", "?"])
_ISO = re.compile(r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})", re.ASCII)
_DAY_FIRST = re.compile(r"(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{4})", re.ASCII)


class BadCell(Exception):
    """Ends the checking of a row; whoever reads the file makes a RefusedRow of it."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column, self.reason = column, reason


def guarded(text: str) -> str:
    """The text with an apostrophe before it if a spreadsheet would run it as a formula; `unguarded` takes it off."""
    return f"'{text}" if _RISKY.match(text) else text


def unguarded(text: str) -> str:
    """What `guarded` was given. An apostrophe that guards nothing, as in 't Hooft, belongs to the text."""
    return text[1:] if _GUARDED.match(text) else text


def text_cell(cells: Mapping[str, str], column: str, longest: int) -> str:
    """Any text, with single spaces; empty when the column is not there. Raises BadCell."""
    raw = cells.get(column, "")
    if raw.lstrip(" ").startswith(FORMULA):
        raise BadCell(column, "The cell starts like a formula of a spreadsheet (=, +, -, @, tab): correct it.")
    text = " ".join(raw.split())
    if holds_unseen(text):
        raise BadCell(column, "The cell has characters that cannot be seen: type it again.")
    if len(text) > longest:
        raise BadCell(column, f"The cell is longer than {longest} characters.")
    return text


def value_cell(cells: Mapping[str, str], column: str) -> str:
    """The trimmed cell of a column with a form of its own. Raises BadCell."""
    text = cells.get(column, "").strip()
    if text.lower() in _NOTHING:
        raise BadCell(column, "The cell says that nothing is known: leave it blank instead.")
    return text


def date_cell(cells: Mapping[str, str], column: str, latest: date, too_late: str) -> date | None:
    """A date, year first or day first. Raises BadCell for what is none, or is after `latest`."""
    text = value_cell(cells, column)
    if not text:
        return None
    found = _ISO.fullmatch(text) or _DAY_FIRST.fullmatch(text)
    if found is None:
        raise BadCell(column, "This is not a date: write it like 1980-12-31 or 31/12/1980, or leave it blank.")
    try:
        day = date(int(found["y"]), int(found["m"]), int(found["d"]))
    except ValueError:
        raise BadCell(column, "There is no such day in the calendar: dates are read day first.") from None
    if day < EARLIEST:
        raise BadCell(column, f"The date is before {EARLIEST.year}.")
    if day > latest:
        raise BadCell(column, f"The date is {too_late}.")
    return day


def amount_cell(cells: Mapping[str, str], column: str, currency: str) -> Money | None:
    """An amount, which may be zero or less; None when the cell is blank. Raises BadCell."""
    text = value_cell(cells, column)
    try:
        return Money.parse(text, currency) if text else None
    except DomainError:
        most = Money(CENTS_MAX, currency).decimal
        raise BadCell(column, f"This is not an amount in whole cents up to {most}: write it like 29.90.") from None


def frequency_cell(cells: Mapping[str, str], column: str = "frequency") -> Frequency | None:
    """How often; None when the cell is blank. Raises BadCell."""
    text = value_cell(cells, column).lower()
    if text and text not in list(Frequency):
        raise BadCell(column, f"Choose one of {', '.join(Frequency)}, or leave it blank.")
    return Frequency(text) if text else None


def fee_bearer_cell(cells: Mapping[str, str]) -> FeeBearer | None:
    """Who bears the platform's fee by what was agreed; None when the cell is blank. Raises BadCell."""
    text = value_cell(cells, "fee_bearer").lower()
    if text and text not in list(FeeBearer):
        raise BadCell("fee_bearer", f"Choose one of {', '.join(FeeBearer)}, or leave it blank.")
    return FeeBearer(text) if text else None


def check_currency(cells: Mapping[str, str], currency: str) -> None:
    """Raise BadCell unless the column `currency` is blank or names the location's."""
    text = value_cell(cells, "currency").lower()
    if text and text != currency:
        raise BadCell("currency", f"The location charges in {currency.upper()}: amounts of another cannot be imported.")
