"""Owns what each level of agreement is worth, as data with a version, and the arithmetic of evidence.

Fellegi and Sunter's model: with m = P(level | same person) and u = P(level | different people), a level adds
log2(m/u) bits to the log-odds, which start from the prior. Log-odds are what is kept and ordered by: above 53 bits the
probability is exactly 1.0 and would tell candidates apart no more.

The estimates were set by hand and not trained on known links. `u` starts from level frequencies among random pairs of
different people of a patient list and is raised where relatives agree more often than strangers do (look-alike first
names, initials, households). `m` follows common rates of typing errors, moves and nicknames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import log2
from types import MappingProxyType
from typing import NamedTuple

from connector.matching.comparison import LEVELS, Comparison, Field, Level


class Estimate(NamedTuple):
    """How often a level occurs in pairs of records of one person (m) and of different people (u); 0 < both <= 1."""

    m: float
    u: float

    @property
    def bits(self) -> float:
        return log2(self.m / self.u)


@dataclass(frozen=True)
class Weights:
    """Estimates and thresholds of one version. Raises ValueError where a worse level would outweigh a better one."""

    version: str
    estimates: Mapping[Field, Mapping[Level, Estimate]]
    on_file: float
    """Share of the members who are patients of the practice, 0 to 1 exclusive."""
    patients: int
    """Number of patients in the practice system; its order of magnitude is enough."""
    link_probability: float
    """A link is made by itself from this probability on."""
    review_probability: float
    """A person is asked from this probability on."""
    margin_bits: float
    """By how much the best candidate must exceed the next one to be linked by itself."""

    def __post_init__(self) -> None:
        for field, levels in LEVELS.items():
            if set(self.estimates.get(field, ())) != set(levels):
                raise ValueError(f"The weights of {field} need exactly these levels: {', '.join(levels)}.")
            if any(self.bits(field, better) < self.bits(field, worse) for better, worse in pairwise(levels)):
                raise ValueError(f"The weights of {field} must not rise from a better to a worse level.")

    @property
    def prior(self) -> float:
        """Log-odds in bits that one patient taken at random is the member."""
        share = self.on_file / self.patients
        return log2(share / (1 - share))

    def bits(self, field: Field, level: Level) -> float:
        """Evidence in bits; positive speaks for the same person, a missing field for nothing."""
        return 0.0 if level is Level.MISSING else self.estimates[field][level].bits


@dataclass(frozen=True, slots=True)
class Score:
    """The evidence of one comparison: bits per field, and their sum with the prior."""

    bits: Mapping[Field, float]
    log_odds: float

    @property
    def probability(self) -> float:
        return probability(self.log_odds)


def weigh(comparison: Comparison, weights: Weights) -> Score:
    """Add up what the levels are worth, on top of the prior."""
    bits = {field: weights.bits(field, level) for field, level in comparison.items()}
    return Score(MappingProxyType(bits), weights.prior + sum(bits.values()))


def probability(log_odds: float) -> float:
    """The probability that belongs to log-odds in bits (between about -1000 and any size)."""
    return 1 / (1 + 2**-log_odds)


DEFAULT_WEIGHTS = Weights(
    version="2026-11-hand-set",
    estimates={
        Field.GIVEN: {
            Level.EXACT: Estimate(0.80, 0.006),
            Level.NICKNAME: Estimate(0.03, 0.003),
            Level.TYPO: Estimate(0.08, 0.012),
            Level.OTHER_NAME: Estimate(0.02, 0.005),
            Level.INITIAL: Estimate(0.01, 0.004),
            Level.CLOSE: Estimate(0.01, 0.010),
            Level.DIFFERENT: Estimate(0.03, 0.96),
        },
        Field.FAMILY: {
            Level.EXACT: Estimate(0.83, 0.005),
            Level.TYPO: Estimate(0.08, 0.006),
            Level.PART: Estimate(0.02, 0.002),
            Level.SWAPPED: Estimate(0.02, 0.002),
            Level.DIFFERENT: Estimate(0.05, 0.985),
        },
        Field.MIDDLE: {
            Level.EXACT: Estimate(0.80, 0.02),
            Level.INITIAL: Estimate(0.15, 0.07),
            Level.DIFFERENT: Estimate(0.05, 0.91),
        },
        Field.SUFFIX: {
            Level.EXACT: Estimate(0.95, 0.50),
            Level.DIFFERENT: Estimate(0.01, 0.50),
        },
        Field.BIRTH_DATE: {
            Level.EXACT: Estimate(0.93, 0.00006),
            Level.SWAPPED: Estimate(0.01, 0.0001),
            Level.TYPO: Estimate(0.03, 0.0013),
            Level.TWO_PARTS: Estimate(0.01, 0.0015),
            Level.TWO_EDITS: Estimate(0.006, 0.015),
            Level.GENERATION: Estimate(0.002, 0.01),
            Level.YEAR: Estimate(0.002, 0.012),
            Level.DIFFERENT: Estimate(0.01, 0.96),
        },
        Field.HOUSEHOLD: {
            Level.SEVERAL_CONTACTS: Estimate(0.55, 0.001),
            Level.ONE_CONTACT: Estimate(0.30, 0.0015),
            Level.NEAR_CONTACT: Estimate(0.06, 0.002),
            Level.AREA: Estimate(0.06, 0.05),
            Level.DIFFERENT: Estimate(0.03, 0.945),
        },
    },
    on_file=0.8,
    patients=10_000,
    link_probability=0.999,
    review_probability=0.05,
    margin_bits=3.0,
)
"""Household and family name together bring less than a different first name and birth date and the prior take."""
