"""The levels at which two people agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.matching.comparison import LEVELS, Comparison, Field, Level, compare
from connector.matching.normalise import normalise
from connector.matching.person import Person

_ANN = Person(
    "m",
    given_name="Ann",
    family_name="Lee",
    date_of_birth=date(1980, 4, 2),
    phones=("0412345678",),
    email="ann.lee@example.com",
    address="12 High Street",
    suburb="Kew",
    postcode="3101",
)


def people() -> st.SearchStrategy[Person]:
    """People with few possible values, so that two of them often agree or nearly agree."""
    names = st.sampled_from(["", "John", "Jon", "J", "William", "Bill", "Smith", "Smyth", "Smith-Jones", "Ann"])
    return st.builds(
        Person,
        id=st.sampled_from(["p1", "p2", "p3"]),
        given_name=names,
        family_name=names,
        middle_name=names,
        preferred_name=names,
        date_of_birth=st.none()
        | st.sampled_from([date(1980, 4, 2), date(1980, 2, 4), date(1980, 4, 3), date(2010, 4, 2)]),
        email=st.sampled_from(["", "ann@example.com", "ann@example.org", "bob@example.com"]),
        phones=st.lists(st.sampled_from(["0412345678", "0412345679", "0298765432"]), max_size=2).map(tuple),
        address=st.sampled_from(["", "12 High Street", "14 High St", "3 Mill Lane"]),
        suburb=st.sampled_from(["", "Kew", "Balwyn"]),
        postcode=st.sampled_from(["", "3101", "3103"]),
        active=st.booleans(),
    )


def level(field: Field, one: Person, other: Person) -> Level:
    """The level of one field of a comparison."""
    return dict(compare(normalise(one), normalise(other)).items())[field]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"given_name": "Mary-Ann"}, {"given_name": "Mary Ann"}, Level.EXACT),
        ({"given_name": "Bill"}, {"given_name": "William", "preferred_name": "Bill"}, Level.EXACT),
        ({"given_name": "Bill"}, {"given_name": "William"}, Level.NICKNAME),
        ({"given_name": "Kate"}, {"given_name": "Cathy"}, Level.NICKNAME),
        ({"given_name": "Brian"}, {"given_name": "Bryan"}, Level.TYPO),
        ({"given_name": "Jon"}, {"given_name": "John"}, Level.TYPO),
        ({"given_name": "Alessandro"}, {"given_name": "Aless"}, Level.TYPO),
        ({"given_name": "Peter"}, {"given_name": "James", "middle_name": "Peter"}, Level.OTHER_NAME),
        ({"given_name": "P"}, {"given_name": "Peter"}, Level.INITIAL),
        ({"given_name": "Hannah"}, {"given_name": "Anna"}, Level.CLOSE),
        ({"given_name": "Erin"}, {"given_name": "Aaron"}, Level.DIFFERENT),
        ({"given_name": ""}, {"given_name": "Peter"}, Level.MISSING),
    ],
)
def test_first_names_agree_in_steps(one: dict[str, str], other: dict[str, str], expected: Level) -> None:
    """Preferred, short and middle names count before spelling does."""
    assert level(Field.GIVEN, Person("m", **one), Person("p", **other)) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("O'Brien", "OBrien", Level.EXACT),
        ("Jolky", "Jolly", Level.TYPO),
        ("Smith-Jones", "Jones", Level.PART),
        ("Novak", "Novak-Lee", Level.PART),
        ("Smith-Jones", "Smith-Jone", Level.TYPO),
        ("de Bono", "Bono", Level.PART),
        ("van Dyk", "van Berg", Level.DIFFERENT),
        ("Smith", "Nguyen", Level.DIFFERENT),
        ("", "Nguyen", Level.MISSING),
    ],
)
def test_family_names_agree_in_steps(one: str, other: str, expected: Level) -> None:
    """A part of a compound name is an agreement of its own, a particle is none."""
    assert level(Field.FAMILY, Person("m", family_name=one), Person("p", family_name=other)) is expected


def test_names_that_changed_places_are_seen_as_such() -> None:
    """Also with a slip in one of them."""
    swapped = compare(
        normalise(Person("m", given_name="Snell", family_name="Zachary")),
        normalise(Person("p", given_name="Zachary", family_name="Snell")),
    )
    with_slip = compare(
        normalise(Person("m", given_name="Snel", family_name="Zachary")),
        normalise(Person("p", given_name="Zachary", family_name="Snell")),
    )

    assert (swapped.given, swapped.family) == (Level.EXACT, Level.SWAPPED)
    assert (with_slip.given, with_slip.family) == (Level.TYPO, Level.SWAPPED)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (date(1980, 4, 2), Level.EXACT),
        (date(1980, 2, 4), Level.SWAPPED),
        (date(1980, 4, 3), Level.TYPO),
        (date(1908, 4, 2), Level.GENERATION),
        (date(2010, 4, 2), Level.GENERATION),
        (date(1980, 4, 17), Level.TWO_PARTS),
        (date(1981, 4, 3), Level.TWO_EDITS),
        (date(1980, 11, 27), Level.YEAR),
        (date(1955, 11, 27), Level.DIFFERENT),
        (date(1900, 1, 1), Level.MISSING),
        (None, Level.MISSING),
    ],
)
def test_birth_dates_agree_in_steps(other: date | None, expected: Level) -> None:
    """A default date is missing; a wrong decade is rather the parent than a slip."""
    assert level(Field.BIRTH_DATE, _ANN, replace(_ANN, date_of_birth=other)) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Level.SEVERAL_CONTACTS),
        ({"phones": ("0298765432", "+61 412 345 678"), "address": ""}, Level.SEVERAL_CONTACTS),
        ({"phones": (), "email": "x@y.org"}, Level.ONE_CONTACT),
        ({"phones": (), "email": "", "suburb": "Balwyn"}, Level.ONE_CONTACT),
        ({"phones": (), "email": "annlee+x@other.org", "address": "9 Mill Ln"}, Level.NEAR_CONTACT),
        ({"phones": ("0412345679",), "email": "", "address": "9 Mill Ln"}, Level.NEAR_CONTACT),
        ({"phones": (), "email": "", "address": "14 High St"}, Level.NEAR_CONTACT),
        ({"phones": (), "email": "", "address": "9 Mill Lane"}, Level.AREA),
        ({"phones": (), "email": "", "suburb": "Perth", "postcode": "6000"}, Level.DIFFERENT),
        ({"phones": (), "email": "", "address": "", "suburb": "", "postcode": ""}, Level.MISSING),
    ],
)
def test_shared_contacts_are_one_field_that_saturates(changes: dict[str, str], expected: Level) -> None:
    """Phone, e-mail and address belong to a household; the best of them counts, not their sum."""
    other = replace(_ANN, **changes)  # type: ignore[arg-type]

    assert level(Field.HOUSEHOLD, _ANN, other) is expected


@given(people(), people())
def test_comparing_does_not_depend_on_the_side(one: Person, other: Person) -> None:
    """Every field is symmetric."""
    assert compare(normalise(one), normalise(other)) == compare(normalise(other), normalise(one))


@given(people(), people())
def test_every_field_lands_in_one_of_its_levels(one: Person, other: Person) -> None:
    """So that the weights cover whatever is compared, and every field is named once."""
    comparison = compare(normalise(one), normalise(other))

    assert [field for field, _ in comparison.items()] == list(Field) == list(Comparison.__slots__)
    assert all(value is Level.MISSING or value in LEVELS[field] for field, value in comparison.items())
