"""At what hours messages go: reminders in the practice's own, on business days, and what somebody waits for at any."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connector.errors import NotSent
from connector.messaging.kinds import Channel
from connector.messaging.models import Message
from connector.use_cases.messages.list_messages import resend_message
from connector.use_cases.recovery.tell_staff import tell_staff
from tests.support.post import Post
from tests.support.practice import Practice

SYDNEY = ZoneInfo("Australia/Sydney")


@pytest.fixture
def post(practice: Practice, tmp_path: Path) -> Post:
    """A practice whose messages can be read."""
    return Post(practice, tmp_path / "data" / "outbox")


@pytest.fixture
def owing(post: Post) -> None:
    """A member's charge has failed: a reminder waits on both channels."""
    post.enrol("pm_card_decline_insufficient_funds")
    post.practice.charge()
    post.recover()


@pytest.mark.parametrize(
    ("queued_at", "goes_at"),
    [
        # Saturday before the clocks go forward (4 October 2026): Monday is Labour Day, so Tuesday at nine in summer.
        (datetime(2026, 10, 3, 12, tzinfo=SYDNEY), datetime(2026, 10, 5, 22, tzinfo=UTC)),
        # Saturday before they go back (4 April 2027): on Monday nine o'clock is an hour later than it was.
        (datetime(2027, 4, 3, 12, tzinfo=SYDNEY), datetime(2027, 4, 4, 23, tzinfo=UTC)),
        (datetime(2026, 9, 2, 17, 1, tzinfo=SYDNEY), datetime(2026, 9, 2, 23, tzinfo=UTC)),
        (datetime(2026, 9, 2, 16, 59, tzinfo=SYDNEY), datetime(2026, 9, 2, 6, 59, tzinfo=UTC)),
    ],
)
def test_messages_keep_to_the_practices_hours(post: Post, queued_at: datetime, goes_at: datetime) -> None:
    """On business days between nine and five by its own clocks, on both sides of a change of clocks."""
    post.practice.clock.move_to(queued_at)
    with post.practice.context.database.unit_of_work() as session:
        tell_staff(session, post.practice.location, ["inv_1"], post.practice.clock.now())

    assert [row.not_before for row in post.practice.all(Message)] == [goes_at]


@pytest.mark.usefixtures("owing")
def test_what_comes_late_waits_for_the_next_morning(post: Post) -> None:
    """The daemon was away all day and comes back at night."""
    post.practice.advance(hours=11)

    assert post.send().sent == 0
    post.practice.advance(hours=12, minutes=59)
    assert post.send().sent == 0
    post.practice.advance(minutes=1)
    assert post.send().sent == 2


def test_whoever_signs_up_on_a_saturday_evening_hears_at_once_that_the_first_payment_failed(post: Post) -> None:
    """A reminder would wait for Monday; somebody who has just joined waits for this, also after a try that failed."""
    post.practice.advance(days=4, hours=10)
    assert post.practice.clock.now().astimezone(SYDNEY).strftime("%A %H") == "Saturday 19"
    post.enrol("pm_card_decline_insufficient_funds", adopted=False)
    post.practice.charge()
    post.mail.error = lambda: NotSent("No mail server.")

    assert post.send().sent == 1
    post.mail.error = None
    post.practice.advance(minutes=5)
    assert post.send().sent == 1

    (mail,), (text,) = post.mails(), post.texts()
    assert "did not go through" in mail and "failed" in text


@pytest.mark.usefixtures("owing")
def test_what_a_person_sends_again_goes_at_any_hour(post: Post) -> None:
    """Staff who press the button in the evening do not wait for the morning."""
    post.practice.advance(hours=11)
    assert post.send().sent == 0

    (mail,) = (row for row in post.practice.all(Message) if row.channel is Channel.EMAIL)
    resend_message(post.practice.context, mail.id, "person:test")

    assert post.send().sent == 1
