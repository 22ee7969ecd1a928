"""How values look in Open Dental's JSON: what callers may send, what they get, and errors as one sentence.

The forms are uneven on purpose: so are the real ones (some amounts and keys are strings, booleans always are).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TypeVar

NULL_DATE = "0001-01-01"
_LARGEST_AMOUNT = Decimal(99_999_999)
_LARGEST_NUMBER = 10**18
_OLDEST_YEAR = 1880

T = TypeVar("T")

Source = Mapping[str, object]
"""Query parameters or a JSON body; numbers with a fraction arrive as Decimal."""


class ApiError(Exception):
    """A refusal as the API words it: a status and one sentence for people."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Call:
    """One request after the gate: its query, its body, and the number in its path (0 when there is none)."""

    query: Source
    body: Source = field(default_factory=dict)
    key: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; `location` is the path of a created row."""

    content: object
    status: int = 200
    location: str = ""


def integer(source: Source, name: str) -> int | None:
    """A whole number, given as a number or as text; None when it is absent. Raises ApiError 400."""
    value = source.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_NUMBER:
        return value
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value.strip()):
        return int(value)
    raise ApiError(400, f"{name} is invalid.")


def amount(source: Source, name: str) -> int | None:
    """Cents of an amount, given as a number or as text; None when it is absent. Raises ApiError 400."""
    value = source.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ApiError(400, f"{name} is invalid.")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ApiError(400, f"{name} is invalid.") from None
    if not number.is_finite() or abs(number) > _LARGEST_AMOUNT or number * 100 != (number * 100).to_integral_value():
        raise ApiError(400, f"{name} is invalid.")
    return int(number * 100)


def day(source: Source, name: str) -> str | None:
    """A date as yyyy-MM-dd; None when it is absent. Raises ApiError 400, also for a year before 1880."""
    value = source.get(name)
    if value is None or value in ("", NULL_DATE):
        return None
    try:
        parsed = date.fromisoformat(str(value))
    except ValueError:
        parsed = date.min
    if parsed.isoformat() != value or parsed.year < _OLDEST_YEAR:
        raise ApiError(400, f"{name} is invalid. Use the format yyyy-MM-dd.")
    return value


def moment(source: Source, name: str) -> str | None:
    """A local time as yyyy-MM-dd HH:mm:ss (or only its date); None when it is absent. Raises ApiError 400."""
    value = source.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}( \d{2}:\d{2}:\d{2})?", value):
        return value
    raise ApiError(400, f"{name} is invalid. Use the format yyyy-MM-dd HH:mm:ss.")


def text(source: Source, name: str, length: int = 0) -> str | None:
    """Text as the office's database keeps it: cleaned, and cut to `length` without a word; None when it is absent."""
    value = source.get(name)
    if value is None:
        return None
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        raise ApiError(400, f"{name} is invalid.")
    kept = re.sub(r"[ \t]{4,}", "   ", re.sub(r"(\r\n){4,}", "\r\n\r\n\r\n", str(value).replace("\0", "")))
    return kept[:length] if length else kept


def flag(source: Source, name: str) -> bool:
    """A boolean, which travels as the text 'true' or 'false'; absent means false. Raises ApiError 400."""
    value = source.get(name)
    if value is None or value == "":
        return False
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ApiError(400, f"{name} is invalid. Use true or false.")


def required(read: Callable[[Source, str], T | None], source: Source, name: str) -> T:
    """What `read` finds under the name. Raises ApiError 400 when there is nothing."""
    value = read(source, name)
    if value is None:
        raise ApiError(400, f"{name} is required.")
    return value


def shown(stored: str) -> str:
    """Stored text as an answer shows it."""
    return stored.replace("\r\n", " ")


def number(cents: int) -> int | float:
    """Cents as a JSON number of whole units; an amount without cents has no fraction."""
    return cents // 100 if cents % 100 == 0 else cents / 100


def money_text(cents: int) -> str:
    """Cents as text without trailing zeros: '39', '0.6', '-12.05'."""
    sign, whole, rest = "-" if cents < 0 else "", abs(cents) // 100, abs(cents) % 100
    return f"{sign}{whole}.{rest:02d}".rstrip("0").rstrip(".")


def truth(value: object) -> str:
    """A boolean as the API spells it."""
    return "true" if value else "false"
