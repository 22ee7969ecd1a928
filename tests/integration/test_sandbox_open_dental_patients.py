"""The simulated Open Dental's patients: search, incremental list, changes, families and custom fields."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.open_dental_office import ADA, BEN, ZOE, RunningOffice, running_office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[RunningOffice]:
    with running_office(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def readable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningOffice]:
    with running_office(tmp_path_factory.mktemp("office")) as running:
        yield running


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [ADA, BEN, ZOE]),
        ({"LName": "ferr"}, [ADA, BEN]),
        ({"LName": "erris"}, []),
        ({"LName": "FERRIS", "FName": "b"}, [BEN]),
        ({"FName": "zoe"}, [ZOE]),
        ({"Birthdate": "1975-12-01"}, [ZOE]),
        ({"Phone": "(0412) 345-678"}, [ADA]),
        ({"Phone": "1 0412345679"}, [BEN]),
        ({"Phone": "345678"}, []),
        ({"Email": "EXAMPLE"}, [ADA, ZOE]),
        ({"Address": "low"}, [ZOE]),
        ({"City": "leu"}, [ADA, BEN]),
        ({"City": "eura"}, []),
        ({"ChartNumber": "S-3"}, [ZOE]),
        ({"guarOnly": "true"}, [ADA, ZOE]),
        ({"SubscriberId": "5"}, []),
        ({"clinicNums": "4,5"}, [ADA, BEN, ZOE]),
        ({"LName": "100%"}, []),
        ({"Limit": "1", "Offset": "1"}, [BEN]),
    ],
)
def test_the_search_has_its_own_rule_for_every_field(
    readable: RunningOffice, query: dict[str, str], found: list[int]
) -> None:
    """Prefix for names and places, substring for mail and street, exact for birthdates, digits for phones."""
    assert [row["PatNum"] for row in readable.get("patients", **query)] == found


def test_the_search_gives_a_short_record_with_a_numeric_zip(readable: RunningOffice) -> None:
    """Family, balances and time stamps are only in the full record, where Zip is text."""
    short, full = readable.get("patients", LName="Marsh")[0], readable.get(f"patients/{ZOE}")
    simple = readable.get("patients/Simple", LName="mars")[0]

    assert short["Zip"] == 2780
    assert not {"Guarantor", "EstBalance", "BalTotal", "DateTStamp"} & set(short)
    assert (full["Zip"], full["Guarantor"], full["BillingType"]) == ("2780", ZOE, "Standard Account")
    assert {**full, "serverDateTime": "2026-03-02 12:00:00"} == simple


def test_last_names_can_be_searched_as_substrings(office: RunningOffice) -> None:
    """An office's setting widens the search by LName."""
    office.control("options", {"last_name_substring": True})

    assert [row["PatNum"] for row in office.get("patients", LName="erris")] == [ADA, BEN]


def test_the_incremental_list_gives_what_changed_since(office: RunningOffice) -> None:
    """serverDateTime of one list is the DateTStamp of the next."""
    office.control("clock", {"now": "2027-01-01T12:00:00+11:00"})
    since = office.get("patients/Simple")[0]["serverDateTime"]

    office.api("PUT", f"patients/{BEN}", {"Preferred": "Benny"})

    assert [row["PatNum"] for row in office.get("patients/Simple", DateTStamp=since)] == [BEN]
    assert [row["PatNum"] for row in office.get("patients/Simple", Guarantor=ADA)] == [ADA, BEN]


def test_hidden_states_are_left_out_of_the_search(office: RunningOffice) -> None:
    """Archived patients show on request, inactive ones unless unwanted, deleted ones never."""
    office.staff("archive_patient", PatNum=ADA)
    office.staff("delete_patient", PatNum=ZOE)
    office.api("PUT", f"patients/{BEN}", {"PatStatus": "Inactive"})

    assert [row["PatNum"] for row in office.get("patients")] == [BEN]
    assert [row["PatNum"] for row in office.get("patients", showArchived="true")] == [ADA, BEN]
    assert office.get("patients", hideInactive="true") == []
    assert [row["PatNum"] for row in office.get("patients/Simple")] == [ADA, BEN]
    assert office.api("PUT", f"patients/{ZOE}", {"Preferred": "Z"}).status_code == 404
    assert office.api("GET", f"accountmodules/{ZOE}/Aging").status_code == 400


def test_a_new_patient_heads_a_family_of_his_own(office: RunningOffice) -> None:
    """Only the two names are needed."""
    answer = office.api("POST", "patients", {"LName": "Young", "FName": "Ivo"})

    created = answer.json()
    assert answer.status_code == 201
    assert (created["PatNum"], created["Guarantor"], created["Birthdate"]) == (1004, 1004, "0001-01-01")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Email": "ADA@example.com"}, 400),
        ({"HmPhone": "0412345678"}, 400),
        ({"HmPhone": "0412 345 679"}, 400),
        ({"Email": "other@example.com"}, 201),
        ({"Email": "ada@example.com", "Birthdate": "1988-03-10"}, 201),
        ({}, 201),
    ],
)
def test_a_patient_who_is_already_there_is_refused(office: RunningOffice, fields: dict[str, str], status: int) -> None:
    """Name, birthdate and any contact of the family make a duplicate; without a contact nothing is noticed."""
    body = {"LName": "Ferris", "FName": "Ada", "Birthdate": "1988-03-09", **fields}

    assert office.api("POST", "patients", body).status_code == status


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"FName": ""}, "FName is required."),
        ({"Zip": "2780"}, "Zip is invalid."),
        ({"ChartNumber": "1234567890123456"}, "ChartNumber cannot be longer than 15 characters."),
        ({"BillingType": "Nothing"}, "BillingType is invalid."),
        ({"PatStatus": "Happy"}, "PatStatus is invalid."),
        ({"Guarantor": ADA, "SuperFamily": ADA}, "Guarantor and SuperFamily cannot both be set."),
        ({"Guarantor": BEN}, "Guarantor is invalid."),
        ({"PriProv": 9}, "PriProv is invalid."),
    ],
)
def test_a_wrong_field_of_a_patient_is_refused(
    readable: RunningOffice, fields: dict[str, object], sentence: str
) -> None:
    """Validation names the field."""
    answer = readable.api("POST", "patients", {"LName": "Young", "FName": "Ivo", **fields})

    assert (answer.status_code, answer.text) == (400, sentence)


def test_families_change_only_in_the_allowed_ways(office: RunningOffice) -> None:
    """A head with a family can hand it over but not leave it; others can move to another head."""
    leave = office.api("PUT", f"patients/{ADA}", {"Guarantor": ZOE})
    hand_over = office.api("PUT", f"patients/{ADA}", {"Guarantor": BEN})
    move = office.api("PUT", f"patients/{ADA}", {"Guarantor": ZOE})
    below = office.api("PUT", f"patients/{BEN}", {"Guarantor": ADA})

    assert [answer.status_code for answer in (leave, hand_over, move, below)] == [400, 200, 200, 400]
    assert [office.get(f"patients/{number}")["Guarantor"] for number in (ADA, BEN, ZOE)] == [ZOE, BEN, ZOE]


def test_custom_fields_are_found_by_their_exact_name(office: RunningOffice) -> None:
    """A field must be defined first; PUT makes or overwrites it, and DELETE removes it."""
    body = {"PatNum": ADA, "FieldName": "Membership", "FieldValue": "gold"}

    created = office.api("POST", "patfields", body)
    again = office.api("POST", "patfields", body)
    unknown = office.api("POST", "patfields", {**body, "FieldName": "membership"})
    office.api("PUT", "patfields", {**body, "FieldValue": "silver"})
    listed = office.get("patfields", FieldName="Membership")
    office.api("DELETE", "patfields", {"PatNum": ADA, "FieldName": "Membership"})

    assert [answer.status_code for answer in (created, again, unknown)] == [201, 400, 400]
    assert [(row["PatNum"], row["FieldValue"]) for row in listed] == [(ADA, "silver")]
    assert office.get("patfields") == []


def test_custom_fields_can_be_defined(office: RunningOffice) -> None:
    """A name can be defined once."""
    answers = [office.api("POST", "patfielddefs", {"FieldName": "Plan"}).status_code for _ in range(2)]

    assert answers == [201, 400]
    assert {"FieldName": "Plan"} in office.get("patfielddefs")
