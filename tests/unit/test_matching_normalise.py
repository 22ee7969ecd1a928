"""What counts as the same spelling."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.matching.normalise import (
    fold,
    known_date,
    known_email,
    known_phones,
    mailbox,
    name_words,
    normalise,
    split_address,
    split_suffix,
)
from connector.matching.person import Person, person_of
from connector.pms_adapters.records import PmsPatient


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("O'Brien", "O’BRIEN"),
        ("O'Brien", "O Brien"),
        ("Müller", "muller"),
        ("Łukasz-Sørensen", "Lukasz Sorensen"),
        ("Großmann", "Grossmann"),
        ("MacDonald", "McDonald"),
        ("van der Berg", "Van Der-Berg"),
        ("Nguyễn", "Nguyen"),
        ("Smith Jr.", "Smith"),
    ],
)
def test_family_names_that_differ_only_in_writing_become_equal(one: str, other: str) -> None:
    """Case, accents, apostrophes, hyphens, spaces, Mac and a suffix are no differences of the name."""
    assert normalise(Person("m", family_name=one)).family == normalise(Person("p", family_name=other)).family


@pytest.mark.parametrize(
    ("line", "number", "street"),
    [
        ("3/12 Smith Street", "12", "smith st"),
        ("Unit 3, 12 Smith St.", "12", "smith st"),
        ("U 3/12 Smith Street", "12", "smith st"),
        ("12 Smith Street Apt 4", "12", "smith st"),
        ("12-14 O'Connell Avenue", "12", "oconnell ave"),
        ("12a Smith Rd", "12a", "smith rd"),
        ("Smith Road", "", "smith rd"),
        ("Level Crossing Road", "", "level crossing rd"),
        ("", "", ""),
    ],
)
def test_an_address_line_gives_house_number_and_street(line: str, number: str, street: str) -> None:
    """Units are dropped and street types shortened."""
    assert split_address(line) == (number, street)


@pytest.mark.parametrize("text", ["0412 345 678", "+61 412 345 678", "(0412) 345-678", "0011 61 412 345 678"])
def test_a_phone_number_reads_alike_in_every_form(text: str) -> None:
    """0011 is what an Australian dials before a country code."""
    assert known_phones([text], "AU") == {"+61412345678"}


def test_the_region_reads_numbers_without_country_code() -> None:
    """The practice's country decides what a national number means."""
    assert known_phones(["(650) 253-0000"], "US") == {"+16502530000"}


@pytest.mark.parametrize("text", ["", "none", "0000000000", "0400 000 000", "99999999", "12"])
def test_placeholders_are_no_phone_numbers(text: str) -> None:
    """A number that many patients carry would make relatives of strangers."""
    assert known_phones([text], "AU") == frozenset()


@pytest.mark.parametrize(
    ("email", "known"),
    [
        (" Ann.Lee@Example.com ", "ann.lee@example.com"),
        ("none@none.com", ""),
        ("no-reply@example.com", ""),
        ("ann", ""),
        ("ann@example", ""),
        ("a@b@example.com", ""),
    ],
)
def test_only_a_persons_own_email_counts(email: str, known: str) -> None:
    """Placeholders and malformed addresses are unknown."""
    assert known_email(email) == known


@pytest.mark.parametrize("day", [date(1900, 1, 1), date(1970, 1, 1), date(1, 1, 1), date(1899, 12, 30), None])
def test_a_default_date_is_an_unknown_birth_date(day: date | None) -> None:
    """Systems write such days where nothing was entered."""
    assert known_date(day) is None


def test_a_suffix_and_a_title_are_told_from_the_name() -> None:
    """The suffix is kept apart because it tells father from son; a lone word is always a name."""
    person = normalise(Person("m", given_name="Dr. John", family_name="Smith, Jr."))

    assert (person.given, person.family, person.suffix) == ("john", "smith", "junior")
    assert normalise(Person("m", given_name="Junior", family_name="Master")).given == "junior"


def test_a_patient_of_the_practice_system_keeps_every_field() -> None:
    """Nothing that could be compared is lost at the border."""
    patient = PmsPatient(
        id="7", given_name="a", family_name="b", date_of_birth=date(2000, 2, 3), preferred_name="c", middle_name="d",
        email="e", phones=("f",), address="g", suburb="h", state="i", postcode="j", active=False,
    )  # fmt: skip

    person = person_of(patient)

    shared = [name for name in Person.__slots__ if isinstance(name, str)]
    assert {name: getattr(person, name) for name in shared} == {name: getattr(patient, name) for name in shared}


def test_reprs_show_no_field() -> None:
    """A person must not reach a log by accident."""
    person = Person("m-1", given_name="Ann", family_name="Lee", email="ann@example.com")

    assert repr(person) == "Person(…)"
    assert repr(normalise(person)) == "NormalPerson(…)"


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    """fold is idempotent for every script."""
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_reading_a_name_twice_changes_nothing_more(text: str) -> None:
    """The words of a name are stable under folding and reading again."""
    words = name_words(text)

    assert name_words(" ".join(words)) == words


@given(st.lists(st.sampled_from(["john", "smith", "jr", "iii", "senior"])))
def test_splitting_off_a_suffix_never_leaves_no_name(words: list[str]) -> None:
    """At least one word remains of any name."""
    rest, _ = split_suffix(words)

    assert bool(rest) == bool(words)


@given(st.emails() | st.text())
def test_reading_an_email_twice_changes_nothing_more(text: str) -> None:
    """known_email and mailbox are idempotent."""
    assert known_email(known_email(text)) == known_email(text)
    assert mailbox(mailbox(text)) == mailbox(text)


@given(st.integers(200_000_000, 499_999_999))
def test_reading_a_phone_number_twice_changes_nothing_more(national: int) -> None:
    """E.164 is read as itself, whatever the default region."""
    known = known_phones([f"0{national}"], "AU")

    assert known_phones(list(known), "US") == known
