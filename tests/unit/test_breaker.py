"""The circuit breaker of a connection: when it opens, how long it waits, and how one row decides for the others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from connector.errors import AccessDenied, EdgeError, NotSent, OutcomeUnknown, RateLimited
from connector.ledger.write_back import breaker
from connector.ledger.write_back.breaker import ASKED_MAX, PAUSE_MAX, ConnectionTrouble, pause
from connector.ledger.write_back.states import WriteBackState
from tests.support.desk import SYDNEY, Desk, running_desk
from tests.support.moody_pms import Mood

S = WriteBackState
AWAY = NotSent("Nobody listens.")
LIMITED = RateLimited("Too many.", retry_after=120)
FOR_HOURS = RateLimited("Too many.", retry_after=86_400)
DENIED = AccessDenied("The key is wrong.")


@pytest.fixture
def desk(template: Path) -> Iterator[Desk]:
    with running_desk(template, []) as found:
        yield found


def moods(desk: Desk, read: Mood = Mood.WELL, write: Mood = Mood.WELL) -> None:
    """How the practice system behaves from now on."""
    desk.pms.mood = lambda choices: write if Mood.KILLED_AFTER in choices else read


def trouble(desk: Desk) -> ConnectionTrouble | None:
    with desk.database.read() as session:
        return breaker.trouble_of(session, "loc")


@pytest.mark.parametrize(
    ("failures", "last", "minutes"),
    [
        (1, AWAY, 0),
        (2, AWAY, 0),
        (3, AWAY, 1),
        (4, AWAY, 2),
        (6, AWAY, 8),
        (7, AWAY, 15),
        (10_000, AWAY, 15),
        (3, OutcomeUnknown("No answer."), 1),
        (1, LIMITED, 2),
        (7, LIMITED, 15),
        (1, FOR_HOURS, 60),
        (3, DENIED, 15),
    ],
)
def test_pauses_grow_to_a_quarter_of_an_hour(failures: int, last: EdgeError, minutes: int) -> None:
    """Refused keys wait the longest at once, and what a practice system asks for is granted up to an hour."""
    assert pause(failures, last) == timedelta(minutes=minutes)


def test_after_three_failed_runs_nothing_is_asked_until_the_pause_is_over(desk: Desk) -> None:
    """No request, no change of any row, and the reason is told each time."""
    moods(desk, read=Mood.UNANSWERED)
    for _ in range(3):
        desk.work(5)
    before, asked = [(row.state, row.next_attempt_at) for row in desk.rows()], desk.pms.requests

    told = [desk.work(5).problem for _ in range(11)]

    assert desk.pms.requests == asked
    assert [(row.state, row.next_attempt_at) for row in desk.rows()] == before
    assert all(sentence and "It is tried again at" in sentence for sentence in told)


def test_one_row_decides_whether_the_others_follow(desk: Desk) -> None:
    """A trial that fails lengthens the pause and touches nobody else; one that goes well lets everything through."""
    moods(desk, read=Mood.UNANSWERED)
    for _ in range(3):
        desk.work(5)
    moods(desk, write=Mood.NOT_SENT)

    assert desk.work(60).sent == 1
    first = trouble(desk)
    assert first is not None
    assert (first.failures, first.retry_at - desk.clock.now()) == (4, timedelta(minutes=2))
    moods(desk)
    assert desk.work(60).sent == 0
    assert desk.work(60).sent == 3
    assert (trouble(desk), desk.work(10).problem, desk.states()) == (None, None, {S.CONFIRMED})


def test_a_trial_without_an_answer_leaves_the_pause_in_place(desk: Desk) -> None:
    """Of a system that takes writes and never answers one payment is in doubt, not all of them."""
    moods(desk, read=Mood.UNANSWERED)
    for _ in range(3):
        desk.work(5)
    moods(desk, write=Mood.UNANSWERED)

    desk.work(60)

    assert sorted(row.state for row in desk.rows()) == [S.QUEUED, S.QUEUED, S.UNKNOWN]
    assert trouble(desk) is not None


def test_three_writes_in_a_row_without_an_answer_end_the_run(desk: Desk) -> None:
    """The rest of the round is not sent into the same silence; what is refused clearly is an answer."""
    for number in range(4, 9):
        desk.add(f"SP{number}", "3")
    writes = iter([Mood.UNANSWERED, Mood.UNANSWERED, Mood.REJECTED, *[Mood.UNANSWERED] * 5])
    desk.pms.mood = lambda choices: next(writes) if Mood.KILLED_AFTER in choices else Mood.WELL

    tally = desk.work(5)

    assert (tally.sent, tally.unknown, tally.rejected) == (6, 5, 1)
    assert tally.problem == "No answer."


def test_a_refused_key_opens_at_once_and_a_person_may_have_it_tried(desk: Desk) -> None:
    """Nothing hammers on a lock; and who has mended the key need not wait."""
    moods(desk, write=Mood.REFUSED_FOR_NOW)
    assert desk.work(5).sent == 1
    moods(desk)
    assert desk.work(600).sent == 0

    with desk.database.unit_of_work() as session:
        assert breaker.retry(session, "loc", desk.clock.now())

    assert desk.work(1).sent == 3
    with desk.database.unit_of_work() as session:
        assert not breaker.retry(session, "loc", desk.clock.now())


def test_a_mended_key_is_found_without_anybody(desk: Desk) -> None:
    """The slow trial goes on by itself, so a practice that mends its key needs no further click."""
    moods(desk, write=Mood.REFUSED_FOR_NOW)
    for _ in range(100):
        desk.work(300)
    moods(desk)

    desk.work(int(PAUSE_MAX.total_seconds()))
    desk.work(10)

    assert (desk.states(), trouble(desk)) == ({S.CONFIRMED}, None)


def test_a_week_without_connection_uses_up_no_row(desk: Desk) -> None:
    """What was in doubt when it began is looked up when it ends; nobody has to decide anything."""
    moods(desk, write=Mood.UNANSWERED)
    desk.work(5)
    moods(desk, read=Mood.REFUSED_FOR_NOW)
    for _ in range(7 * 24):
        desk.work(3_600)
    assert desk.states() == {S.UNKNOWN}
    moods(desk)

    for _ in range(6):
        desk.work(3_600)

    assert desk.states() == {S.CONFIRMED}
    desk.assert_never_twice()


def test_a_clock_that_was_years_ahead_holds_nothing_up(desk: Desk) -> None:
    """A pause that is longer than any is not believed."""
    found = ConnectionTrouble(since=desk.clock.now(), failures=5, reason="x", retry_at=desk.clock.now() + ASKED_MAX)

    assert found.waits(desk.clock.now())
    assert not found.waits(desk.clock.now() - timedelta(days=900))


def test_the_sentence_says_what_since_when_and_what_comes_next(desk: Desk) -> None:
    """In the practice's own time."""
    now = desk.clock.now()
    found = ConnectionTrouble(since=now, failures=4, reason="Check its address.", retry_at=now + timedelta(minutes=2))

    assert found.sentence(now, SYDNEY) == (
        "The practice system has not worked since 01 September 2026, 09:00 (4 failures in a row). Check its address. "
        "It is tried again at 09:02, or at once by `connector write-backs retry --location SLUG`."
    )
    assert found.sentence(now + timedelta(minutes=2), SYDNEY).endswith("It is tried again with the next run.")
