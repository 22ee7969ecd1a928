"""Owns the verdict on a member: link to a patient, ask a person, or nobody is in sight.

A wrong link posts money to a stranger's ledger, a review costs a minute: so a link needs a high probability AND no
hazard. Hazards are the patterns in which relatives, namesakes and records entered twice look like the member,
whatever the evidence adds up to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from connector.matching.comparison import Comparison, Level, compare
from connector.matching.normalise import NormalPerson, normalise
from connector.matching.person import Person
from connector.matching.reasons import Reason, reasons_for
from connector.matching.weights import DEFAULT_WEIGHTS, Score, Weights, weigh

CANDIDATES_SHOWN = 5


class Outcome(StrEnum):
    """What happens to the member."""

    LINK = "link"
    """Linked to the first candidate without a person."""
    REVIEW = "review"
    """A person chooses among the candidates, or none of them."""
    NONE = "none"
    """No candidate is worth a person's time."""


class Hazard(StrEnum):
    """Why a likely candidate is not linked by itself; the value is shown to the staff."""

    INACTIVE = "the patient is not active in the practice system"
    FIRST_NAME = "the first name is not exactly the same, as with twins and nicknames"
    FAMILY_NAME = "the family name is not the same, as after a marriage"
    BIRTH_DATE = "the birth date is missing or another, as with father and son of one name"
    SLIPS = "family name and birth date both differ"
    GENERATION = "the suffix (junior, senior) or the middle name is another"
    ALONE = "nothing but name and birth date speaks for it, and namesakes exist"
    RIVAL = "another record fits about as well, perhaps the same person entered twice"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One patient as a possible match. Names the patient by id only."""

    patient_id: str
    comparison: Comparison
    score: Score
    hazards: frozenset[Hazard]

    @property
    def log_odds(self) -> float:
        """In bits; orders candidates also where the probability rounds to 1."""
        return self.score.log_odds

    @property
    def probability(self) -> float:
        """That this patient is the member, 0 to 1."""
        return self.score.probability

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What each field says, in words for the staff."""
        return reasons_for(self.comparison, self.score)


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict and what it rests on: the best CANDIDATES_SHOWN, the likeliest first, whatever the outcome."""

    outcome: Outcome
    candidates: tuple[Candidate, ...]
    weights_version: str

    @property
    def patient_id(self) -> str | None:
        """Whom to link; None unless the outcome is LINK."""
        return self.candidates[0].patient_id if self.outcome is Outcome.LINK else None


def decide(
    member: Person, candidates: Sequence[Person], weights: Weights = DEFAULT_WEIGHTS, region: str = "AU"
) -> Decision:
    """The verdict on a member, given the patients found for them, in any order, the same record perhaps found twice.

    Whether a patient is already linked to another member is the caller's business.
    """
    wanted = normalise(member, region)
    found = {person.id: person for person in candidates}
    assessed = [_assess(wanted, normalise(person, region), person.id, weights) for person in found.values()]
    ranked = sorted(assessed, key=lambda candidate: (-candidate.log_odds, candidate.patient_id))
    if ranked and any(_is_rival(ranked[0], other, weights) for other in ranked[1:]):
        ranked[0] = replace(ranked[0], hazards=ranked[0].hazards | {Hazard.RIVAL})
    return Decision(_outcome(ranked, weights), tuple(ranked[:CANDIDATES_SHOWN]), weights.version)


def _assess(member: NormalPerson, patient: NormalPerson, patient_id: str, weights: Weights) -> Candidate:
    comparison = compare(member, patient)
    return Candidate(
        patient_id=patient_id,
        comparison=comparison,
        score=weigh(comparison, weights),
        hazards=hazards_of(comparison, active=patient.active),
    )


def _outcome(ranked: Sequence[Candidate], weights: Weights) -> Outcome:
    if not ranked or ranked[0].probability < weights.review_probability:
        return Outcome.NONE
    sure = ranked[0].probability >= weights.link_probability and not ranked[0].hazards
    return Outcome.LINK if sure else Outcome.REVIEW


def hazards_of(comparison: Comparison, *, active: bool) -> frozenset[Hazard]:
    """What forbids a link by itself in this pair, however much evidence there is."""
    contact = comparison.household in (Level.SEVERAL_CONTACTS, Level.ONE_CONTACT)
    nearby = contact or comparison.household is Level.NEAR_CONTACT
    slip_in_family = comparison.family in (Level.TYPO, Level.SWAPPED) and nearby
    slip_in_date = comparison.birth_date in (Level.SWAPPED, Level.TYPO) and contact
    checks = {
        Hazard.INACTIVE: not active,
        Hazard.FIRST_NAME: comparison.given is not Level.EXACT,
        Hazard.FAMILY_NAME: not (comparison.family is Level.EXACT or slip_in_family),
        Hazard.BIRTH_DATE: not (comparison.birth_date is Level.EXACT or slip_in_date),
        Hazard.SLIPS: comparison.family is not Level.EXACT and comparison.birth_date is not Level.EXACT,
        Hazard.GENERATION: Level.DIFFERENT in (comparison.suffix, comparison.middle),
        Hazard.ALONE: not _corroborated(comparison),
    }
    return frozenset(hazard for hazard, present in checks.items() if present)


def _corroborated(comparison: Comparison) -> bool:
    """Of about 1,100 exact agreements of full name and birth date one is a namesake: something else must agree too."""
    if comparison.household is Level.MISSING:
        return comparison.middle is Level.EXACT
    return comparison.household is not Level.DIFFERENT


def _is_rival(best: Candidate, other: Candidate, weights: Weights) -> bool:
    """True when the other record is about as likely, or could be the same person's second record.

    An exact first name in the household wins over a twin's; a known and different birth date tells junior from senior.
    """
    if best.log_odds - other.log_odds < weights.margin_bits:
        return True
    could_be_same = other.comparison.given in (Level.EXACT, Level.INITIAL, Level.MISSING)
    told_apart = other.comparison.birth_date in (Level.DIFFERENT, Level.YEAR, Level.GENERATION)
    return could_be_same and not told_apart and other.probability >= weights.review_probability
