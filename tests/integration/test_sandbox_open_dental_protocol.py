"""The simulated Open Dental's protocol: access, errors, versions, paging and the forms of values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.errors import DomainError
from connector.sandbox.open_dental import Allocation, OfficeOptions, create_app
from tests.support.open_dental_office import ADA, KEYS, RunningOffice, patient_file, running_office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[RunningOffice]:
    with running_office(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningOffice]:
    with running_office(tmp_path_factory.mktemp("office")) as running:
        yield running


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 401),
        ({**KEYS, "Authorization": "ODFHIR sandbox-developer/other"}, 401),
        ({**KEYS, "Authorization": "Bearer sandbox-developer/sandbox-office"}, 401),
        ({"Authorization": KEYS["Authorization"]}, 400),
        ({**KEYS, "Content-Type": "text/plain"}, 400),
    ],
)
def test_every_verb_needs_the_keys_and_the_content_type(
    untouched: RunningOffice, verb: str, headers: dict[str, str], status: int
) -> None:
    """Bad keys are 401 and a bad content type is 400, also for a GET."""
    answer = untouched.raw(verb, "payments", headers)

    assert answer.status_code == status


def test_a_disabled_key_is_refused(office: RunningOffice) -> None:
    """The office can switch its key off."""
    office.control("options", {"key_enabled": False})

    assert office.api("GET", "payments").status_code == 401


@pytest.mark.parametrize(
    ("verb", "path", "body", "status", "sentence"),
    [
        ("GET", "payment", None, 404, "payment is not a valid resource."),
        ("DELETE", "payments", None, 400, "payments DELETE  is not a valid method."),
        ("GET", "payments/90001", None, 400, "payments GET 90001 is not a valid method."),
        ("PATCH", "patients/1001", {}, 400, "patients PATCH 1001 is not a valid method."),
        ("GET", "patients/77", None, 404, "Patient not found."),
        ("GET", "payments?PatNum=77", None, 404, "Patient not found."),
        ("PUT", "payments/77", {}, 404, "Payment not found."),
        ("PUT", "adjustments/77", {}, 404, "Adjustment not found."),
        ("GET", "providers/77", None, 404, "Provider not found."),
        ("GET", "adjustments", None, 400, "PatNum is required."),
        ("POST", "payments", {"PayAmt": "1"}, 400, "PatNum is required."),
        ("POST", "payments", {"PayAmt": "1", "PatNum": 10**30}, 400, "PatNum is invalid."),
        ("POST", "payments", [1], 400, "The request body must be a JSON object."),
        ("GET", "payments?Limit=-1", None, 400, "Limit and Offset cannot be negative."),
        ("GET", "payments?DateEntry=02.03.2026", None, 400, "DateEntry is invalid. Use the format yyyy-MM-dd."),
    ],
)
def test_an_error_is_one_bare_sentence(
    untouched: RunningOffice, verb: str, path: str, body: object, status: int, sentence: str
) -> None:
    """A refusal is text for people, not an object."""
    answer = untouched.api(verb, path, body)

    assert (answer.status_code, answer.text) == (status, sentence)


def test_a_body_that_is_not_json_is_refused(untouched: RunningOffice) -> None:
    """The office reads JSON only."""
    answer = untouched.raw("POST", "payments", KEYS, b"PayAmt=39")

    assert (answer.status_code, answer.text) == (400, "The request body is not valid JSON.")


def test_errors_can_be_quoted(office: RunningOffice) -> None:
    """Some offices send the sentence as a JSON string."""
    office.control("options", {"quoted_errors": True})

    assert office.api("GET", "patients/77").text == '"Patient not found."'


@pytest.mark.parametrize(
    ("permission", "verb", "path"),
    [
        ("ApiReadAll", "GET", "payments"),
        ("ApiPayments", "POST", "payments"),
        ("ApiPayments", "POST", "payments/Refund"),
        ("ApiPayments", "PUT", "payments/1"),
        ("ApiPatients", "POST", "patients"),
        ("ApiAllOthers", "POST", "adjustments"),
        ("ApiAllOthers", "PUT", "patfields"),
        ("ApiSetup", "POST", "definitions"),
        ("ApiProcedureLogs", "POST", "procedurelogs"),
    ],
)
def test_a_missing_permission_looks_like_a_bad_key(
    office: RunningOffice, permission: str, verb: str, path: str
) -> None:
    """Each method belongs to a permission group, and missing it is 401."""
    held = [name for name in office.control("options")["permissions"] if name != permission]

    office.control("options", {"permissions": held})

    assert office.api(verb, path, None if verb == "GET" else {}).status_code == 401


def test_the_permissions_of_the_key_can_be_read(office: RunningOffice) -> None:
    """Permissions are listed with booleans as text."""
    office.control("options", {"permissions": ["ApiReadAll", "ApiPayments"]})

    listed = {row["Permission"]: row["HasPermission"] for row in office.get("securityperms")}

    assert (listed["ApiPayments"], listed["ApiPatients"]) == ("true", "false")


def test_unknown_keys_are_ignored_in_query_and_body(office: RunningOffice) -> None:
    """A misspelt filter gives the unfiltered list, and a misspelt field is dropped."""
    office.pay(CheckNumber="lost")

    rows = office.get("payments", CheckNum="other")

    assert [row["CheckNum"] for row in rows] == [""]


def test_unknown_query_keys_can_be_refused(office: RunningOffice) -> None:
    """Some methods of some versions answer 400 to an unknown query key."""
    office.control("options", {"strict_query_keys": True})

    assert office.api("GET", "payments", CheckNum="x").status_code == 400
    assert office.api("GET", "payments", DateEntry="2026-03-02").status_code == 200


@pytest.mark.parametrize(
    ("since", "before", "verb", "path"),
    [
        ("21.2", "21.1", "POST", "payments"),
        ("22.2.32", "22.2.31", "GET", "payments"),
        ("22.4.16", "22.4.15", "GET", "paysplits"),
        ("23.3.11", "23.3.10", "PUT", "payments/1"),
        ("24.4.28", "24.4.27.9", "POST", "payments/Refund"),
        ("25.1.11", "25.1.10", "PUT", "payments/1/Partial"),
        ("22.2.22", "22.2.21", "POST", "adjustments"),
    ],
)
def test_a_method_needs_its_version(office: RunningOffice, since: str, before: str, verb: str, path: str) -> None:
    """An older program refuses a newer method with 400 and a sentence about versions."""
    body: object = None if verb == "GET" else {}
    office.control("options", {"program_version": before})
    old = office.api(verb, path, body)

    office.control("options", {"program_version": since})
    new = office.api(verb, path, body)

    assert (old.status_code, "version" in old.text) == (400, True)
    assert "version" not in new.text


def test_an_old_program_ignores_newer_fields(office: RunningOffice) -> None:
    """Before 23.1.27 PayType is an unknown field, and before 23.3.11 the list needs a patient."""
    cash = next(row["DefNum"] for row in office.get("definitions", Category=10) if row["ItemName"] == "Cash")

    office.control("options", {"program_version": "23.1.26"})

    assert office.pay(PayType=cash)["payType"] == "Credit Card"
    assert office.api("GET", "payments").text == "PatNum is required."
    assert len(office.get("payments", PatNum=ADA, PayType=cash)) == 1


@pytest.mark.parametrize(("mode", "cap"), [("remote", 100), ("service", 1000)])
def test_a_list_stops_at_the_cap_without_a_word(office: RunningOffice, mode: str, cap: int) -> None:
    """A list without Limit, or with a larger one, silently ends at the cap; Offset goes on from there."""
    office.control("options", {"mode": mode})
    numbers = [office.pay("1", isPrepayment="true")["PayNum"] for _ in range(cap + 2)]

    first, greedy = office.get("payments"), office.get("payments", Limit=cap + 500)
    rest, small = office.get("payments", Offset=cap), office.get("payments", Limit=3, Offset=1)

    assert [row["PayNum"] for row in first] == numbers[:cap]
    assert len(greedy) == cap
    assert [row["PayNum"] for row in rest] == numbers[cap:]
    assert [row["PayNum"] for row in small] == numbers[1:4]


def test_a_call_that_comes_too_early_can_be_refused(office: RunningOffice) -> None:
    """The throttle of the Remote mode answers 429 where the office is set so; the Service mode has none."""
    office.control("options", {"throttle_milliseconds": 600_000, "throttle_refuses": True})

    statuses = [office.api("GET", "payments").status_code for _ in range(2)]
    office.control("options", {"mode": "service"})

    assert statuses == [200, 429]
    assert office.api("GET", "payments").status_code == 200


def test_preferences_tell_version_and_settings(office: RunningOffice) -> None:
    """The program's version and the accounting mode are readable."""
    office.control("options", {"allocation": "manual", "future_dates_allowed": True})

    values = {row["PrefName"]: row["ValueString"] for row in office.get("preferences")}

    assert office.get("preferences", PrefName="ProgramVersion")[0]["ValueString"] == "25.4.48.0"
    assert (values["RigorousAccounting"], values["FutureTransDatesAllowed"]) == ("2", "1")


def test_definitions_are_found_by_numeric_category_and_hidden_ones_on_request(office: RunningOffice) -> None:
    """Hidden definitions are left out unless they are asked for."""
    created = office.api("POST", "definitions", {"ItemName": "Gift Card", "category": "PaymentTypes"})
    shown = {row["ItemName"]: row["isHidden"] for row in office.get("definitions", Category=10)}
    everything = {
        row["ItemName"]: row["isHidden"] for row in office.get("definitions", Category=10, includeHidden="true")
    }

    assert created.status_code == 201
    assert shown["Gift Card"] == "false"
    assert "Voucher" not in shown
    assert everything["Voucher"] == "true"
    assert {row["ItemName"] for row in office.get("definitions", Category=29)} >= {"Prepayment"}
    assert office.api("GET", "definitions", Category="PaymentTypes").status_code == 400


def test_an_office_without_clinics_lists_none(office: RunningOffice) -> None:
    """The clinics feature is off until a clinic is made."""
    before = office.get("clinics")
    office.staff("add_clinic", Abbr="EAST")

    assert before == []
    assert [row["Abbr"] for row in office.get("clinics")] == ["EAST"]
    assert [row["ProvNum"] for row in office.get("providers")] == [1, 2]


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "cloud"},
        {"colour": "red"},
        {"timezone": "Mars/Base"},
        {"program_version": "new"},
        {"key_enabled": "no"},
    ],
)
def test_an_impossible_option_is_refused_and_changes_nothing(office: RunningOffice, change: dict[str, object]) -> None:
    """Options are checked before they are taken on."""
    before = office.control("options")

    answer = office.refused("options", change)

    assert answer.status_code == 400
    assert office.control("options") == before


def test_options_given_at_the_start_hold(tmp_path: Path) -> None:
    """An office can be opened with other options than the usual ones."""
    with running_office(tmp_path, OfficeOptions(allocation=Allocation.RIGOROUS, quoted_errors=True)) as office:
        assert office.control("options")["allocation"] == "rigorous"
        assert office.api("GET", "patients/77").text == '"Patient not found."'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id,given_name\n", "The patient file patients.csv has no column 'family_name'."),
        (
            "{header}\nx,A,B,3/9/88,,,,,\n",
            "The date_of_birth in line 2 of patients.csv is not a date: write it like 1988-03-09.",
        ),
        ("{header}\n,A,B,1988-03-09,,,,,\n", "The column 'id' is empty in line 2 of patients.csv."),
        (
            "{header}\nx,A,B,,,,,,\nx,C,D,,,,,,\n",
            "The patient file patients.csv uses an id twice: every id must be its own.",
        ),
        ("{header}\nx,A,B,,,,,,,more\n", "There are more values than columns in line 2 of patients.csv."),
        (
            "{header}\nx,A,B,,,,,,y\n",
            "Patient 'x' of patients.csv needs a guarantor_id of somebody who pays for himself.",
        ),
    ],
)
def test_a_bad_patient_file_is_refused_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    """The sandbox does not start with half of its patients."""
    header = "id,given_name,family_name,date_of_birth,address,suburb,state,postcode,guarantor_id"
    file = patient_file(tmp_path, text.format(header=header))

    with pytest.raises(DomainError) as refusal:
        create_app(tmp_path / "office.db", file)

    assert str(refusal.value) == sentence


def test_patients_without_a_name_are_taken_from_the_file(tmp_path: Path) -> None:
    """Real offices have such rows, although the API itself would not create one."""
    header = "id,given_name,family_name,date_of_birth,address,suburb,state,postcode"

    with running_office(tmp_path, patients=f"{header}\nx,,Stone,,,,,\n") as office:
        listed = office.get("patients")

    assert [(row["FName"], row["LName"], row["Birthdate"]) for row in listed] == [("", "Stone", "0001-01-01")]
