"""A practice moves to another installation by the commands alone: export, and both imports."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from connector.billing.intake.member_cells import FORMS, TEXTS
from connector.billing.intake.payment_plan_file import COLUMNS as PLAN_FILE
from connector.cli.importing import import_members, import_payment_plans
from tests.support.processes import SLUG, Installation, Outside, installed, outside


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """Both sandboxes, for all tests of this file."""
    with outside(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.fixture(scope="module")
def old(pair: Outside, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation with three members who pay weekly, one of them in instalments, too."""
    installation = installed(tmp_path_factory.mktemp("old") / "data", pair)
    assert installation.import_people(3).code == 0
    member_id = installation.json("members", "list", "--location", SLUG)[0]["member_id"]
    plan = ("--total", "100.05", "--instalments", "10", "--first-due", "2026-03-10")
    installation.json("members", "payment-plan", member_id, *plan)
    installation.json("run-due")
    return installation


def test_a_practice_moves_by_three_commands(old: Installation, pair: Outside, tmp_path: Path) -> None:
    """The old installation stops, the new one takes everybody over, and repeating changes nothing."""
    folder = tmp_path / "export"
    done = old.run("export", str(folder), "--and-stop", "--yes")
    new = installed(tmp_path / "new", pair)
    members = ("import-members", str(folder / "members.csv"), "--location", SLUG)
    plans = ("import-payment-plans", str(folder / "payment-plans.csv"), "--location", SLUG)

    first, second = new.json(*members), new.json(*members)
    rest, again = new.json(*plans), new.json(*plans)
    spoken = new.run(*members)

    assert (done.code, done.err) == (0, "")
    assert "personal data" in done.out
    assert "4 agreements are not billed here any more." in done.out
    assert (first["imported"], first["activated"], first["invited"], first["refusals"]) == (3, 3, 0, [])
    assert (second["imported"], second["unchanged"], second["activated"], second["differences"]) == (0, 3, 0, [])
    assert (rest["imported"], rest["refusals"], rest["without_method"], again["unchanged"]) == (1, [], [], 1)
    assert spoken.out.splitlines() == ["0 imported, 3 unchanged, 0 refused."]
    assert {row["status"] for row in new.json("members", "list", "--location", SLUG)} == {"active"}
    assert {row["status"] for row in old.json("members", "list", "--location", SLUG)} == {"suspended"}
    before = {row["next_due"] for row in new.json("members", "list", "--location", SLUG)}
    assert len(before) == 1
    contract_id = old.json("members", "list", "--location", SLUG)[0]["contract_id"]
    back = old.run("members", "reactivate", contract_id)
    assert back.code == 1
    assert "the new installation charges for it now" in back.err
    assert "--override" in back.err
    assert new.json("run-due")["invoiced"] == 0


def test_an_export_says_what_is_at_stake(old: Installation, tmp_path: Path) -> None:
    """A folder that is in use is refused in one sentence; without --and-stop both would charge."""
    folder = tmp_path / "export"

    told = old.json("export", str(folder), "--location", SLUG)
    refused = old.run("export", str(folder))
    unasked = old.run("export", str(tmp_path / "stopped"), "--and-stop", "--json")
    unanswered = old.run("export", str(tmp_path / "stopped"), "--and-stop")

    assert "goes on charging" in told["warning"]
    assert told["rows"]["members.csv"] == 3
    assert (refused.code, unasked.code, unanswered.code) == (1, 1, 1)
    assert "Repeat with --yes" in unasked.out
    assert not (tmp_path / "stopped").exists()
    assert "is not an empty folder" in refused.err


@pytest.mark.parametrize(
    ("command", "columns"),
    [("import-members", (*TEXTS, *FORMS)), ("import-payment-plans", PLAN_FILE.known)],
)
def test_the_help_names_every_column(command: str, columns: Collection[str]) -> None:
    """Whoever prepares a file needs nothing else to know what may be in it."""
    shown = CliRunner().invoke({"import-members": import_members}.get(command, import_payment_plans), ["--help"])

    assert shown.exit_code == 0
    assert set(columns) <= set(re.findall(r"[a-z_]+", shown.output))


def test_balances_that_nobody_is_asked_for_are_told(old: Installation, pair: Outside, tmp_path: Path) -> None:
    """With --no-invite the command says how to ask; without, each payer is asked by message."""
    new, members = installed(tmp_path / "new", pair), tmp_path / "members.csv"
    header = "id,given_name,family_name,date_of_birth,email,plan,balance\n"
    row = "B{},Ada,Ferris{},1980-05-06,ada{}@example.org,Essential,12.50\n"

    members.write_text(header + row.format(1, 1, 1), encoding="utf-8")
    quiet = new.run("import-members", str(members), "--location", SLUG, "--no-invite")
    before = new.json("messages", "list", "--location", SLUG)
    members.write_text(header + row.format(2, 2, 2), encoding="utf-8")
    told = new.json("import-members", str(members), "--location", SLUG)
    messages = new.json("messages", "list", "--location", SLUG)

    assert "1 balances are not asked for yet: send their links with `connector patient-links send`" in quiet.out
    assert before == []
    assert (len(told["balances_asked"]), told["balances_not_asked"]) == (1, [])
    asked = [message for message in messages if message["kind"] == "payment_request"]
    assert {message["subject_id"] for message in asked} == set(told["balances_asked"])


def test_a_corrected_file_is_answered_line_by_line(old: Installation, tmp_path: Path) -> None:
    """What differs is named by column, without the values, and bad rows of plans are shown as a table."""
    members, plans = tmp_path / "members.csv", tmp_path / "plans.csv"
    members.write_text("id,given_name,family_name,plan\nM1,Adeline,Canary,Essential\n", encoding="utf-8")
    plans.write_text(
        "id,member,total,instalments_left,frequency,next_due\nP1,M1,-5,3,weekly,2026-03-10\n"
        "P2,M9,50,3,weekly,2026-03-10\n",
        encoding="utf-8",
    )

    compared = old.run("import-members", str(members), "--location", SLUG, "--no-invite")
    refused = old.run("import-payment-plans", str(plans), "--location", SLUG)

    assert "Line 2: given_name and family_name differ from what is stored: nothing was changed." in compared.out
    assert "Adeline" not in compared.out + compared.err
    assert compared.code == 0
    assert "0 imported, 0 unchanged, 2 refused." in refused.out
    assert refused.code == 1
    assert "2 rows were refused: correct the file and import it again" in refused.err
    assert "import the members first" in " ".join(refused.out.split())
