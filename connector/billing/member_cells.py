"""Owns what a member's cells may hold: each is checked on its own, and the first that will not do ends the row.

Reasons quote no value of the file, because values are personal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import blake2b

import phonenumbers

from connector.billing.schedule import Frequency

TEXTS = {"id": 100, "given_name": 100, "family_name": 100, "address": 200, "suburb": 100, "state": 50, "postcode": 16}
"""Columns that hold any text, and the most characters that each may have."""
EARLIEST = date(1900, 1, 1)
START_AHEAD = timedelta(days=366)
"""A later start is a slip of the pen, and would leave a member unbilled for years."""

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""A spreadsheet runs a cell that starts like this as a formula (OWASP, CSV injection); some also in full width."""
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that reverse the direction of the text after them."""
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


class BadCell(Exception):
    """Ends the checking of a row; caught by the reader of the file."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column, self.reason = column, reason


def check_cells(line: int, cells: Mapping[str, str], rules: MemberFileRules) -> MemberRow:
    """Check cell by cell. Raises BadCell at the first that will not do."""
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
        raise BadCell(column, "The cell starts like a formula of a spreadsheet (=, +, -, @, tab): correct it.")
    text = " ".join(raw.split())
    if _UNSEEN.search(text):
        raise BadCell(column, "The cell has characters that cannot be seen: type it again.")
    if len(text) > TEXTS[column]:
        raise BadCell(column, f"The cell is longer than {TEXTS[column]} characters.")
    return text


def _name(cells: Mapping[str, str], column: str) -> str:
    text = _text(cells, column)
    # Na, None and Nil are names of people; N/A is not.
    if text.lower() in ("n/a", "#n/a") or not any(char.isalpha() for char in text):
        raise BadCell(column, "The name is missing: fill it in.")
    return text


def _value(cells: Mapping[str, str], column: str) -> str:
    """The trimmed cell of a column with a form of its own."""
    text = cells.get(column, "").strip()
    if text.lower() in _NOTHING:
        raise BadCell(column, "The cell says that nothing is known: leave it blank instead.")
    return text


def _date(cells: Mapping[str, str], column: str, latest: date, too_late: str) -> date | None:
    text = _value(cells, column)
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


def _email(cells: Mapping[str, str], *, needed: bool) -> str:
    text = _value(cells, "email")
    if not text:
        if needed:
            raise BadCell(
                "email", "An e-mail address is needed for the invitation: fill it in, or import with --no-invite."
            )
        return ""
    if len(text) > 254 or ".." in text or ".@" in text or not _EMAIL.fullmatch(text):
        raise BadCell("email", f"This is not an e-mail address: correct it{'' if needed else ' or leave it blank'}.")
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
        raise BadCell("phone", "This cannot be a telephone number: correct it or leave it blank.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _frequency(cells: Mapping[str, str], rules: MemberFileRules) -> Frequency:
    text = _value(cells, "frequency").lower()
    if text and text not in list(Frequency):
        raise BadCell("frequency", f"Choose one of {', '.join(Frequency)}, or leave it blank.")
    chosen = Frequency(text) if text else rules.frequency
    if chosen not in rules.offered:
        raise BadCell(
            "frequency", f"The plan is not offered {chosen}: choose one of {', '.join(sorted(rules.offered))}."
        )
    return chosen


def _method(cells: Mapping[str, str]) -> str:
    text = _value(cells, "stripe_payment_method")
    if text and not _METHOD.fullmatch(text):
        raise BadCell("stripe_payment_method", "This is not the id of a payment method at Stripe: they start with pm_.")
    return text


def person_key(given_name: str, family_name: str, date_of_birth: date | None, email: str) -> str:
    """The same for the same names, birth date and e-mail address, whatever their case, spacing or Unicode form."""
    parts = (given_name, family_name, date_of_birth.isoformat() if date_of_birth else "", email)
    plain = (" ".join(unicodedata.normalize("NFKC", part).casefold().split()) for part in parts)
    return blake2b("\x1f".join(plain).encode(), digest_size=16).hexdigest()


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
