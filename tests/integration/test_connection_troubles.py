"""A practice system that keeps failing: what people see of it, and what they can do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from connector.daemon.jobs import write_backs
from connector.ledger.write_back.states import WriteBackState
from tests.support.commands import command, document
from tests.support.practice import Practice

S = WriteBackState
HERE = ("--location", "leura")


@pytest.fixture
def refused(practice: Practice) -> Practice:
    """A practice whose key is disabled, with one payment to be written."""
    practice.paid()
    practice.office.post("options", key_enabled=False)
    practice.write()
    return practice


def test_the_list_says_what_is_the_matter_since_when_and_what_comes_next(refused: Practice) -> None:
    """One place tells why nothing moves; with everything well it says nothing of the kind."""
    listed = command(refused, "write-backs", "list", *HERE)

    assert "has not worked since 01 September 2026, 09:00" in listed.out
    assert "check the keys" in listed.out
    assert "It is tried again at 09:15, or at once by `connector write-backs retry" in listed.out
    refused.office.post("options", key_enabled=True)
    refused.advance(minutes=15)
    refused.write()
    refused.assert_all_written()
    assert "has not worked" not in command(refused, "write-backs", "list", *HERE).out


def test_the_daemon_tells_it_with_each_run(refused: Practice) -> None:
    """So the health page and the log have it as long as it lasts, although nothing is asked."""
    refused.advance(minutes=5)
    with ThreadPoolExecutor(1) as pool:
        (told,) = write_backs(refused.context, pool)

    assert "has not worked since" in told
    assert (refused.states(), refused.write_back().attempts) == ([S.QUEUED], 0)


def test_a_person_who_has_mended_it_need_not_wait(refused: Practice) -> None:
    """The next run tries; asked again, the command says that nothing holds it up."""
    refused.office.post("options", key_enabled=True)

    assert document(refused, "write-backs", "retry", *HERE) == {"location": "leura", "retried": True}

    refused.write()
    refused.assert_all_written()
    assert "Nothing holds the practice system of leura up" in command(refused, "write-backs", "retry", *HERE).out
