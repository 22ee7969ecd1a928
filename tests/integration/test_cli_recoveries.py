"""Unpaid invoices and messages at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from connector.billing.collecting.charges import AttemptState, ChargeAttempt
from connector.cli.main import cli
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.messaging.models import MessageState
from connector.use_cases.recovery.list_recoveries import STOPPED, list_recoveries
from tests.support.post import EMAIL, PUBLIC_URL, Post
from tests.support.practice import Practice

HERE = ("--location", "leura")


@pytest.fixture
def post(practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Post:
    """A practice with one unpaid invoice, and an environment in which commands find it."""
    post = Post(practice, tmp_path / "data" / "outbox")
    for name, value in practice.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CONNECTOR_DATA_DIR", str(post.folder.parent))
    monkeypatch.setenv("CONNECTOR_LINKS__PUBLIC_URL", PUBLIC_URL)
    post.enrol("pm_card_decline_insufficient_funds")
    practice.charge()
    post.recover()
    return post


def run(*arguments: str) -> Result:
    """The command in this process; what it refuses is raised."""
    return CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)


def test_each_unpaid_invoice_is_listed_with_its_next_step(post: Post) -> None:
    """The message was made today, so the retry of the third day comes next."""
    (line,) = json.loads(run("recoveries", "list", *HERE, "--json").output)

    assert (line["next_step"], line["next_on"], line["failure"]) == ("retry", "2026-09-04", "soft")
    assert line["invoice_id"] in run("recoveries", "list", *HERE).output


def test_a_person_can_take_a_recovery_over(post: Post) -> None:
    """What was planned is called off, nothing follows, and stopping twice is refused."""
    post.go_to(post.practice.today.replace(day=4))
    post.recover()
    invoice_id = post.recovery().invoice_id

    assert "No further step" in run("recoveries", "stop", invoice_id).output
    with pytest.raises(DomainError):
        run("recoveries", "stop", invoice_id)

    post.days(10)
    assert [row.state for row in post.practice.all(ChargeAttempt)] == [AttemptState.FAILED, AttemptState.WITHDRAWN]
    (line,) = list_recoveries(post.practice.context, post.practice.location)
    assert (line.next_step, line.next_on) == (STOPPED, None)


def test_messages_are_sent_listed_and_sent_again(post: Post) -> None:
    """The list shows what became of each, and no address."""
    assert json.loads(run("messages", "send", "--json").output)["sent"] == 2
    listed = run("messages", "list", *HERE, "--json")
    rows = json.loads(listed.output)
    assert [row["state"] for row in rows] == ["sent", "sent"]
    assert EMAIL not in listed.output

    assert "is queued" in run("messages", "resend", rows[0]["id"]).output
    assert MessageState.QUEUED in post.states()
    assert rows[0]["id"] in run("messages", "list", *HERE, "--state", "queued").output
    assert "1 sent" in run("messages", "send").output


@pytest.mark.parametrize("kind", [kind.value for kind in MessageKind])
def test_every_kind_of_message_can_be_looked_at(kind: str) -> None:
    """With made-up values, without an installation."""
    shown = json.loads(run("messages", "preview", kind, "--json").output)

    assert "Your Practice" in shown["email"]["text"]
    assert "Subject: " in run("messages", "preview", kind).output
