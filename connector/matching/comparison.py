"""Owns how a member and a patient are compared: one level of agreement per field.

What a whole household shares (phone, e-mail, address, postcode) is ONE field with levels that saturate. Counted one
by one the four would outvote a different first name and birth date, and a relative would be taken for the member
(Newcombe, Methods Inf Med 1993;32:358).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA, JaroWinkler

from connector.matching.nicknames import are_nicknames
from connector.matching.normalise import NormalPerson, mailbox

GENERATION_YEARS = 12
"""Two birth years this far apart, day and month alike, are rather a parent and a child than a slip of the pen."""


class Field(StrEnum):
    """What is compared. Each attribute of Comparison bears the name of its field."""

    GIVEN = "given"
    FAMILY = "family"
    MIDDLE = "middle"
    SUFFIX = "suffix"
    BIRTH_DATE = "birth_date"
    HOUSEHOLD = "household"


class Level(StrEnum):
    """How far a field agrees. MISSING (unknown on a side) is no evidence, never a disagreement."""

    MISSING = "missing"
    EXACT = "exact"
    DIFFERENT = "different"
    CLOSE = "close"
    """Names that sound or look somewhat alike."""
    TYPO = "typo"
    """One edit away, nearly alike, or cut short: a slip of the pen, or a twin."""
    NICKNAME = "nickname"
    OTHER_NAME = "other_name"
    """The first name of one is the middle name of the other."""
    INITIAL = "initial"
    """One side holds only the initial, and it agrees."""
    PART = "part"
    """A part of a compound family name agrees."""
    SWAPPED = "swapped"
    """Given and family name changed places, or day and month did."""
    GENERATION = "generation"
    """Same day and month, the years a generation apart."""
    TWO_PARTS = "two_parts"
    """Two of day, month and year agree."""
    TWO_EDITS = "two_edits"
    YEAR = "year"
    """Only the year agrees."""
    SEVERAL_CONTACTS = "several_contacts"
    """Two or three of phone, e-mail and address agree."""
    ONE_CONTACT = "one_contact"
    """One of phone, e-mail and address agrees."""
    NEAR_CONTACT = "near_contact"
    """The street, or nearly the phone number or e-mail."""
    AREA = "area"
    """Only the postcode or suburb agrees."""


LEVELS: dict[Field, tuple[Level, ...]] = {
    Field.GIVEN: (
        Level.EXACT, Level.NICKNAME, Level.TYPO, Level.OTHER_NAME, Level.INITIAL, Level.CLOSE, Level.DIFFERENT,
    ),
    Field.FAMILY: (Level.EXACT, Level.TYPO, Level.PART, Level.SWAPPED, Level.DIFFERENT),
    Field.MIDDLE: (Level.EXACT, Level.INITIAL, Level.DIFFERENT),
    Field.SUFFIX: (Level.EXACT, Level.DIFFERENT),
    Field.BIRTH_DATE: (
        Level.EXACT, Level.SWAPPED, Level.TYPO, Level.TWO_PARTS, Level.TWO_EDITS, Level.GENERATION, Level.YEAR,
        Level.DIFFERENT,
    ),
    Field.HOUSEHOLD: (
        Level.SEVERAL_CONTACTS, Level.ONE_CONTACT, Level.NEAR_CONTACT, Level.AREA, Level.DIFFERENT,
    ),
}  # fmt: skip
"""The levels that each field knows beside MISSING, the best first."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One level per field; holds no personal value."""

    given: Level
    family: Level
    middle: Level
    suffix: Level
    birth_date: Level
    household: Level

    def items(self) -> Iterator[tuple[Field, Level]]:
        yield Field.GIVEN, self.given
        yield Field.FAMILY, self.family
        yield Field.MIDDLE, self.middle
        yield Field.SUFFIX, self.suffix
        yield Field.BIRTH_DATE, self.birth_date
        yield Field.HOUSEHOLD, self.household


def compare(member: NormalPerson, patient: NormalPerson) -> Comparison:
    """The levels of all fields; the same when the sides change places."""
    given, family = _names(member, patient)
    return Comparison(
        given=given,
        family=family,
        middle=_middle(member.middle, patient.middle),
        suffix=_exact_or_different(member.suffix, patient.suffix),
        birth_date=_birth_date(member.date_of_birth, patient.date_of_birth),
        household=_household(member, patient),
    )


def _names(one: NormalPerson, other: NormalPerson) -> tuple[Level, Level]:
    """Given and family name together, because they change places."""
    given, family = _given(one, other), _family(one, other)
    if Level.DIFFERENT in (given, family) and given is not Level.EXACT and family is not Level.EXACT:
        crossed = (_spelling(one.given, other.family), _spelling(one.family, other.given))
        if all(level in (Level.EXACT, Level.TYPO) for level in crossed):
            return (Level.TYPO if Level.TYPO in crossed else Level.EXACT), Level.SWAPPED
    return given, family


def _given(one: NormalPerson, other: NormalPerson) -> Level:
    names, others = _called(one), _called(other)
    if not names or not others:
        return Level.MISSING
    if not names.isdisjoint(others):
        return Level.EXACT
    pairs = [(name, another) for name in names for another in others]
    if any(are_nicknames(*pair) for pair in pairs):
        return Level.NICKNAME
    spelling = min((_spelling(*pair) for pair in pairs), key=LEVELS[Field.GIVEN].index)
    if spelling is Level.TYPO:
        return Level.TYPO
    if one.middle in others or other.middle in names:
        return Level.OTHER_NAME
    if any(1 in (len(name), len(another)) and name[0] == another[0] for name, another in pairs):
        return Level.INITIAL
    return spelling


def _called(person: NormalPerson) -> set[str]:
    return {name for name in (person.given, person.preferred) if name}


def _family(one: NormalPerson, other: NormalPerson) -> Level:
    if not one.family or not other.family:
        return Level.MISSING
    spelling = _spelling(one.family, other.family)
    share_a_part = not one.family_parts.isdisjoint(other.family_parts)
    # A name added after a marriage looks like a name cut short, and is no slip.
    if spelling is Level.TYPO and not (share_a_part and len(one.family_parts) != len(other.family_parts)):
        return Level.TYPO
    if spelling is Level.EXACT:
        return Level.EXACT
    return Level.PART if share_a_part else Level.DIFFERENT


def _spelling(name: str, other: str) -> Level:
    """EXACT, TYPO, CLOSE or DIFFERENT; an empty or one-letter name is like no other."""
    short, long = sorted((name, other), key=lambda text: (len(text), text))
    if len(short) < 2:
        return Level.EXACT if short and short == long else Level.DIFFERENT
    if short == long:
        return Level.EXACT
    # Jaro-Winkler may depend on the order of its arguments, so they come in a fixed one.
    alike = JaroWinkler.similarity(short, long)
    cut_short = len(short) >= 3 and long.startswith(short)
    if alike >= 0.9 or cut_short or (len(short) >= 3 and OSA.distance(short, long, score_cutoff=1) <= 1):
        return Level.TYPO
    return Level.CLOSE if alike >= 0.8 else Level.DIFFERENT


def _middle(one: str, other: str) -> Level:
    if not one or not other:
        return Level.MISSING
    if one == other:
        return Level.EXACT if len(one) > 1 else Level.INITIAL
    return Level.INITIAL if 1 in (len(one), len(other)) and one[0] == other[0] else Level.DIFFERENT


def _exact_or_different(one: str, other: str) -> Level:
    if not one or not other:
        return Level.MISSING
    return Level.EXACT if one == other else Level.DIFFERENT


def _birth_date(one: date | None, other: date | None) -> Level:
    if one is None or other is None:
        return Level.MISSING
    if one == other:
        return Level.EXACT
    parts_agree = (one.year == other.year) + (one.month == other.month) + (one.day == other.day)
    if parts_agree == 2 and abs(one.year - other.year) >= GENERATION_YEARS:
        return Level.GENERATION
    if one.year == other.year and (one.day, one.month) == (other.month, other.day):
        return Level.SWAPPED
    edits = OSA.distance(one.isoformat(), other.isoformat())
    if edits == 1:
        return Level.TYPO
    if parts_agree == 2:
        return Level.TWO_PARTS
    if edits == 2:
        return Level.TWO_EDITS
    return Level.YEAR if one.year == other.year else Level.DIFFERENT


def _household(one: NormalPerson, other: NormalPerson) -> Level:
    contacts = [_phones(one.phones, other.phones), _email(one.email, other.email), _address(one, other)]
    agreeing = contacts.count(Level.EXACT)
    if agreeing:
        return Level.SEVERAL_CONTACTS if agreeing > 1 else Level.ONE_CONTACT
    for level in (Level.NEAR_CONTACT, Level.AREA, Level.DIFFERENT):
        if level in contacts:
            return level
    return Level.MISSING


def _phones(some: frozenset[str], others: frozenset[str]) -> Level:
    if not some or not others:
        return Level.MISSING
    if not some.isdisjoint(others):
        return Level.EXACT
    near = any(OSA.distance(one, other, score_cutoff=1) <= 1 for one in some for other in others)
    return Level.NEAR_CONTACT if near else Level.DIFFERENT


def _email(one: str, other: str) -> Level:
    if not one or not other:
        return Level.MISSING
    if one == other:
        return Level.EXACT
    near = mailbox(one) == mailbox(other) or OSA.distance(one, other, score_cutoff=2) <= 2
    return Level.NEAR_CONTACT if near else Level.DIFFERENT


def _address(one: NormalPerson, other: NormalPerson) -> Level:
    same_area = _exact_or_different(one.postcode, other.postcode), _exact_or_different(one.suburb, other.suburb)
    same_street = bool(one.street and other.street) and _streets_alike(one.street, other.street)
    # The same street name in another place is another street; one wrong entry of two is a slip.
    if same_street and same_area != (Level.DIFFERENT, Level.DIFFERENT):
        same_number = one.house_number == other.house_number
        return Level.EXACT if same_number and (one.house_number or one.street == other.street) else Level.NEAR_CONTACT
    if Level.EXACT in same_area:
        return Level.AREA
    known = (one.street and other.street) or same_area != (Level.MISSING, Level.MISSING)
    return Level.DIFFERENT if known else Level.MISSING


def _streets_alike(one: str, other: str) -> bool:
    """Nearly the same words; a building's or suburb's name may stand before, behind, or only on one side."""
    first, second = sorted((one, other))
    if JaroWinkler.similarity(first, second) >= 0.85:
        return True
    # A lone word such as "st" is part of nearly every line and says nothing.
    return min(len(first), len(second)) >= 5 and fuzz.token_set_ratio(first, second) >= 90
