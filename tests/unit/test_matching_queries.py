"""Which searches a member causes in the practice system."""

from __future__ import annotations

from datetime import date

import pytest

from connector.matching.person import Person
from connector.matching.queries import QUERIES_MAX, queries_for
from connector.pms_adapters.records import PatientQuery


def test_each_search_leaves_out_what_another_one_asks_for() -> None:
    """So that a mistake in one field does not hide the patient; never more than the limit."""
    member = Person(
        "m",
        given_name="Maria",
        family_name="Novak",
        date_of_birth=date(1980, 4, 2),
        phones=("0412 345 678", "02 9123 4567"),
        email="Maria@Example.com",
    )

    queries = queries_for(member)

    assert queries == [
        PatientQuery(date_of_birth=date(1980, 4, 2)),
        PatientQuery(given_name="M", family_name="Nov"),
        PatientQuery(phone="0412 345 678"),
        PatientQuery(email="maria@example.com"),
        PatientQuery(given_name="Mar", family_name="N"),
    ]
    assert len(queries) == QUERIES_MAX


def test_without_contacts_the_swapped_names_are_searched_too() -> None:
    """The family name may stand where the given name belongs."""
    queries = queries_for(Person("m", given_name="Maria", family_name="Novak"))

    assert PatientQuery(given_name="Nov", family_name="Mar") in queries


@pytest.mark.parametrize(
    ("family", "prefix"), [("O'Brien", "O"), ("de Bono", "de"), ("Strauß", "Str"), ("Müller", "M"), ("Wu", "Wu")]
)
def test_a_prefix_ends_before_what_clerks_write_differently(family: str, prefix: str) -> None:
    """Apostrophes, spaces and accents are searched neither with nor without."""
    queries = queries_for(Person("m", given_name="Anna", family_name=family))

    assert PatientQuery(given_name="Ann", family_name=prefix[:1]) in queries
    if len(prefix) > 1:
        assert queries[0] == PatientQuery(given_name="A", family_name=prefix)


@pytest.mark.parametrize(
    "member",
    [
        Person("m"),
        Person("m", given_name="A", family_name="B"),
        Person("m", date_of_birth=date(1900, 1, 1), phones=("0000000000",), email="none@none.com"),
    ],
)
def test_nothing_telling_causes_no_search(member: Person) -> None:
    """Initials and placeholders would bring half the practice."""
    assert queries_for(member) == []
