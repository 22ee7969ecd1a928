"""The settings of a location: remembered changes, checked details, and no money before Stripe's account is ready."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from connector.billing.activity import Activity
from connector.billing.clinics import Clinic, Location, LocationStatus
from connector.billing.policy import BillingPolicy, CatchUp, FeeBearer
from connector.cli.main import cli
from connector.errors import AccessDenied, DomainError, EdgeError
from connector.use_cases.collection.run_due import run_due
from connector.use_cases.practice import contact_details
from connector.use_cases.practice.location_settings import (
    activate_location,
    change_settings,
    edit_clinic,
    edit_location,
    list_settings,
    pause_location,
    require_active,
)
from connector.use_cases.practice.set_up_location import add_location
from tests.support.book import Book, opened_book
from tests.support.commands import command, document
from tests.support.practice import Practice

IN_SYDNEY = ("--timezone", "Australia/Sydney", "--currency", "aud")
IN_AUCKLAND = ("--timezone", "Pacific/Auckland", "--currency", "nzd")
ACTOR = "person:owner"
ABN = "51824753556"
"""The example of the Australian Business Register."""


@pytest.fixture
def book(tmp_path: Path, template: Path) -> Iterator[Book]:
    file = tmp_path / "connector.sqlite3"
    file.write_bytes(template.read_bytes())
    with opened_book(f"sqlite:///{file.as_posix()}", tmp_path) as opened:
        yield opened


def location_of(book: Book) -> Location:
    with book.context.database.read() as session:
        return session.get_one(Location, book.location.id)


def history(book: Book, subject_id: str) -> list[Activity]:
    with book.context.database.read() as session:
        query = select(Activity).where(Activity.subject_id == subject_id).order_by(Activity.sequence)
        return list(session.scalars(query))


def test_a_change_of_settings_is_remembered_with_what_was_before(book: Book) -> None:
    """Only what differs from the defaults is kept, and a change to what is so already is none."""
    changed = change_settings(book.context, "leura", {"card_retry_days": "3, 7", "catch_up": "all"}, ACTOR)
    again = change_settings(book.context, "leura", {"catch_up": "all"}, ACTOR)
    back = change_settings(book.context, "leura", {"card_retry_days": ""}, ACTOR)

    assert [(setting.name, setting.value, setting.changed) for setting in changed] == [
        ("catch_up", "all", True),
        ("card_retry_days", [3, 7], True),
    ]
    assert again == []
    assert [(setting.name, setting.value, setting.changed) for setting in back] == [
        ("card_retry_days", [3, 7, 14], False)
    ]
    assert location_of(book).settings == {"catch_up": "all"}
    assert location_of(book).policy.catch_up is CatchUp.ALL
    assert [(row.action, row.actor, row.detail) for row in history(book, book.location.id)] == [
        (
            "Settings Changed",
            ACTOR,
            {"catch_up": {"old": "latest", "new": "all"}, "card_retry_days": {"old": [3, 7, 14], "new": [3, 7]}},
        ),
        ("Settings Changed", ACTOR, {"card_retry_days": {"old": [3, 7], "new": [3, 7, 14]}}),
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"retry_days": "3"}, "'retry_days' is not a setting"),
        ({"catch_up": "all", "send_from_hour": "18"}, "send_from_hour must be before send_until_hour"),
        ({"card_retry_days": "7,3"}, "retry days must rise"),
        ({"dependent_discount_percent": "101"}, "dependent_discount_percent cannot be set so"),
        ({"catch_up": "all", "platform_tier": "gold"}, "There is no tier 'gold': choose one of free, growth"),
    ],
)
def test_settings_that_do_not_fit_change_nothing(book: Book, changes: dict[str, str], words: str) -> None:
    """Neither the wrong one nor those beside it."""
    with pytest.raises(DomainError, match=words):
        change_settings(book.context, "leura", changes, ACTOR)

    assert location_of(book).settings == {}
    assert history(book, book.location.id) == []


def test_all_settings_are_listed_with_their_defaults(book: Book) -> None:
    """In the order in which the document explains them."""
    change_settings(book.context, "leura", {"fee_bearer": "patient"}, ACTOR)

    found = list_settings(book.context, "leura")

    assert [setting.name for setting in found] == list(BillingPolicy.model_fields)
    assert [(s.name, s.value, s.default) for s in found if s.changed] == [("fee_bearer", "patient", "practice")]
    assert location_of(book).policy.fee_bearer is FeeBearer.PATIENT


def test_the_details_of_a_location_are_kept_in_one_form(book: Book) -> None:
    """An empty text removes one; what is the same already is no news."""
    wanted = {
        "trading_name": " Leura  Smiles ",
        "abn": "51 824 753 556",
        "address": "1 High Street, Leura NSW 2780",
        "phone": "(02) 4784 1234",
        "email": "Front.Desk@leura.example",
        "website": "www.leura.example",
        "region": "act",
    }
    edit_location(book.context, "leura", wanted, ACTOR)
    edit_location(book.context, "leura", {"abn": ABN, "website": ""}, ACTOR)

    location = location_of(book)
    assert {name: getattr(location, name) for name in wanted} == {
        "trading_name": "Leura Smiles",
        "abn": ABN,
        "address": "1 High Street, Leura NSW 2780",
        "phone": "+61247841234",
        "email": "front.desk@leura.example",
        "website": "",
        "region": "ACT",
    }
    assert location.calendar.region == "ACT"
    assert history(book, location.id)[-1].detail == {"website": {"old": "https://www.leura.example", "new": ""}}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("abn", "51824753557", "not an ABN"),
        ("abn", "5182475355", "not an ABN"),
        ("abn", "05182475355", "not an ABN"),
        ("abn", "٥١٨٢٤٧٥٣٥٥٦", "not an ABN"),
        ("phone", "call us", "cannot be a telephone number"),
        ("email", "front desk", "not an e-mail address"),
        ("email", "a@b", "not an e-mail address"),
        ("website", "ftp://leura.example", "not the address of a website"),
        ("website", "https://me@leura.example", "not the address of a website"),
        ("website", "leura", "not the address of a website"),
        ("website", "http://[::1", "not the address of a website"),
        ("region", "NZ", "one of ACT, NSW, NT, QLD, SA, TAS, VIC, WA"),
        ("trading_name", "L" * 101, "at most 100"),
        ("address", "1 High\x1b[2J Street", "printable"),
    ],
)
def test_a_detail_that_cannot_be_is_refused_and_changes_nothing(book: Book, name: str, text: str, words: str) -> None:
    """Neither it nor the right one beside it."""
    with pytest.raises(DomainError, match=words):
        edit_location(book.context, "leura", {"trading_name": "Other", name: text}, ACTOR)

    assert (location_of(book).trading_name, history(book, book.location.id)) == ("", [])


def test_a_state_belongs_to_its_country(book: Book, tmp_path: Path) -> None:
    """A practice in Auckland has none of Australia's holidays."""
    add_location(
        book.context,
        slug="auckland",
        name="Auckland",
        timezone="Pacific/Auckland",
        currency="nzd",
        pms="file_drop",
        pms_settings={"folder": str(tmp_path)},
    )

    with pytest.raises(DomainError, match="'NSW' is not a region in the time zone Pacific/Auckland"):
        edit_location(book.context, "auckland", {"region": "NSW"}, ACTOR)


@given(st.integers(min_value=0, max_value=10), st.integers(min_value=1, max_value=9))
def test_one_wrong_digit_of_an_abn_is_always_noticed(place: int, more: int) -> None:
    """The weights and the modulus, which is a prime, leave no single slip undetected."""
    digits = [int(digit) for digit in ABN]
    digits[place] = (digits[place] + more) % 10

    with pytest.raises(DomainError, match="not an ABN"):
        contact_details.abn("".join(map(str, digits)))


def test_the_company_has_an_abn_and_a_contact(book: Book) -> None:
    """The history names the fields only: a contact is a person."""
    edit_clinic(book.context, "Leura Dental", {"abn": "51 824 753 556", "contact": "Mia Okafor"}, ACTOR)

    with book.context.database.read() as session:
        clinic = session.scalars(select(Clinic)).one()
    assert (clinic.abn, clinic.contact) == (ABN, "Mia Okafor")
    (row,) = history(book, clinic.id)
    assert row.detail == {"fields": ["abn", "contact"]}
    with pytest.raises(DomainError, match="no clinic of that name: the clinics are Leura Dental"):
        edit_clinic(book.context, "Leura", {"abn": ABN}, ACTOR)


def test_a_paused_location_takes_nothing_until_stripes_account_is_ready(practice: Practice, tmp_path: Path) -> None:
    """Asked at Stripe: charges must be enabled, some way to pay open, and the currency the location's own."""
    context = practice.context
    require_active(practice.location)
    pause_location(context, "leura", ACTOR)

    def status() -> LocationStatus:
        (location,) = practice.all(Location)
        with pytest.raises(DomainError, match="begin with `connector locations activate leura`"):
            require_active(location)
        return location.status

    for closed in ({"charges_enabled": False}, _capabilities("inactive", "pending")):
        practice.stripe.post("account", **closed)
        with pytest.raises(DomainError, match="cannot take payments yet"):
            activate_location(context, "leura", ACTOR)
        assert status() is LocationStatus.PAUSED

    practice.stripe.post("account", **_capabilities("active", "inactive"))
    account = activate_location(context, "leura", ACTOR)
    activate_location(context, "leura", ACTOR)

    (location,) = practice.all(Location)
    require_active(location)
    assert (account.card, account.becs) == (True, False)
    steps = [row.action for row in practice.all(Activity) if row.subject_id == location.id]
    assert steps == ["Location Paused", "Location Activated"]

    add_location(
        context,
        slug="auckland",
        name="Auckland",
        timezone="Pacific/Auckland",
        currency="nzd",
        pms="file_drop",
        pms_settings={"folder": str(tmp_path)},
    )
    pause_location(context, "auckland", ACTOR)
    with pytest.raises(DomainError, match="'auckland' charges in nzd and its Stripe account in aud"):
        activate_location(context, "auckland", ACTOR)
    practice.stripe.post("faults", method="GET", path="/v1/account", kind="status_before", status=401, count=9)
    with pytest.raises(EdgeError) as refused:
        activate_location(context, "auckland", ACTOR)
    assert isinstance(refused.value, AccessDenied)
    assert [row.status for row in practice.all(Location)] == [LocationStatus.ACTIVE, LocationStatus.PAUSED]


def _capabilities(card: str, becs: str) -> dict[str, Any]:
    return {"capabilities": {"card_payments": card, "au_becs_debit_payments": becs}}


def test_a_location_is_managed_from_the_command_line(practice: Practice) -> None:
    """As a person and as a machine reads it; the practice is told about the law before patients bear a fee."""

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(cli, ["locations", *words], env=practice.environment())
        assert done.exit_code == code, done.output
        return done.stdout if code == 0 else f"{done.output} {done.exception}"

    assert "card_retry_days is 3, 7 now." in run("set", "leura", "card_retry_days=3,7")
    assert "Nothing was changed" in run("set", "leura", "card_retry_days=3,7")
    assert "from 1 October 2026 no surcharge" in run("set", "leura", "fee_bearer=patient")
    assert json.loads(run("set", "leura", "card_retry_days=", "fee_bearer=practice", "--json")) == [
        {"name": "card_retry_days", "value": [3, 7, 14], "default": [3, 7, 14], "changed": False},
        {"name": "fee_bearer", "value": "practice", "default": "practice", "changed": False},
    ]
    assert len(json.loads(run("settings", "leura", "--json"))) == len(BillingPolicy.model_fields)
    assert "becs_week_limit_cents" in run("settings", "leura")
    assert "Write each setting as NAME=VALUE" in run("set", "leura", "catch_up", code=2)
    assert "is not a setting" in run("set", "leura", "colour=red", code=1)

    assert json.loads(run("edit", "leura", "--abn", ABN, "--region", "NSW", "--json"))["changed"] == ["abn", "region"]
    assert "Say what is to be changed" in run("edit", "leura", code=2)
    assert "is changed" in run("clinic", "Leura Dental", "--contact", "Mia Okafor")
    assert "Say what is to be changed" in run("clinic", "Leura Dental", code=2)

    assert "takes no sign-ups and payments" in run("pause", "leura")
    assert json.loads(run("list", "--json"))[0]["status"] == "paused"
    assert "is active and takes cards and bank debits" in run("activate", "leura")
    assert json.loads(run("activate", "leura", "--json"))["status"] == "active"


def test_a_new_location_opens_by_itself_once_its_account_can_take_its_money(practice: Practice, tmp_path: Path) -> None:
    """Asked when it is added and before each run: until then nobody can sign up, and the reason is one sentence."""
    folder = ("--pms", "file_drop", "--pms-setting", f"folder={tmp_path}")
    practice.stripe.post("account", charges_enabled=False)

    added = command(practice, "locations", "add", "ryde", "--name", "Ryde", *IN_SYDNEY, *folder)
    kiwi = document(practice, "locations", "add", "kiwi", "--name", "Kiwi", *IN_AUCKLAND, *folder)
    told = run_due(practice.context).problems

    closed = {row.slug: row.status for row in practice.all(Location)}
    assert (added.code, "It takes no sign-ups and payments yet." in added.out) == (0, True)
    assert (kiwi["status"], closed) == ("pending", {"leura": "active", "ryde": "pending", "kiwi": "pending"})
    assert [sentence[:40] for sentence in told] == ["The Stripe account cannot take payments "]
    members = tmp_path / "members.csv"
    members.write_text("given_name,family_name,email\nAda,Ferris,ada@example.com\n", encoding="utf-8")
    asked = ("import-members", str(members), "--plan", "Essential", "--location")
    assert "takes no sign-ups and payments now" in command(practice, *asked, "ryde").err
    practice.stripe.post("account", charges_enabled=True)
    assert command(practice, *asked, "ryde").code == 0
    told = run_due(practice.context).problems
    assert {row.slug: row.status for row in practice.all(Location)} == closed | {"ryde": "active"}
    assert told == [
        "The location 'kiwi' charges in nzd and its Stripe account in aud: connect an account of that currency."
    ]
