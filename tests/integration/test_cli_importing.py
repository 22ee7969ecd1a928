"""`connector import-members` at the command line: whom it invites, what it says of the messages, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.billing.members import Member
from connector.messaging.models import Message
from connector.use_cases.messages.send_invitations import send_invitations
from connector.use_cases.practice.location_settings import activate_location, pause_location
from tests.support.commands import command, document
from tests.support.post import Post
from tests.support.practice import Practice

HERE = ("--location", "leura")
MIA = "person:mia"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands of a test put what they send."""
    monkeypatch.setenv("CONNECTOR_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def list_of(folder: Path, *rows: str) -> tuple[str, ...]:
    """The command that imports these rows."""
    file = folder / "members.csv"
    file.write_text("\n".join(["given_name,family_name,email", *rows]) + "\n", encoding="utf-8")
    return ("import-members", str(file), *HERE, "--plan", "Essential")


def test_an_import_invites_nobody_to_where_nobody_can_sign_up(practice: Practice, folder: Path) -> None:
    """It is refused with both ways out, and goes in without invitations; the same file invites after the pause."""
    importing = list_of(folder, "Ada,Lee,ada@example.com")
    pause_location(practice.context, "leura", MIA)

    refused = command(practice, *importing)
    none = practice.all(Member)
    taken = document(practice, *importing, "--no-invite")
    activate_location(practice.context, "leura", MIA)
    invited = document(practice, *importing)

    assert (refused.code, refused.out, none) == (1, "", [])
    assert refused.err == (
        "Error: The location 'leura' takes no sign-ups and payments now, so nobody can be invited: import with "
        "--no-invite, or begin with `connector locations activate leura`.\n"
    )
    assert (taken["imported"], taken["invited"]) == (1, 0)
    assert (invited["unchanged"], invited["invited"]) == (1, 1)


def test_nobody_is_invited_when_the_location_is_paused_meanwhile(practice: Practice, folder: Path) -> None:
    """The reason is told, nothing is queued, and the next call after the pause invites."""
    post = Post(practice, folder / "outbox")
    person = post.enrol(None)
    pause_location(practice.context, "leura", MIA)

    shut = send_invitations(practice.context, post.mail, post.sms, [person.contract_id])
    queued = practice.all(Message)
    activate_location(practice.context, "leura", MIA)
    again = send_invitations(practice.context, post.mail, post.sms, [person.contract_id])

    assert (shut.sent, queued) == (0, [])
    assert shut.problems == [
        "The location 'leura' takes no sign-ups and payments now: begin with `connector locations activate leura`."
    ]
    assert (again.sent, again.problems) == (1, [])
