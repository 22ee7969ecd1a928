"""Owns the plain words in which a comparison is explained to the staff; no personal value is in them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from connector.matching.comparison import Comparison, Field, Level
from connector.matching.weights import Score


class Verdict(StrEnum):
    """A level in one word, for an icon or a colour."""

    AGREE = "agree"
    SIMILAR = "similar"
    DIFFER = "differ"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Reason:
    """What one field says; `bits` are positive for the same person and negative against."""

    field: Field
    verdict: Verdict
    text: str
    bits: float


_TITLES = {
    Field.GIVEN: "first name",
    Field.FAMILY: "family name",
    Field.MIDDLE: "middle name",
    Field.SUFFIX: "suffix",
    Field.BIRTH_DATE: "birth date",
    Field.HOUSEHOLD: "phone, e-mail and address",
}

_WORDS = {
    Level.MISSING: "unknown on one side",
    Level.EXACT: "the same",
    Level.DIFFERENT: "different",
    Level.CLOSE: "somewhat alike",
    Level.TYPO: "nearly the same",
    Level.NICKNAME: "a nickname of the other",
    Level.OTHER_NAME: "the other's middle name",
    Level.INITIAL: "same initial",
    Level.PART: "one part is the same",
    Level.SWAPPED: "the same in swapped places",
    Level.GENERATION: "same day and month, years a generation apart",
    Level.TWO_PARTS: "two of day, month and year are the same",
    Level.TWO_EDITS: "two digits differ",
    Level.YEAR: "only the year is the same",
    Level.SEVERAL_CONTACTS: "several are the same",
    Level.ONE_CONTACT: "one is the same",
    Level.NEAR_CONTACT: "nearly the same, or the same street",
    Level.AREA: "only the postcode or suburb is the same",
}

_VERDICTS = {
    Level.MISSING: Verdict.MISSING,
    Level.EXACT: Verdict.AGREE,
    Level.SEVERAL_CONTACTS: Verdict.AGREE,
    Level.ONE_CONTACT: Verdict.AGREE,
    Level.DIFFERENT: Verdict.DIFFER,
    Level.GENERATION: Verdict.DIFFER,
    Level.YEAR: Verdict.DIFFER,
}


def reasons_for(comparison: Comparison, score: Score) -> tuple[Reason, ...]:
    """One reason per field, in the order of the fields."""
    return tuple(
        Reason(field, _VERDICTS.get(level, Verdict.SIMILAR), f"{_TITLES[field]}: {_WORDS[level]}", score.bits[field])
        for field, level in comparison.items()
    )
