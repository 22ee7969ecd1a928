"""The team of a clinic: invitations that work once, an admin at all times, and what each may do where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from connector.billing.activity import Activity
from connector.billing.clinics import Clinic, Location
from connector.billing.links import LinkKind, SecureLink, find, mint
from connector.billing.staff import Role, StaffStatus, StaffUser
from connector.cli.main import cli
from connector.clock import MovableClock, SystemClock
from connector.errors import DomainError
from connector.messaging.models import Message
from connector.messaging.texts import mail
from connector.use_cases.messages.message_values import values_of
from connector.use_cases.practice.list_staff import StaffLine, list_staff
from connector.use_cases.practice.set_up_location import add_location
from connector.use_cases.practice.staff_permissions import FRONT_DESK, Action, may, works_at
from connector.use_cases.practice.staff_users import (
    INVITATION_LASTS,
    Invitation,
    StaffDetails,
    accept_invitation,
    add_user,
    disable_user,
    edit_user,
    enable_user,
    invitation_code,
    invite_user,
)
from tests.support.book import Book, opened_book

CLINIC = "Leura Dental"
ACTOR = "person:owner"
CANNOT_BE_USED = "cannot be used: ask an admin of the practice for a new one"
_EMAILS = (f"user{number}@practice.example" for number in range(1000))


@pytest.fixture
def book(tmp_path: Path, template: Path) -> Iterator[Book]:
    file = tmp_path / "connector.sqlite3"
    file.write_bytes(template.read_bytes())
    with opened_book(f"sqlite:///{file.as_posix()}", tmp_path) as opened:
        yield opened


def person(email: str = "", phone: str = "") -> StaffDetails:
    """Somebody with an address of their own."""
    return StaffDetails("Mia", "Okafor", email or next(_EMAILS), phone)


def added(book: Book, role: Role = Role.ADMIN, *, email: str = "") -> Invitation:
    """Somebody who was added and has not accepted."""
    slugs = () if role is Role.ADMIN else ("leura",)
    return add_user(book.context, CLINIC, person(email), role, slugs, ACTOR)


def active(book: Book, role: Role = Role.ADMIN) -> str:
    """Somebody who has accepted."""
    return accept_invitation(book.context, added(book, role).code)


def line_of(book: Book, user_id: str) -> StaffLine:
    (line,) = (line for line in list_staff(book.context) if line.user_id == user_id)
    return line


def second_location(book: Book, tmp_path: Path, clinic: str = CLINIC) -> str:
    """Another location, which belongs to that clinic; returns its id."""
    return add_location(
        book.context,
        slug="bondi",
        name="Bondi",
        timezone="Australia/Sydney",
        currency="aud",
        pms="file_drop",
        pms_settings={"folder": str(tmp_path)},
        clinic=clinic,
    )


def test_somebody_who_is_added_is_pending_until_the_invitation_is_accepted(book: Book) -> None:
    """One message goes out at once, in the name of their location, and only a hash of the code is kept."""
    invitation = added(book, Role.LIMITED)

    assert line_of(book, invitation.user_id).status is StaffStatus.PENDING
    with book.context.database.read() as session:
        (message,) = session.scalars(select(Message).where(Message.staff_user_id == invitation.user_id))
        (link,) = session.scalars(select(SecureLink).where(SecureLink.kind == LinkKind.STAFF))
    now = book.context.clock.now()
    assert (message.location_id, message.not_before) == (book.location.id, now)
    assert (link.subject_id, link.member_id, link.expires_at) == (invitation.user_id, None, now + INVITATION_LASTS)
    assert invitation.code not in f"{link.token_hash} {message.reason_key} {message.detail} {invitation!r}"

    assert accept_invitation(book.context, f" {invitation.code}\n") == invitation.user_id

    assert line_of(book, invitation.user_id).status is StaffStatus.ACTIVE


def test_a_printed_code_is_accepted_as_it_is_printed(book: Book) -> None:
    """Letters and digits only: on a command line a code that begins with a dash would be read as an option."""
    now = book.context.clock.now()
    with book.context.database.unit_of_work() as session:
        codes = [mint(session, LinkKind.STAFF, "usr_1", None, now, now + INVITATION_LASTS) for _ in range(500)]

    assert [code for code in codes if not (code.isascii() and code.isalnum())] == []
    assert len(set(codes)) == len(codes)


def test_a_code_that_cannot_be_used_is_refused_with_one_and_the_same_sentence(book: Book) -> None:
    """Unknown, used, replaced, expired, of a disabled user or of a patient: nobody learns which codes exist."""
    used, replaced, late, shut = added(book), added(book), added(book), added(book)
    accept_invitation(book.context, used.code)
    invite_user(book.context, replaced.user_id, ACTOR)
    disable_user(book.context, shut.user_id, ACTOR)
    with book.context.database.unit_of_work() as session:
        now = book.context.clock.now()
        patients = mint(session, LinkKind.SIGNUP, book.contract_id, book.member_id, now, now + timedelta(days=30))
    cast("MovableClock", book.context.clock).advance(INVITATION_LASTS)

    refusals = set()
    for code in ("", "nonsense", used.code, replaced.code, late.code, shut.code, patients):
        with pytest.raises(DomainError, match=CANNOT_BE_USED) as refused:
            accept_invitation(book.context, code)
        refusals.add(str(refused.value))

    assert len(refusals) == 1
    with book.context.database.read() as session:
        link = find(session, patients)
    assert link is not None
    assert link.ended_at is None


def test_another_invitation_ends_the_older_one(book: Book) -> None:
    """Also the one that the message itself carries; whoever is in needs none."""
    first = added(book)
    cast("MovableClock", book.context.clock).advance(timedelta(minutes=1))
    second = invite_user(book.context, first.user_id, ACTOR)
    with book.context.database.unit_of_work() as session:
        third = invitation_code(session, first.user_id, book.context.clock.now())
    for code in (first.code, second.code):
        with pytest.raises(DomainError, match=CANNOT_BE_USED):
            accept_invitation(book.context, code)

    assert accept_invitation(book.context, third) == first.user_id

    with book.context.database.read() as session:
        assert len(session.scalars(select(Message)).all()) == 2
    with pytest.raises(DomainError, match="is active: only who is pending"):
        invite_user(book.context, first.user_id, ACTOR)


def test_an_address_belongs_to_one_user_of_a_clinic_in_any_case(book: Book, tmp_path: Path) -> None:
    """Another clinic has a team of its own."""
    first = added(book, email="Mia@Practice.example")
    second_location(book, tmp_path, clinic="Bondi")

    with pytest.raises(DomainError, match=f"{first.user_id} has this e-mail address already"):
        added(book, email="mia@practice.EXAMPLE")
    elsewhere = add_user(book.context, "Bondi", person("mia@practice.example"), Role.ADMIN, (), ACTOR)

    assert line_of(book, elsewhere.user_id).email == line_of(book, first.user_id).email == "mia@practice.example"


@pytest.mark.parametrize(
    ("details", "words"),
    [
        (StaffDetails("Mia", "Okafor", " "), "e-mail address is missing"),
        (StaffDetails("Mia", "Okafor", "mia@practice"), "not an e-mail address"),
        (StaffDetails("Mia", "Okafor", "a..b@practice.example"), "not an e-mail address"),
        (StaffDetails(" ", "Okafor", "mia@practice.example"), "given name is missing"),
        (StaffDetails("=1+1", "Okafor", "mia@practice.example"), "given name starts like a formula"),
        (StaffDetails("Mia", "2 3", "mia@practice.example"), "family name has no letter"),
        (StaffDetails("4242 4242 4242 4242", "Okafor", "mia@practice.example"), "holds a card number"),
        (StaffDetails("Mia", "O" * 101, "mia@practice.example"), "at most 100"),
        (StaffDetails("Mia", "Oka\x1bfor", "mia@practice.example"), "printable"),
        (StaffDetails("Mia", "Okafor", "mia@practice.example", "12"), "telephone number"),
    ],
)
def test_details_that_cannot_be_are_refused_without_being_quoted(book: Book, details: StaffDetails, words: str) -> None:
    """And nobody is added."""
    with pytest.raises(DomainError, match=words) as refused:
        add_user(book.context, CLINIC, details, Role.ADMIN, (), ACTOR)

    assert details.email.strip() == "" or details.email not in str(refused.value)
    assert list_staff(book.context) == []


def test_a_clinic_and_its_locations_must_be_known(book: Book, tmp_path: Path) -> None:
    """A limited user needs one of them, and never works at another clinic's."""
    second_location(book, tmp_path, clinic="Bondi")

    with pytest.raises(DomainError, match="the clinics are Bondi, Leura Dental"):
        add_user(book.context, "Leura", person(), Role.ADMIN, (), ACTOR)
    with pytest.raises(DomainError, match="has no location 'bondi': its locations are leura"):
        add_user(book.context, CLINIC, person(), Role.LIMITED, ("bondi",), ACTOR)
    with pytest.raises(DomainError, match="works at one location at least"):
        add_user(book.context, CLINIC, person(), Role.LIMITED, (), ACTOR)

    assert list_staff(book.context) == []


def test_the_last_active_admin_stays(book: Book) -> None:
    """Neither disabled nor demoted; somebody who has not accepted, or is disabled, does not count as another."""
    last, other = active(book), active(book)
    added(book)
    disable_user(book.context, other, ACTOR)

    for refused in (
        lambda: disable_user(book.context, last, ACTOR),
        lambda: edit_user(book.context, last, {}, Role.LIMITED, ("leura",), ACTOR),
    ):
        with pytest.raises(DomainError, match="the clinic's last active admin"):
            refused()

    assert (line_of(book, last).role, line_of(book, last).status) == (Role.ADMIN, StaffStatus.ACTIVE)
    assert enable_user(book.context, other, ACTOR) is StaffStatus.ACTIVE
    disable_user(book.context, last, ACTOR)
    assert line_of(book, last).status is StaffStatus.DISABLED


def test_a_disabled_user_comes_back_as_what_they_were(book: Book) -> None:
    """Whoever never accepted is still pending, and needs a new invitation."""
    active(book)
    worker, newcomer = active(book, Role.LIMITED), added(book)
    for user_id in (worker, newcomer.user_id, worker):
        disable_user(book.context, user_id, ACTOR)

    assert enable_user(book.context, worker, ACTOR) is StaffStatus.ACTIVE
    assert enable_user(book.context, newcomer.user_id, ACTOR) is StaffStatus.PENDING

    with pytest.raises(DomainError, match=CANNOT_BE_USED):
        accept_invitation(book.context, newcomer.code)
    accept_invitation(book.context, invite_user(book.context, newcomer.user_id, ACTOR).code)


def test_an_invitation_to_a_mistyped_address_ends_with_the_correction(book: Book) -> None:
    """Whoever got it cannot use it; other changes leave it as it is."""
    invitation = added(book, email="mai@practice.example")

    assert not edit_user(book.context, invitation.user_id, {"phone": "02 4784 1234"}, None, (), ACTOR)
    assert edit_user(book.context, invitation.user_id, {"email": "mia@practice.example"}, None, (), ACTOR)

    line = line_of(book, invitation.user_id)
    assert (line.email, line.phone) == ("mia@practice.example", "+61247841234")
    with pytest.raises(DomainError, match=CANNOT_BE_USED):
        accept_invitation(book.context, invitation.code)


def test_an_edit_that_does_not_fit_changes_nothing(book: Book) -> None:
    """Somebody else's address, a limited user without a place, or a location that is none."""
    taken, admin = added(book, email="taken@practice.example"), active(book)
    before = line_of(book, admin)

    for changes, role, slugs, words in (
        ({"email": "Taken@practice.example", "given_name": "Zoe"}, None, (), taken.user_id),
        ({"given_name": "Zoe", "family_name": ""}, None, (), "family name is missing"),
        ({"given_name": "Zoe"}, None, ("perth",), "no location 'perth'"),
    ):
        with pytest.raises(DomainError, match=words):
            edit_user(book.context, admin, changes, role, slugs, ACTOR)
    active(book)
    with pytest.raises(DomainError, match="at one location at least"):
        edit_user(book.context, admin, {"given_name": "Zoe"}, Role.LIMITED, (), ACTOR)

    after = line_of(book, admin)
    assert all(getattr(after, name) == getattr(before, name) for name in StaffLine.__slots__)


def test_the_history_tells_who_did_what_and_nothing_personal(book: Book) -> None:
    """In order, with role and places, and without a name, an address or a number."""
    invitation = added(book, Role.LIMITED, email="mia@practice.example")
    accept_invitation(book.context, invitation.code)
    edit_user(book.context, invitation.user_id, {"family_name": "Marsh"}, Role.ADMIN, (), ACTOR)

    with book.context.database.read() as session:
        rows = session.scalars(
            select(Activity).where(Activity.subject_id == invitation.user_id).order_by(Activity.sequence)
        ).all()

    assert [(row.action, row.actor) for row in rows] == [
        ("Staff User Added", ACTOR),
        ("Staff User Invited", ACTOR),
        ("Staff Invitation Accepted", f"staff:{invitation.user_id}"),
        ("Staff User Edited", ACTOR),
    ]
    assert rows[-1].detail == {"role": "admin", "locations": [book.location.id]}
    assert not any(word in str([row.detail for row in rows]) for word in ("Mia", "Okafor", "Marsh", "@"))


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("status", StaffStatus)
@pytest.mark.parametrize("action", Action)
def test_what_a_user_may_do(role: Role, status: StaffStatus, action: Action) -> None:
    """Active users only: an admin everything at the clinic's places, others the front desk's work at their own."""
    is_active, is_admin = status is StaffStatus.ACTIVE, role is Role.ADMIN

    assert may(role, status, {"loc_1"}, action, "loc_1") == (is_active and (is_admin or action in FRONT_DESK))
    assert may(role, status, {"loc_1"}, action, None) == (is_active and is_admin)
    assert not may(role, status, {"loc_1"}, action, "loc_2")
    assert not may(role, status, (), action, "loc_1")


def test_the_front_desk_takes_payments_and_changes_no_rules() -> None:
    """The table in words, so that nobody widens it by accident."""
    assert sorted(FRONT_DESK) == ["link_patients", "manage_members", "post_to_ledger", "take_payments"]
    assert sorted(set(Action) - FRONT_DESK) == [
        "give_refunds",
        "manage_plans",
        "manage_settings",
        "manage_users",
        "override_lock_in",
        "see_reports",
    ]


def test_an_admin_works_at_every_location_of_the_clinic_and_at_no_other(book: Book, tmp_path: Path) -> None:
    """A limited user at those that were named, also when the clinic grows."""
    admin, worker = active(book), active(book, Role.LIMITED)
    bondi = second_location(book, tmp_path)
    with book.context.database.unit_of_work() as session:
        session.add(Clinic(id="cli_else", name="Elsewhere", created_at=book.context.clock.now()))
        session.flush()
        leura = session.get_one(Location, book.location.id)
        assert works_at(session, session.get_one(StaffUser, admin)) == {leura.id, bondi}
        assert works_at(session, session.get_one(StaffUser, worker)) == {leura.id}
        leura.clinic_id = "cli_else"
        session.flush()
        assert works_at(session, session.get_one(StaffUser, admin)) == {bondi}


def sent_code(book: Book, user_id: str) -> str:
    """What the message says that invites the user, once it is sent."""
    with book.context.database.read() as session:
        message = session.scalars(select(Message).where(Message.staff_user_id == user_id)).all()[-1]
    # The commands go by the clock of this machine.
    values = values_of(replace(book.context, clock=SystemClock()), message)
    assert values is not None
    text = mail("mia@practice.example", message.kind, values).text
    assert "type `connector users accept` at a computer of the practice" in " ".join(text.split())
    return str(values["url"])


def test_the_team_is_managed_from_the_command_line(book: Book) -> None:
    """From the first invitation to the end, as a person and as a machine reads it."""
    address = book.context.database.url.render_as_string(hide_password=False)
    environment = {"CONNECTOR_DATABASE__URL": address}

    def run(*words: str, given: str = "") -> str:
        done = CliRunner().invoke(cli, ["users", *words], env=environment, input=given, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    names = ("--given-name", "Mia", "--family-name", "Okafor", "--email", "Mia@practice.example")
    made = json.loads(run("add", "--clinic", CLINIC, *names, "--role", "admin", "--json"))
    again = json.loads(run("invite", made["id"], "--json"))
    assert (again["id"], {*made}) == (made["id"], {"id", "queued", "expires_at"})
    assert made["id"] in run("accept", given=f"{sent_code(book, made['id'])}\n")
    assert "ended: send one to the new" not in run("edit", made["id"], "--phone", "0400 000 000", "--location", "leura")
    (line,) = json.loads(run("list", "--clinic", CLINIC, "--json"))
    assert (line["email"], line["phone"], line["status"]) == ("mia@practice.example", "+61400000000", "active")
    assert "Mia Okafor" in run("list")

    other = json.loads(run("add", "--clinic", CLINIC, *names[:-1], "b@practice.example", "--role", "admin", "--json"))
    run("accept", sent_code(book, other["id"]))
    assert json.loads(run("disable", made["id"], "--json")) == {"id": made["id"], "status": "disabled"}
    assert "is active" in run("enable", made["id"])
    nothing = CliRunner().invoke(cli, ["users", "edit", made["id"]], env=environment)
    assert (nothing.exit_code, "Say what is to be changed" in nothing.output) == (2, True)
