"""The daily work at the command line: links, the queue to the practice system, and days on which a system is away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import MONDAY, PEOPLE, SLUG, Finished, Installation, Outside, installed, outside, settled

MEMBERS = 3
HERE = ("--location", SLUG)
PAYMENTS = "/api/v1/payments"
DAY = MONDAY.date().isoformat()
PERSONAL = ("canary", "Wattle Street", *(name for person in PEOPLE for name in person[:2]))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """Both sandboxes, for all tests of this file."""
    with outside(tmp_path_factory.mktemp("outside"), MEMBERS) as running:
        yield running


@pytest.fixture(scope="module")
def prepared(pair: Outside, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation with three linked members whose first payment is due; tests work on copies."""
    return installed(tmp_path_factory.mktemp("prepared") / "data", pair, MEMBERS)


@pytest.fixture
def practice(prepared: Installation, tmp_path: Path) -> Installation:
    """A copy of one's own."""
    return prepared.sibling(tmp_path / "data")


def listed(practice: Installation, *states: str) -> list[dict[str, Any]]:
    """The write-backs in these states."""
    options = [part for state in states for part in ("--state", state)]
    rows: list[dict[str, Any]] = practice.json("write-backs", "list", *HERE, *options)
    return rows


def personal_in(*runs: Finished) -> list[str]:
    """Words of the imported file that stand in any output."""
    return [word for word in PERSONAL for run in runs if word.casefold() in (run.out + run.err).casefold()]


def test_a_member_without_a_link_is_linked_by_hand_and_the_payment_goes_out(
    pair: Outside, practice: Installation
) -> None:
    """The money waits for the link, the queue shows how much, and the link alone releases it."""
    member_id = practice.json("members", "list", *HERE)[0]["member_id"]
    practice.json("links", "unlink", member_id, *HERE)

    first = practice.json("run-due")
    queue = practice.json("links", "list", *HERE)
    table = practice.run("links", "list", *HERE)
    ranked = practice.json("links", "candidates", member_id, *HERE)
    best = ranked["candidates"][0]
    taken = practice.run("links", "link", member_id, "1002", *HERE)
    missing = practice.run("links", "link", member_id, "999999", *HERE)
    linked = practice.json("links", "link", member_id, best["patient_id"], *HERE)
    second = practice.json("run-due")

    assert first["write_backs"][SLUG]["confirmed"] == MEMBERS - 1
    assert [(item["member_id"], item["waiting_cents"]) for item in queue] == [(member_id, 690)]
    assert member_id in table.out
    assert "6.90" in table.out
    assert (ranked["decision"], best["patient_id"]) == ("link", "1001")
    assert (taken.code, missing.code) == (1, 1)
    assert "end that link first with `connector links unlink --location leura`" in taken.err
    assert "There is no patient '999999'" in missing.err
    assert linked == {"member_id": member_id, "patient_id": "1001", "released": 1, "with_former_patients": 0}
    assert second["write_backs"][SLUG]["confirmed"] == 1
    assert practice.json("links", "list", *HERE) == []
    assert personal_in(taken, missing) == []


def test_a_refused_payment_is_shown_with_its_reason_and_posted_by_hand(pair: Outside, practice: Installation) -> None:
    """One is posted again, one is typed into the practice system by hand, and the report counts both."""
    pair.office.post("faults", method="POST", path=PAYMENTS, kind="status_before", status=400, count=2)
    run = practice.json("run-due")
    refused = listed(practice, "rejected")
    table = practice.run("write-backs", "list", *HERE)
    again, by_hand = refused[0]["id"], refused[1]["id"]

    practice.json("write-backs", "post", again)
    practice.json("write-backs", "mark-recorded", by_hand)
    worked = practice.json("write-backs", "work")
    shown = practice.json("write-backs", "show", again)
    report = practice.json("report", "day", DAY, *HERE)
    settled_already = practice.run("write-backs", "post", again)

    assert run["write_backs"][SLUG] == {"sent": 3, "confirmed": 1, "rejected": 2, "unknown": 0, "held": 0}
    assert all(row["reason"].endswith(".") for row in refused)
    assert again in table.out
    assert "Posted by a person." in [step["reason"] for step in shown["steps"]]
    assert worked[SLUG] == {"sent": 1, "confirmed": 1, "problem": None}
    assert (report["taken"]["count"], report["written"]["count"], report["recorded_by_hand"]["count"]) == (3, 2, 1)
    assert settled_already.code == 1
    assert "is confirmed: only ready, rejected or held ones can be posted by hand." in settled_already.err
    assert listed(practice) == []
    # The list names people for whoever works on it; a refusal names nobody.
    assert personal_in(table) != []
    assert personal_in(settled_already) == []

    practice.json("write-backs", "mark-recorded", by_hand, "--undo")
    practice.json("write-backs", "post", by_hand)
    practice.json("write-backs", "work")
    assert [row["state"] for row in listed(practice, "confirmed")] == ["confirmed"] * 3


def test_run_due_names_a_practice_system_that_is_away_and_goes_on_next_time(
    pair: Outside, practice: Installation
) -> None:
    """Members are charged, their payments wait, the exit code says that a person should look."""
    pair.office.post("down", down=True)
    away = practice.run("run-due", LOG__LEVEL="debug")
    worked = practice.run("write-backs", "work")
    matched = practice.run("report", "day", DAY, *HERE)
    pair.office.post("down", down=False)

    later = practice.run("run-due")

    assert away.code == 1
    assert "Invoiced 3, worked on 3 charges" in away.out
    assert "Problem: " in away.err
    assert (worked.code, worked.err.count("Problem: ")) == (1, 1)
    assert "The practice system's day sheet could not be read." in matched.out
    assert (later.code, later.err) == (0, "")
    assert f"{SLUG}: 3 sent, 3 confirmed." in later.out
    assert "Traceback" not in away.err + worked.err
    assert personal_in(away, worked, matched, later) == []


def test_run_due_names_a_stripe_that_is_away_and_charges_once_next_time(pair: Outside, practice: Installation) -> None:
    """The answers are lost, so nobody knows what happened; the same payments are asked for again, not new ones."""
    before = pair.counts()
    pair.stripe.post("down", down=True)
    away = practice.run("run-due", LOG__LEVEL="debug")
    pair.stripe.post("down", down=False)
    pair.stripe.post("faults", method="POST", path="/v1/payment_intents/*/confirm", kind="reset_after", count=None)
    unclear = practice.at(MONDAY + timedelta(minutes=10)).run("run-due")
    pair.stripe.client.delete(f"{pair.stripe.address}/_sandbox/faults").raise_for_status()
    later = practice.at(MONDAY + timedelta(minutes=30)).run("run-due")

    after = pair.counts()
    assert (away.code, unclear.code, later.code) == (1, 1, 0)
    assert "Invoiced 3" in away.out
    assert "Stripe" in away.err
    assert (after[0] - before[0], after[1] - before[1]) == (MEMBERS, MEMBERS)
    assert practice.json("ledger", "verify")["ok"]
    assert settled(practice.verdict(pair))
    assert "Traceback" not in away.err + unclear.err
    assert personal_in(away, unclear, later) == []


def test_a_failed_import_and_a_refused_method_tell_nothing_personal(pair: Outside, tmp_path: Path) -> None:
    """Stripe refuses a card: the member stays pending, and the sentence names only the contract."""
    installation = installed(tmp_path / "data", pair)

    done = installation.import_people(1, method="pm_canary_missing")

    assert done.code == 1
    assert done.document["imported"] == 1
    assert done.document["activated"] == 0
    assert len(done.document["problems"]) == 1
    assert personal_in(done) == []
