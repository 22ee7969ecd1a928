"""Owns the one spelling of names, dates, phones, e-mails and addresses in which people are compared.

Whatever two clerks may write differently for the same person without a mistake (case, accents, apostrophes, hyphens,
titles, street types, the form of a phone number) is made equal here; mistakes are left to the comparison.
Every function that takes and gives text is idempotent.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import phonenumbers

from connector.matching.person import Person

# Letters that Unicode does not decompose into a base letter and a mark.
_UNDECOMPOSED = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ŧ": "t", "þ": "th", "æ": "ae", "œ": "oe", "ß": "ss"}
)
_APOSTROPHES = str.maketrans("", "", "'’‘ʼʹ`´′＇")
_NO_LETTER = re.compile(r"[^a-z0-9]+")
_TITLES = frozenset(["mr", "mrs", "ms", "miss", "mx", "dr", "prof", "master", "sir", "dame"])
_SUFFIXES = {"jr": "junior", "junior": "junior", "sr": "senior", "senior": "senior", "ii": "2", "iii": "3", "iv": "4"}
_PARTICLES = frozenset(
    [
        "de",
        "da",
        "di",
        "do",
        "del",
        "della",
        "der",
        "den",
        "des",
        "du",
        "el",
        "la",
        "le",
        "los",
        "ter",
        "ten",
        "van",
        "von",
        "zu",
        "bin",
        "ibn",
        "al",
        "st",
        "mc",
        "mac",
        "o",
    ]
)

_DEFAULT_DATES = frozenset(
    date(*parts)
    for parts in (
        (1, 1, 1),
        (1753, 1, 1),
        (1800, 1, 1),
        (1899, 12, 30),
        (1899, 12, 31),
        (1900, 1, 1),
        (1901, 1, 1),
        (1970, 1, 1),
    )
)
"""Dates that systems write for "unknown". A person really born on one of them only loses evidence."""

_NOBODY = frozenset(
    ["none", "no", "na", "noemail", "nomail", "noreply", "unknown", "nil", "test", "email", "reception"]
)
"""Local parts that stand for "has no e-mail address"."""

_STREET_TYPES = {
    "street": "st", "str": "st", "road": "rd", "avenue": "ave", "av": "ave", "drive": "dr", "drv": "dr", "court": "ct",
    "crt": "ct", "crescent": "cr", "cres": "cr", "place": "pl", "circuit": "cct", "circ": "cct", "close": "cl",
    "lane": "ln", "highway": "hwy",
    "parade": "pde", "terrace": "tce", "boulevard": "bvd", "blvd": "bvd", "square": "sq", "way": "wy",
}  # fmt: skip
_UNIT_WORD = r"(?:unit|apartment|apt|flat|suite|ste|shop|villa|townhouse|level|lvl|#)"
_UNIT_SLASH = re.compile(rf"^\s*(?:{_UNIT_WORD}|u)?\.?\s*\w+\s*/\s*(?=\d)")
_UNIT_LEADING = re.compile(rf"^\s*{_UNIT_WORD}\.?\s*\d*[a-z]?\b[\s,]+(?=\d)")
_UNIT_TRAILING = re.compile(rf"[\s,]+{_UNIT_WORD}\.?\s*\d+[a-z]?\s*$")
_HOUSE = re.compile(r"^(\d+[a-z]?)\b(?: (?:\d+[a-z]?)\b)? ?(.*)$")


@dataclass(frozen=True, slots=True, repr=False)
class NormalPerson:
    """A person in comparable form; an empty value means unknown. The repr shows no field."""

    given: str
    """First name without spaces."""
    preferred: str
    middle: str
    family: str
    """Family name without spaces and suffix."""
    family_parts: frozenset[str]
    """The parts of a compound family name, without particles."""
    suffix: str
    """Generation: 'junior', 'senior', '2' to '4', or empty."""
    date_of_birth: date | None
    phones: frozenset[str]
    """E.164, e.g. '+61291234567'."""
    email: str
    house_number: str
    street: str
    suburb: str
    postcode: str
    active: bool

    def __repr__(self) -> str:
        return "NormalPerson(…)"


def normalise(person: Person, region: str = "AU") -> NormalPerson:
    """The person in comparable form. `region` (ISO 3166, two letters) reads phone numbers without a country code."""
    given, given_suffix = split_suffix(name_words(person.given_name))
    family, family_suffix = split_suffix(name_words(person.family_name))
    number, street = split_address(person.address)
    return NormalPerson(
        given="".join(given),
        preferred="".join(name_words(person.preferred_name)),
        middle="".join(name_words(person.middle_name)),
        family=_one_mac("".join(family)),
        family_parts=frozenset(_one_mac(word) for word in family if len(word) > 2 and word not in _PARTICLES),
        suffix=family_suffix or given_suffix,
        date_of_birth=known_date(person.date_of_birth),
        phones=known_phones(person.phones, region),
        email=known_email(person.email),
        house_number=number,
        street=street,
        suburb=fold(person.suburb).replace(" ", ""),
        postcode=fold(person.postcode).replace(" ", ""),
        active=person.active,
    )


def fold(text: str) -> str:
    """Lower-case words of plain letters and digits with single spaces between them; accents and apostrophes go.

    Letters of other scripts stay as they are.
    """
    if text.isascii():
        return _NO_LETTER.sub(" ", text.lower().replace("'", "").replace("`", "")).strip()
    plain = _without_marks(_without_marks(text).casefold()).translate(_APOSTROPHES).translate(_UNDECOMPOSED)
    return " ".join("".join(char if char.isalnum() else " " for char in plain).split())


def name_words(name: str) -> list[str]:
    """The folded words of a name without a title in front."""
    words = fold(name).split()
    while len(words) > 1 and words[0] in _TITLES:
        words = words[1:]
    return words


def split_suffix(words: Sequence[str]) -> tuple[list[str], str]:
    """The words without a generation suffix at their end, and that suffix in one spelling ('' for none)."""
    if len(words) > 1 and words[-1] in _SUFFIXES:
        return list(words[:-1]), _SUFFIXES[words[-1]]
    return list(words), ""


def known_date(day: date | None) -> date | None:
    """The birth date, or None where it is one that systems write for "unknown"."""
    return None if day in _DEFAULT_DATES else day


def known_phones(numbers: Sequence[str], region: str) -> frozenset[str]:
    """The numbers in E.164. What cannot be a number, or repeats one digit as placeholders do, is left out."""
    return frozenset(known for text in numbers if (known := _e164(text, region)))


# Parsing costs as much as the rest of a comparison, and a batch meets the same patients again and again.
@lru_cache(maxsize=32_768)
def _e164(text: str, region: str) -> str:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return ""
    # Whether the number was ever assigned is not asked: the tables lag behind, and refuse 555 numbers.
    if not phonenumbers.is_possible_number(number) or len(set(str(number.national_number)[-6:])) == 1:
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def known_email(email: str) -> str:
    """The address in lower case; '' for what is no address or stands for having none."""
    local, _, domain = email.strip().lower().partition("@")
    if not local or "." not in domain or "@" in domain or mailbox(local) in _NOBODY:
        return ""
    return f"{local}@{domain}"


def mailbox(email: str) -> str:
    """What is before the @, without dots, hyphens, underscores and a plus-tag."""
    return re.sub(r"[._-]", "", email.partition("@")[0].partition("+")[0])


def split_address(line: str) -> tuple[str, str]:
    """House number and street of an address line; the unit is dropped, street types get their short form."""
    text = _UNIT_SLASH.sub("", line.lower())
    text = _UNIT_TRAILING.sub("", _UNIT_LEADING.sub("", text))
    words = " ".join(_STREET_TYPES.get(word, word) for word in fold(text).split())
    house = _HOUSE.match(words)
    return (house[1], house[2]) if house else ("", words)


def _without_marks(text: str) -> str:
    return "".join(
        char for char in unicodedata.normalize("NFKD", text) if not unicodedata.category(char).startswith("M")
    )


def _one_mac(name: str) -> str:
    """MacDonald and McDonald are written for one another."""
    return "mc" + name[3:] if name.startswith("mac") and len(name) > 6 else name
