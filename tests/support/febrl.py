"""The FEBRL people of tests/data, and a practice system that finds them by prefixes and exact values only."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from connector.matching.person import Person
from connector.pms_adapters.records import PatientQuery
from connector.sandbox import demo

_TRUTH = Path(__file__).parents[1] / "data" / "febrl"
_PEOPLE = Path(demo.__file__).parent / "data"


def people(name: str) -> dict[str, Person]:
    """The people of members.csv or patients.csv by id; a birth date that cannot be one is unknown."""
    return {row["id"]: _person(row) for row in _rows(name)}


def truth() -> dict[str, str | None]:
    """Member id -> the id of the same person's patient record, None for who is no patient."""
    return {row["member_id"]: row["patient_id"] or None for row in _rows("truth")}


class PrefixSearch:
    """All fields of a query must agree: names by prefix, the birth date exactly; nobody has a phone or e-mail here."""

    def __init__(self, patients: Sequence[Person]) -> None:
        self._by_initial: defaultdict[str, list[Person]] = defaultdict(list)
        self._by_birth_date: defaultdict[date | None, list[Person]] = defaultdict(list)
        for patient in patients:
            self._by_initial[patient.family_name[:1]].append(patient)
            self._by_birth_date[patient.date_of_birth].append(patient)
        self._all = list(patients)

    def find(self, query: PatientQuery) -> list[Person]:
        if query.phone or query.email:
            return []
        if query.date_of_birth:
            rows = self._by_birth_date[query.date_of_birth]
        else:
            rows = self._by_initial[query.family_name[0]] if query.family_name else self._all
        return [
            row
            for row in rows
            if row.given_name.startswith(query.given_name) and row.family_name.startswith(query.family_name)
        ]


def _rows(name: str) -> Iterator[dict[str, str]]:
    with ((_TRUTH if name == "truth" else _PEOPLE) / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def _person(row: dict[str, str]) -> Person:
    try:
        birth_date = date.fromisoformat(row["date_of_birth"])
    except ValueError:
        birth_date = None
    return Person(
        id=row["id"],
        given_name=row["given_name"],
        family_name=row["family_name"],
        date_of_birth=birth_date,
        address=row["address"],
        suburb=row["suburb"],
        state=row["state"],
        postcode=row["postcode"],
    )
