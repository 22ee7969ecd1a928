"""Owns the reading of a CSV file of members: a MemberRow or a RefusedRow for every data row.

A bad row never spoils its neighbours: a stray quotation mark or a byte of another encoding costs only its own line.
Reading is streaming; of rows gone by only digests are kept, to find duplicates. Reasons quote no value of the file.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import blake2b
from itertools import islice
from typing import BinaryIO

import phonenumbers

from connector.billing.schedule import Frequency
from connector.errors import DomainError

REQUIRED = ("given_name", "family_name")
TEXTS = {"id": 100, "given_name": 100, "family_name": 100, "address": 200, "suburb": 100, "state": 50, "postcode": 16}
"""Columns that hold any text, and the most characters that each may have."""
COLUMNS = frozenset([*TEXTS, "date_of_birth", "email", "phone", "frequency", "start_date", "stripe_payment_method"])
LINE_MAX = 20_000
"""Characters of one line with its end; a longer one is no list of members, and must not fill the memory."""
CONTINUED_MAX = 20
"""Lines that one row may take because of line breaks inside quotation marks."""
HEAD = 65_536
"""Bytes that are searched for NUL before anything is read: UTF-16 and Excel workbooks have some at once."""
EARLIEST = date(1900, 1, 1)
START_AHEAD = timedelta(days=366)
"""A later start is a slip of the pen, and would leave a member unbilled for years."""

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""A spreadsheet runs a cell that starts like this as a formula (OWASP, CSV injection); some also in full width."""
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that reverse the direction of the text after them."""
_NOT_UTF8 = re.compile(r"[\udc80-\udcff]")
_NOTHING = frozenset(["n/a", "#n/a", "na", "n.a.", "nil", "none", "null", "unknown", "tba", "tbc", "-", "?"])
_ISO = re.compile(r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})", re.ASCII)
_DAY_FIRST = re.compile(r"(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{4})", re.ASCII)
_PHONE = re.compile(r"[\d\s()+./-]{3,40}", re.ASCII)
_METHOD = re.compile(r"pm_[A-Za-z0-9_]{1,200}")
_EMAIL = re.compile(
    r"\w[\w.!#$%&'*+/=?^`{|}~-]{0,63}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]",
    re.ASCII | re.IGNORECASE,
)
"""Stricter than RFC 5322 on purpose: no quoted parts, no spaces, a domain with a dot, and no formula at the start.
What this refuses mail servers nearly always refuse, too; whether a mailbox exists only the first message tells."""
_DIGITS = re.compile(r"\d(?:[\s.-]?\d){12,}")


@dataclass(frozen=True, slots=True)
class MemberFileRules:
    """What the rows are measured against besides the file itself."""

    today: date
    """Business date of the location."""
    offered: frozenset[Frequency]
    """Frequencies at which the plan has a price."""
    frequency: Frequency = Frequency.MONTHLY
    """For rows that name none."""
    email_needed: bool = True
    """Whether each person will be invited by e-mail."""


@dataclass(frozen=True, slots=True, repr=False)
class MemberRow:
    """A person who may be imported; all texts are trimmed, and unknown ones are empty. The repr shows no field."""

    line: int
    external_id: str
    """The file's own id, or one that is derived from the person."""
    person_key: str
    given_name: str
    family_name: str
    date_of_birth: date | None
    email: str
    phone: str
    """E.164, e.g. '+61291234567'."""
    address: str
    suburb: str
    state: str
    postcode: str
    frequency: Frequency
    start_date: date | None
    processor_method_id: str

    def __repr__(self) -> str:
        return f"MemberRow(line {self.line})"


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that stays out."""

    line: int
    """Where the row starts; the first line of the file is 1."""
    column: str
    """Empty when the row as a whole is meant."""
    reason: str


def read_member_file(stream: BinaryIO, rules: MemberFileRules) -> Iterator[MemberRow | RefusedRow]:
    """Each data row of a seekable stream, once and in order; blank rows are no data. The stream stays open.

    UTF-8 with or without a byte order mark, separated by commas or semicolons, columns in any order, others ignored.
    Raises DomainError when nothing can be read at all: an empty file, no text, or a header that cannot be used.
    """
    if b"\0" in stream.read(HEAD):
        raise DomainError("This is not a text file: save the list as 'CSV UTF-8' and import that.")
    stream.seek(0)
    # Bytes that are not UTF-8 survive as lone surrogates, so that only their own row is refused.
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline=None)
    try:
        lines = _lines(text)
        top = next((line for _, line in lines if line.strip()), "")
        delimiter = ";" if top.count(";") > top.count(",") else ","
        header = _header(top, delimiter)
        earlier = _Earlier()
        for row in _rows(lines, header, delimiter):
            if isinstance(row, RefusedRow):
                yield row
            elif any(cell.strip() for cell in row[1]):
                yield _checked(*row, header, rules, earlier)
    finally:
        if not stream.closed:
            text.detach()


def person_key(given_name: str, family_name: str, date_of_birth: date | None, email: str) -> str:
    """The same for the same names, birth date and e-mail address, whatever their case, spacing or Unicode form."""
    parts = (given_name, family_name, date_of_birth.isoformat() if date_of_birth else "", email)
    plain = (" ".join(unicodedata.normalize("NFKC", part).casefold().split()) for part in parts)
    return blake2b("\x1f".join(plain).encode(), digest_size=16).hexdigest()


class _BadCell(Exception):
    """Ends the checking of a row; never leaves this module."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column, self.reason = column, reason


@dataclass(slots=True)
class _Earlier:
    """Where each id, person and payment method was accepted first."""

    _first: dict[bytes, int] = field(default_factory=dict)

    def admit(self, row: MemberRow) -> None:
        """Note the row's keys. Raises _BadCell, and notes none of them, when an earlier row has one."""
        keys = [("id", row.external_id, "The id"), ("", row.person_key, "The person")]
        if row.processor_method_id:
            keys.append(("stripe_payment_method", row.processor_method_id, "The payment method"))
        digests = []
        for column, key, what in keys:
            digests.append(blake2b(f"{column}:{key}".encode(), digest_size=12).digest())
            if first := self._first.get(digests[-1]):
                raise _BadCell(column, f"{what} is the same as on line {first}: remove one of the two rows.")
        self._first.update(dict.fromkeys(digests, row.line))


def _lines(text: io.TextIOWrapper) -> Iterator[tuple[int, str]]:
    """Physical lines with their numbers; of one that is too long only the beginning, which still tells that it is."""
    number = 0
    while line := text.readline(LINE_MAX + 1):
        number += 1
        yield number, line
        while len(line) > LINE_MAX and not line.endswith("\n"):
            line = text.readline(LINE_MAX + 1)


def _header(line: str, delimiter: str) -> list[str]:
    """The column names in our spelling. Raises DomainError when one is missing or there twice."""
    if not line:
        raise DomainError("The file is empty: its first line must name the columns.")
    names = [re.sub(r"[\s_-]+", "_", cell.strip().lower()) for cell in _split(line, delimiter) or []]
    missing = [column for column in REQUIRED if column not in names]
    if missing:
        raise DomainError(f"The first line does not name the column {' or '.join(missing)}: nothing was imported.")
    twice = sorted(column for column in COLUMNS if names.count(column) > 1)
    if twice:
        raise DomainError(f"The first line names the column {twice[0]} twice: nothing was imported.")
    return names


def _rows(
    lines: Iterator[tuple[int, str]], header: Sequence[str], delimiter: str
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
        if cells is None and (cells := _joined(text, header, delimiter)):
            ahead = deque(islice(ahead, used, None))
        if cells is None:
            yield RefusedRow(number, "", "A quotation mark is not closed, or stands inside a cell: correct the row.")
        else:
            yield number, cells


def _joined(text: str, header: Sequence[str], delimiter: str) -> list[str] | None:
    """The cells of lines that belong together, or None if they do not.

    Of our columns only the address may have line breaks: elsewhere they mean that stray marks have swallowed good rows.
    """
    cells = _split(text, delimiter)
    if cells is None or len(cells) != len(header):
        return None
    broken = {column for column, cell in zip(header, cells, strict=True) if "\n" in cell}
    return None if broken & (COLUMNS - {"address"}) else cells


def _unreadable(text: str) -> str:
    """Why the line cannot be looked at more closely; empty when it can."""
    if len(text) > LINE_MAX:
        return f"The line is longer than {LINE_MAX:,} characters."
    if not text.isascii() and _NOT_UTF8.search(text):
        return "The row has characters that are not UTF-8: save the list as 'CSV UTF-8' and import it again."
    return "The row has bytes that are not text." if "\0" in text else ""


def holds_card_number(text: str) -> bool:
    """Whether 13 to 19 digits, alone or in groups, pass the check sum of payment cards (ISO/IEC 7812, Luhn)."""
    for run in _DIGITS.finditer(text):
        groups = re.split(r"\D", run[0])
        for start in range(len(groups)):
            digits = ""
            for group in groups[start : start + 19]:
                digits += group
                if 13 <= len(digits) <= 19 and _luhn(digits):
                    return True
    return False


def _luhn(digits: str) -> bool:
    values = [int(digit) for digit in reversed(digits)]
    return sum(values[::2] + [sum(divmod(2 * value, 10)) for value in values[1::2]]) % 10 == 0


def _split(text: str, delimiter: str) -> list[str] | None:
    """The cells, or None when the quotation marks do not pair up."""
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None


def _checked(
    line: int, row: Sequence[str], header: Sequence[str], rules: MemberFileRules, earlier: _Earlier
) -> MemberRow | RefusedRow:
    if holds_card_number("|".join(row)):
        return RefusedRow(line, "", "The row has what looks like a card number, which must never be kept: remove it.")
    if len(row) != len(header):
        return RefusedRow(line, "", f"The row has {len(row)} cells, but there are {len(header)} columns.")
    try:
        member = _member(line, dict(zip(header, row, strict=True)), rules)
        earlier.admit(member)
    except _BadCell as bad:
        return RefusedRow(line, bad.column, bad.reason)
    return member


def _member(line: int, cells: Mapping[str, str], rules: MemberFileRules) -> MemberRow:
    """Check cell by cell. Raises _BadCell at the first that will not do."""
    given_name, family_name = _name(cells, "given_name"), _name(cells, "family_name")
    birth = _date(cells, "date_of_birth", rules.today, "in the future")
    email = _email(cells, needed=rules.email_needed)
    key = person_key(given_name, family_name, birth, email)
    return MemberRow(
        line=line,
        external_id=_text(cells, "id") or f"person-{key}",
        person_key=key,
        given_name=given_name,
        family_name=family_name,
        date_of_birth=birth,
        email=email,
        phone=_phone(cells),
        address=_text(cells, "address"),
        suburb=_text(cells, "suburb"),
        state=_text(cells, "state"),
        postcode=_text(cells, "postcode"),
        frequency=_frequency(cells, rules),
        start_date=_date(cells, "start_date", rules.today + START_AHEAD, "more than a year ahead"),
        processor_method_id=_method(cells),
    )


def _text(cells: Mapping[str, str], column: str) -> str:
    """The text with single spaces."""
    raw = cells.get(column, "")
    if raw.lstrip(" ").startswith(_FORMULA):
        raise _BadCell(column, "The cell starts like a formula of a spreadsheet (=, +, -, @, tab): correct it.")
    text = " ".join(raw.split())
    if _UNSEEN.search(text):
        raise _BadCell(column, "The cell has characters that cannot be seen: type it again.")
    if len(text) > TEXTS[column]:
        raise _BadCell(column, f"The cell is longer than {TEXTS[column]} characters.")
    return text


def _name(cells: Mapping[str, str], column: str) -> str:
    text = _text(cells, column)
    # Na, None and Nil are names of people; N/A is not.
    if text.lower() in ("n/a", "#n/a") or not any(char.isalpha() for char in text):
        raise _BadCell(column, "The name is missing: fill it in.")
    return text


def _value(cells: Mapping[str, str], column: str) -> str:
    """The trimmed cell of a column with a form of its own."""
    text = cells.get(column, "").strip()
    if text.lower() in _NOTHING:
        raise _BadCell(column, "The cell says that nothing is known: leave it blank instead.")
    return text


def _date(cells: Mapping[str, str], column: str, latest: date, too_late: str) -> date | None:
    text = _value(cells, column)
    if not text:
        return None
    found = _ISO.fullmatch(text) or _DAY_FIRST.fullmatch(text)
    if found is None:
        raise _BadCell(column, "This is not a date: write it like 1980-12-31 or 31/12/1980, or leave it blank.")
    try:
        day = date(int(found["y"]), int(found["m"]), int(found["d"]))
    except ValueError:
        raise _BadCell(column, "There is no such day in the calendar: dates are read day first.") from None
    if day < EARLIEST:
        raise _BadCell(column, f"The date is before {EARLIEST.year}.")
    if day > latest:
        raise _BadCell(column, f"The date is {too_late}.")
    return day


def _email(cells: Mapping[str, str], *, needed: bool) -> str:
    text = _value(cells, "email")
    if not text:
        if needed:
            raise _BadCell(
                "email", "An e-mail address is needed for the invitation: fill it in, or import with --no-invite."
            )
        return ""
    if len(text) > 254 or ".." in text or ".@" in text or not _EMAIL.fullmatch(text):
        raise _BadCell("email", "This is not an e-mail address: correct it or leave it blank.")
    return text


def _phone(cells: Mapping[str, str]) -> str:
    text = _value(cells, "phone")
    if not text:
        return ""
    try:
        number = phonenumbers.parse(text, "AU") if _PHONE.fullmatch(text) else None
    except phonenumbers.NumberParseException:
        number = None
    # Whether the number was ever assigned is not asked: the tables lag behind.
    if number is None or not phonenumbers.is_possible_number(number):
        raise _BadCell("phone", "This cannot be a telephone number: correct it or leave it blank.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _frequency(cells: Mapping[str, str], rules: MemberFileRules) -> Frequency:
    text = _value(cells, "frequency").lower()
    if text and text not in list(Frequency):
        raise _BadCell("frequency", f"Choose one of {', '.join(Frequency)}, or leave it blank.")
    chosen = Frequency(text) if text else rules.frequency
    if chosen not in rules.offered:
        raise _BadCell(
            "frequency", f"The plan is not offered {chosen}: choose one of {', '.join(sorted(rules.offered))}."
        )
    return chosen


def _method(cells: Mapping[str, str]) -> str:
    text = _value(cells, "stripe_payment_method")
    if text and not _METHOD.fullmatch(text):
        raise _BadCell(
            "stripe_payment_method", "This is not the id of a payment method at Stripe: they start with pm_."
        )
    return text
