"""Links that are made, hazards that wait for a person, and nobody in sight."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.matching.decision import CANDIDATES_SHOWN, Hazard, Outcome, decide
from connector.matching.person import Person
from connector.matching.reasons import Verdict
from connector.matching.weights import DEFAULT_WEIGHTS

_MEMBER = Person(
    "m",
    given_name="Brian",
    family_name="Novak",
    date_of_birth=date(1980, 4, 2),
    phones=("0412345678",),
    email="novaks@example.com",
    address="12 High Street",
    suburb="Kew",
    postcode="3101",
)
_SAME = replace(_MEMBER, id="p")
_NO_CONTACT = {"phones": (), "email": "", "address": "", "suburb": "", "postcode": ""}
_ELSEWHERE = {
    "phones": ("0298765432",),
    "email": "b@other.org",
    "address": "9 Mill Lane",
    "suburb": "Ayr",
    "postcode": "4807",
}


def patient(**changes: Any) -> Person:
    """The member's own record in the practice system, with some fields otherwise."""
    return replace(_SAME, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"phones": (), "email": ""},
        {"given_name": "BRIAN ", "family_name": "Novák"},
        {"given_name": "Robert", "preferred_name": "Brian"},
        {"family_name": "Nowak"},
        {"given_name": "Novak", "family_name": "Brian"},
        {"date_of_birth": date(1980, 2, 4)},
        {"date_of_birth": date(1980, 4, 3)},
        {"address": "9 Mill Lane", "suburb": "Ayr", "postcode": "4807", "email": ""},
        {"address": "9 Mill Lane", "phones": (), "email": ""},
    ],
)
def test_the_members_own_record_is_linked_in_spite_of_a_slip(changes: dict[str, Any]) -> None:
    """Names written otherwise, swapped names, day and month swapped, moved house: one slip with the rest agreeing."""
    decision = decide(_MEMBER, [patient(**changes)])

    assert decision.outcome is Outcome.LINK
    assert decision.patient_id == "p"


@pytest.mark.parametrize(
    ("changes", "hazard"),
    [
        pytest.param({"given_name": "Bryan"}, Hazard.FIRST_NAME, id="look-alike twin"),
        pytest.param({"given_name": "Peter"}, Hazard.FIRST_NAME, id="twin"),
        pytest.param({"given_name": ""}, Hazard.FIRST_NAME, id="no first name"),
        pytest.param({"given_name": "Paul", "middle_name": "Brian"}, Hazard.FIRST_NAME, id="middle name as first"),
        pytest.param({"family_name": "Novak-Lee"}, Hazard.FAMILY_NAME, id="hyphenated name"),
        pytest.param({"family_name": "Lee"}, Hazard.FAMILY_NAME, id="married name"),
        pytest.param({"date_of_birth": None}, Hazard.BIRTH_DATE, id="father or son without birth date"),
        pytest.param({"date_of_birth": date(1900, 1, 1)}, Hazard.BIRTH_DATE, id="default date"),
        pytest.param({"date_of_birth": date(2010, 4, 2)}, Hazard.BIRTH_DATE, id="a generation apart"),
        pytest.param({"date_of_birth": date(1955, 11, 27)}, Hazard.BIRTH_DATE, id="father of the same name"),
        pytest.param({"date_of_birth": date(1980, 4, 3), "family_name": "Nowak"}, Hazard.SLIPS, id="two slips"),
        pytest.param(_ELSEWHERE, Hazard.ALONE, id="namesake with other contacts"),
        pytest.param(_NO_CONTACT, Hazard.ALONE, id="name and birth date alone"),
        pytest.param({**_NO_CONTACT, "date_of_birth": None}, Hazard.BIRTH_DATE, id="name alone"),
        pytest.param({"active": False}, Hazard.INACTIVE, id="inactive patient"),
    ],
)
def test_a_hazard_waits_for_a_person(changes: dict[str, Any], hazard: Hazard) -> None:
    """However much evidence there is, these patterns also fit a relative, a namesake or an old record."""
    decision = decide(_MEMBER, [patient(**changes)])

    assert decision.outcome is Outcome.REVIEW
    assert decision.patient_id is None
    assert hazard in decision.candidates[0].hazards


def test_a_nickname_alone_waits_for_a_person() -> None:
    """Bill is likely William, and may be another child of the house."""
    decision = decide(replace(_MEMBER, given_name="Bill"), [patient(given_name="William")])

    assert decision.outcome is Outcome.REVIEW


@pytest.mark.parametrize(("mine", "theirs"), [("Novak Jr", "Novak Sr"), ("Novak II", "Novak III")])
def test_another_suffix_waits_for_a_person(mine: str, theirs: str) -> None:
    """Junior's birth date may have been typed into senior's record."""
    decision = decide(replace(_MEMBER, family_name=mine), [patient(family_name=theirs)])

    assert decision.outcome is Outcome.REVIEW
    assert Hazard.GENERATION in decision.candidates[0].hazards


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"given_name": "Maria", "date_of_birth": date(1982, 9, 14)}, id="spouse"),
        pytest.param({"given_name": "Tom", "date_of_birth": date(2011, 12, 25)}, id="child under the parent's e-mail"),
        pytest.param(
            {"given_name": "Maria", "family_name": "Lee", "date_of_birth": date(1982, 9, 14)}, id="shared phone only"
        ),
        pytest.param({"given_name": "", "family_name": "", "date_of_birth": None}, id="household fields alone"),
        pytest.param({**_NO_CONTACT, "given_name": "", "date_of_birth": None}, id="family name alone"),
        pytest.param({**_ELSEWHERE, "date_of_birth": date(1955, 11, 27)}, id="namesake"),
    ],
)
def test_a_relative_or_namesake_of_an_absent_member_is_nobody(changes: dict[str, Any]) -> None:
    """One shared household must not outvote another first name and birth date."""
    assert decide(_MEMBER, [patient(**changes)]).outcome is Outcome.NONE


def test_no_candidates_means_nobody() -> None:
    """An empty search is an answer."""
    decision = decide(_MEMBER, [])

    assert (decision.outcome, decision.candidates, decision.patient_id) == (Outcome.NONE, (), None)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param({}, id="equal"),
        pytest.param({"date_of_birth": None, "email": ""}, id="poorer"),
        pytest.param({"active": False}, id="archived"),
        pytest.param({"given_name": "B"}, id="initial only"),
        pytest.param(_ELSEWHERE, id="other contacts"),
    ],
)
def test_a_person_entered_twice_is_shown_twice_and_linked_to_neither(second: dict[str, Any]) -> None:
    """Only the practice knows which of its records is to be kept."""
    decision = decide(_MEMBER, [patient(), patient(id="q", **second)])

    assert decision.outcome is Outcome.REVIEW
    assert Hazard.RIVAL in decision.candidates[0].hazards
    assert {candidate.patient_id for candidate in decision.candidates} == {"p", "q"}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"given_name": "Bryan"}, id="look-alike twin"),
        pytest.param({"given_name": "Maria", "date_of_birth": date(1982, 9, 14)}, id="spouse"),
        pytest.param({"date_of_birth": date(1955, 11, 27)}, id="father of the same name"),
        pytest.param({"date_of_birth": date(2010, 4, 2)}, id="son of the same name and day"),
    ],
)
def test_the_exact_record_wins_over_the_rest_of_the_household(other: dict[str, Any]) -> None:
    """A relative on file must not keep the member's own record from being linked."""
    decision = decide(_MEMBER, [patient(id="a", **other), patient()])

    assert (decision.outcome, decision.patient_id) == (Outcome.LINK, "p")


def test_the_same_record_found_by_two_searches_is_one_candidate() -> None:
    """Searches overlap; that is no second record."""
    decision = decide(_MEMBER, [patient(), patient()])

    assert decision.outcome is Outcome.LINK
    assert len(decision.candidates) == 1


def test_the_staff_read_reasons_without_any_personal_value() -> None:
    """Each field in plain words with its weight."""
    decision = decide(_MEMBER, [patient(given_name="Bryan", date_of_birth=None, email="x@other.org")])

    reasons = {reason.text: (reason.verdict, reason.bits) for reason in decision.candidates[0].reasons}
    assert reasons["birth date: unknown on one side"] == (Verdict.MISSING, 0.0)
    assert reasons["first name: nearly the same"][0] is Verdict.SIMILAR
    assert reasons["family name: the same"][0] is Verdict.AGREE
    assert reasons["phone, e-mail and address: several are the same"][1] > 5
    for value in ("Brian", "Bryan", "Novak", "1980", "0412", "example.com", "High"):
        assert value not in f"{decision!r}{reasons}"


def test_the_decision_names_the_version_of_its_weights() -> None:
    """So that an old link can be explained later."""
    weights = replace(DEFAULT_WEIGHTS, version="practice-7")

    assert decide(_MEMBER, [patient()], weights).weights_version == "practice-7"


def test_a_stricter_threshold_turns_a_link_into_a_review() -> None:
    """The thresholds are data."""
    strict = replace(DEFAULT_WEIGHTS, link_probability=1 - 1e-7)
    found = [patient(phones=(), email="", address="9 Mill Lane")]

    assert decide(_MEMBER, found).outcome is Outcome.LINK
    assert decide(_MEMBER, found, strict).outcome is Outcome.REVIEW


def test_no_more_than_five_candidates_are_shown_the_likeliest_first() -> None:
    """Staff see a short list in order of the evidence."""
    found = [patient(id=f"p{number}", given_name="Maria", phones=()) for number in range(8)]

    decision = decide(_MEMBER, [*found, patient(id="own")])

    assert len(decision.candidates) == CANDIDATES_SHOWN
    assert decision.candidates[0].patient_id == "own"


_CHANGES = st.sampled_from(
    [
        {}, {"given_name": "Bryan"}, {"given_name": "Maria"}, {"date_of_birth": None}, {"family_name": "Lee"},
        {"active": False}, dict(_ELSEWHERE), dict(_NO_CONTACT), {"date_of_birth": date(1955, 11, 27)},
    ]
)  # fmt: skip


@given(st.lists(_CHANGES, min_size=1, max_size=7), st.randoms(use_true_random=False))
def test_the_decision_does_not_depend_on_the_order_of_candidates(found: list[dict[str, Any]], chance: Any) -> None:
    """A practice system sorts as it likes."""
    candidates = [patient(id=f"p{number}", **changes) for number, changes in enumerate(found)]
    shuffled = chance.sample(candidates, len(candidates))

    assert decide(_MEMBER, shuffled) == decide(_MEMBER, candidates)


@given(st.lists(_CHANGES, max_size=6))
def test_a_further_candidate_never_turns_a_review_into_a_link_to_another(found: list[dict[str, Any]]) -> None:
    """More records in sight can raise doubts about a link, not make a doubtful record certain."""
    candidates = [patient(id=f"p{number}", **changes) for number, changes in enumerate(found)]
    linked = decide(_MEMBER, candidates).patient_id

    if linked is not None:
        alone = decide(_MEMBER, [candidate for candidate in candidates if candidate.id == linked])
        assert alone.patient_id == linked
