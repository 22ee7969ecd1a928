"""Several workers at once, on both databases: each step is made once, and each message sent once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from connector.billing.collecting.charges import ChargeAttempt, Origin
from connector.messaging.kinds import Channel, MessageKind
from connector.messaging.models import Message, MessageState
from connector.use_cases.messages.notice_ahead import notice_ahead
from connector.use_cases.messages.send_messages import CLAIM_LASTS
from tests.support.post import Post
from tests.support.postgres import PostgresServer
from tests.support.practice_setup import running_practice

MEMBERS = 6
WORKERS = 3


@pytest.fixture(params=["sqlite", "postgresql"])
def post(request: pytest.FixtureRequest, postgres: PostgresServer, template: Path, tmp_path: Path) -> Iterator[Post]:
    """A practice on either database, with members whose first charge has failed."""
    url = postgres.new_database() if request.param == "postgresql" else None
    with running_practice(tmp_path, None if url else template, database_url=url) as practice:
        post = Post(practice, tmp_path / "outbox")
        for _ in range(MEMBERS):
            post.enrol("pm_card_decline_insufficient_funds")
        practice.charge()
        yield post


def test_workers_at_once_make_each_step_once(post: Post) -> None:
    """On the day of the failure, and on that of the first retry."""
    for days in (0, 3):
        post.practice.advance(days=days)
        with ThreadPoolExecutor(WORKERS) as pool:
            for work in [pool.submit(post.recover) for _ in range(WORKERS)]:
                work.result()

    retries = [row for row in post.practice.all(ChargeAttempt) if row.origin is Origin.RETRY]
    assert len({row.charge_id for row in retries}) == len(retries) == MEMBERS
    assert len(post.queued(MessageKind.PAYMENT_FAILED)) == MEMBERS


def test_workers_at_once_send_each_message_once(post: Post) -> None:
    """Also those that a worker has left behind half done."""
    post.recover()
    with post.practice.context.database.unit_of_work() as session:
        for row in session.query(Message).filter_by(channel=Channel.EMAIL).limit(2):
            row.state = MessageState.SENDING
    post.practice.advance(seconds=CLAIM_LASTS.total_seconds())

    with ThreadPoolExecutor(WORKERS) as pool:
        tallies = [work.result() for work in [pool.submit(post.send) for _ in range(WORKERS)]]

    assert sum(tally.sent for tally in tallies) == 2 * MEMBERS
    assert (len(post.mails()), len(post.texts())) == (MEMBERS, MEMBERS)
    assert set(post.states()) == {MessageState.SENT}


def test_workers_at_once_queue_each_notice_once(post: Post) -> None:
    """The reason of a message is its key."""
    post.practice.advance(days=27)
    with ThreadPoolExecutor(WORKERS) as pool:
        work = [pool.submit(notice_ahead, post.practice.context, post.practice.location) for _ in range(WORKERS)]
        done = [each.result() for each in work]

    assert [tally.debits for tally in done] == [MEMBERS] * WORKERS
    assert len(post.queued(MessageKind.UPCOMING_DEBIT)) == MEMBERS
