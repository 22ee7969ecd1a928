"""`connector import-members` at the command line: whom it invites, what it says of the messages, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.billing.members import Member
from connector.messaging.models import Message
from connector.use_cases.messages.send_invitations import send_invitations
from connector.use_cases.practice.location_settings import activate_location, pause_location
from tests.support.commands import command, document
from tests.support.message_servers import MailServer
from tests.support.post import Post
from tests.support.practice import Practice

HERE = ("--location", "leura")
MIA = "person:mia"
SENTENCE = "Error: 1 row was refused: correct the file and import it again, which leaves what is in as it is.\n"


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


@pytest.mark.parametrize(
    ("rows", "code"), [(["Ada,Lee,ada@example.com"], 0), (["Ada,Lee,ada@example.com", ",Lee,"], 1)]
)
def test_an_import_with_a_refused_row_ends_with_exit_code_1(
    practice: Practice, folder: Path, rows: list[str], code: int
) -> None:
    """The good rows are in, the report is printed, and the sentence says what to do."""
    importing = list_of(folder, *rows)

    spoken = command(practice, *importing)
    machine = command(practice, *importing, "--json")

    refused = len(rows) - 1
    assert (spoken.code, machine.code, machine.err) == (code, code, "")
    assert spoken.out.startswith(f"1 imported, 0 unchanged, {refused} refused.\n")
    assert spoken.err == (SENTENCE if refused else "")
    assert (machine.document["unchanged"], machine.document["refused"]) == (1, refused)
    assert len(practice.all(Member)) == 1


@pytest.mark.parametrize(("refused", "code"), [(False, 0), (True, 1)])
def test_an_import_of_payment_plans_ends_in_the_same_way(
    practice: Practice, folder: Path, refused: bool, code: int
) -> None:
    """Nobody has to read the report to know that something is missing."""
    practice.enrol(linked=False)
    file = folder / "plans.csv"
    header = "id,member,total,instalments_left,frequency,next_due"
    rows = ["P1,M-0,90.00,3,monthly,2026-10-01", *(["P2,M-9,90.00,3,monthly,2026-10-01"] if refused else [])]
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")

    spoken = command(practice, "import-payment-plans", str(file), *HERE)
    machine = command(practice, "import-payment-plans", str(file), *HERE, "--json")

    assert (spoken.code, machine.code, machine.err) == (code, code, "")
    assert spoken.err == (SENTENCE if refused else "")
    assert machine.document["unchanged"] == 1


def test_an_import_says_where_the_messages_are(practice: Practice, folder: Path) -> None:
    """In the outbox, by its real place."""
    done = command(practice, *list_of(folder, "Ada,Lee,ada@example.com"))

    outbox = folder / "data" / "outbox"
    assert f"1 members are invited; the messages are in the folder {outbox}." in done.out
    assert len(list(outbox.glob("*.eml"))) == 1


def test_an_import_names_no_outbox_where_a_mail_server_sends(
    practice: Practice, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is sent to look for what is not there."""
    with MailServer() as server:
        for name, value in {
            "BACKEND": "smtp",
            "HOST": "127.0.0.1",
            "PORT": str(server.port),
            "SECURITY": "none",
        }.items():
            monkeypatch.setenv(f"CONNECTOR_MAIL__{name}", value)
        monkeypatch.setenv("CONNECTOR_MAIL__SENDER", "office@example.org")
        done = command(practice, *list_of(folder, "Ada,Lee,ada@example.com"))

    assert "1 members are invited.\n" in done.out
    assert "outbox" not in done.out


def test_an_import_names_the_columns_that_nobody_looks_at(practice: Practice, folder: Path) -> None:
    """A heading that was misspelt would otherwise be a value that is lost without a word."""
    file = folder / "members.csv"
    file.write_text("given_name,family_name,Shoe Size,email\nAda,Lee,38,a@example.com\n", encoding="utf-8")
    importing = ("import-members", str(file), *HERE, "--plan", "Essential", "--no-invite")

    told = command(practice, *importing).out
    taken = document(practice, *importing)

    assert "Ignored the column shoe_size: see --help for all names." in told
    assert "Nobody was invited: `connector patient-links send CONTRACT` does so when it is time." in told
    assert taken["ignored_columns"] == ["shoe_size"]


def test_an_import_of_payment_plans_names_them_too(practice: Practice, folder: Path) -> None:
    """The rows are read all the same."""
    file = folder / "plans.csv"
    file.write_text(
        "id,member,total,instalments_left,frequency,next_due,colour\n1,M-0,100,4,monthly,2026-12-01,red\n", "utf-8"
    )
    practice.enrol()

    taken = document(practice, "import-payment-plans", str(file), *HERE)

    assert (taken["imported"], taken["ignored_columns"]) == (1, ["colour"])
