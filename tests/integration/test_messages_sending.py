"""Messages on their way: worded when they are sent, with a link that works, and sent once, whatever happens between."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from connector.billing.agreements.contracts import Contract
from connector.billing.clinics import Location
from connector.billing.invoices import Invoice
from connector.billing.links import LinkKind, find
from connector.billing.members import Member
from connector.errors import AccessDenied, DomainError, EdgeError, NotSent, OutcomeUnknown, RateLimited, Rejected
from connector.messaging.kinds import Channel, MessageKind
from connector.messaging.models import Message, MessageState
from connector.use_cases.messages.list_messages import resend_message
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.messages.send_invitations import send_invitations
from connector.use_cases.messages.send_messages import CLAIM_LASTS, MAYBE_SENT, WAITS, failed_lately, send_messages
from connector.use_cases.patient_pages.open_link import open_link
from connector.use_cases.recovery.tell_staff import tell_staff
from connector.use_cases.requests.hold_payment import request_hold
from connector.use_cases.requests.request_payment import request_payment
from connector.use_cases.requests.settle_hold import release_hold
from tests.support.post import EMAIL, NUMBER, Post, tokens
from tests.support.practice import Enrolled, Practice, person_of
from tests.support.processes import KILLED
from tests.support.requests import STAFF, aud

SYDNEY = ZoneInfo("Australia/Sydney")
SENT, QUEUED, SENDING = MessageState.SENT, MessageState.QUEUED, MessageState.SENDING


@pytest.fixture
def post(practice: Practice, tmp_path: Path) -> Iterator[Post]:
    """A practice whose messages can be read. No link and no address may come into any log line of its work."""
    post = Post(practice, tmp_path / "data" / "outbox")
    with capture_logs() as lines:
        yield post
    said = str(lines)
    given, family, _ = person_of(0)
    personal = [EMAIL, NUMBER, given, family, *tokens([*post.mails(), *post.texts()])]
    assert [word for word in personal if word in said] == []


@pytest.fixture
def owing(post: Post) -> Enrolled:
    """A member whose charge has failed: one message waits on both channels."""
    person = post.enrol("pm_card_decline_insufficient_funds")
    post.practice.charge()
    post.recover()
    assert post.states() == [QUEUED, QUEUED]
    return person


def channel(post: Post, channel: Channel) -> Message:
    """The only message of that channel."""
    (row,) = (row for row in post.practice.all(Message) if row.channel is channel)
    return row


def test_both_channels_carry_one_link_that_works(post: Post, owing: Enrolled) -> None:
    """A second link would have revoked the first."""
    tally = post.send()

    assert (tally.sent, tally.problems) == (2, [])
    (mail,), (text,) = post.mails(), post.texts()
    assert EMAIL in mail
    assert NUMBER in text
    (token,) = set(tokens([mail, text]))
    with post.practice.context.database.read() as session:
        link = find(session, token)
        assert link is not None
        assert (link.kind, link.member_id, link.ended_at) == (LinkKind.OVERDUE, owing.member_id, None)
    assert open_link(post.practice.context, token) is not None
    assert post.send().sent == 0


def test_a_message_says_who_what_and_when(post: Post, owing: Enrolled) -> None:
    """And nothing of the reason."""
    post.send()

    (mail,) = post.mails()

    for words in ("Dear Ada", "Leura Dental", "01/09/2026", "card ending in 0341", "try again on 04/09/2026"):
        assert words in mail
    assert "insufficient" not in mail


def test_a_request_of_several_amounts_does_not_ask_for_all_of_it_at_once(post: Post) -> None:
    """Each amount is announced with its own day; one amount alone is asked for as ever."""
    person, parts = post.enrol(None), [(aud(5_000), date(2026, 9, 1)), (aud(7_000), date(2026, 10, 1))]
    request_payment(post.practice.context, person.member_id, parts, STAFF)
    request_payment(post.practice.context, person.member_id, parts[:1], STAFF)

    post.send()

    several, one = sorted(post.mails(), key=len, reverse=True)
    assert "pay $120.00 in 2 parts: - $50.00, due on 01/09/2026 - $70.00, due on 01/10/2026 Please" in " ".join(
        several.split()
    )
    assert "pay $50.00, due on 01/09/2026." in one
    assert any("$120.00 in 2 parts, the first of $50.00 due 01/09/2026." in text for text in post.texts())


def test_without_pages_of_our_own_the_link_leads_to_the_processors_page(post: Post, owing: Enrolled) -> None:
    """It is open for a day."""
    post.practice.context = replace(post.practice.context, public_url="")

    post.send()

    assert all(post.practice.stripe.address in text for text in [*post.mails(), *post.texts()])


def test_a_hold_is_asked_for_in_words_of_its_own(post: Post) -> None:
    """On both channels the amount is set aside, and nothing is due; once it is withdrawn nobody is asked."""
    person = post.enrol(None)
    first, second = (request_hold(post.practice.context, person.member_id, aud(1_000), STAFF) for _ in range(2))
    release_hold(post.practice.context, second, STAFF)

    tally = post.send()

    assert (tally.sent, tally.dropped) == (2, 2)
    for text in (*post.mails(), *post.texts()):
        assert "$10.00 be set aside" in text and "Nothing is charged now" in text
        assert "asks you to pay" not in text and "is due" not in text
    assert {row.subject_id for row in post.practice.all(Message) if row.state is SENT} == {first}


def test_what_is_not_true_any_more_is_dropped(post: Post, owing: Enrolled) -> None:
    """The payer gave another card before the message went out; only the receipt for that goes."""
    post.practice.sign_up(owing, "pm_card_visa")
    post.practice.charge()

    tally = post.send()

    assert (tally.sent, tally.dropped) == (1, 2)
    (mail,) = post.mails()
    assert "Receipt from Leura Dental" in mail
    assert post.texts() == []


@pytest.mark.parametrize("error", [NotSent, RateLimited, AccessDenied])
def test_a_failed_hand_over_is_repeated_after_longer_and_longer_pauses(
    post: Post, owing: Enrolled, error: type[EdgeError]
) -> None:
    """In the end a person hears of it, and can send it again."""
    post.sms.error = post.mail.error = lambda: error("The system is away.")
    assert post.send().problems == ["The system is away."]
    assert post.send().problems == []

    for wait in WAITS:
        assert set(post.states()) == {QUEUED}
        post.practice.advance(seconds=wait.total_seconds())
        while post.practice.clock.now() < max(row.not_before for row in post.practice.all(Message)):
            post.practice.advance(hours=1)
        post.send()

    assert set(post.states()) == {MessageState.FAILED}
    assert post.mail.given == post.sms.given == 1 + len(WAITS)
    assert failed_lately(post.practice.context) == [
        "2 messages could not be sent: see `connector messages list --location leura --state failed`."
    ]
    post.sms.error = post.mail.error = None
    resend_message(post.practice.context, channel(post, Channel.EMAIL).id, "person:test")
    assert post.send().sent == 1


def test_an_outbox_without_room_loses_no_message_and_is_one_problem(post: Post) -> None:
    """The run comes to its end, what was not written stays queued on both channels, and goes once there is room."""
    for _ in range(3):
        post.enrol("pm_card_decline_lost_card")
    post.practice.charge()
    post.recover()
    post.folder.parent.mkdir(parents=True)
    post.folder.write_text("A file is in its place.")

    tally = post.send()

    assert (tally.sent, len(tally.problems)) == (0, 1)
    assert set(post.states()) == {QUEUED}
    assert all(row.sent_at is None for row in post.practice.all(Message))
    post.folder.unlink()
    post.practice.advance(minutes=5)
    assert post.send().sent == 6


def test_an_email_of_unknown_fate_goes_again_and_an_sms_does_not(post: Post, owing: Enrolled) -> None:
    """Two e-mails are a nuisance; two texts cost money and trust."""
    post.sms.error = post.mail.error = lambda: OutcomeUnknown("No answer.")
    post.send()
    assert (channel(post, Channel.EMAIL).state, channel(post, Channel.SMS).state) == (QUEUED, SENT)

    post.sms.error = post.mail.error = None
    post.practice.advance(minutes=5)
    post.send()

    assert (post.mail.given, post.sms.given) == (2, 1)
    assert channel(post, Channel.EMAIL).state is SENT
    assert channel(post, Channel.SMS).failure == "No answer."


def test_a_refused_message_fails_at_once_and_the_other_channel_goes(post: Post, owing: Enrolled) -> None:
    """The tally names it by its id, and no address."""
    post.mail.error = lambda: Rejected("The address was refused.")

    tally = post.send()

    row = channel(post, Channel.EMAIL)
    assert tally.problems == [f"The message {row.id} (payment_failed) was not sent. The address was refused."]
    assert (row.state, channel(post, Channel.SMS).state) == (MessageState.FAILED, SENT)


def test_systems_that_are_away_are_not_asked_for_every_message(post: Post) -> None:
    """After three failures in a row the rest waits for the next run, without losing a try."""
    for _ in range(6):
        post.enrol("pm_card_decline_lost_card")
    post.practice.charge()
    post.recover()
    post.mail.error = lambda: NotSent("No mail server.")

    post.send()

    assert (post.mail.given, post.sms.given) == (3, 6)
    assert sorted(row.attempts for row in post.practice.all(Message) if row.channel is Channel.EMAIL) == [
        0,
        0,
        0,
        1,
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("email", "phone", "states"),
    [
        ("", "0412 345 678", {Channel.EMAIL: MessageState.DROPPED, Channel.SMS: SENT}),
        (EMAIL, "", {Channel.EMAIL: SENT, Channel.SMS: MessageState.DROPPED}),
        (EMAIL, "02 4784 1234", {Channel.EMAIL: SENT, Channel.SMS: MessageState.DROPPED}),
        ("", "", {Channel.EMAIL: MessageState.FAILED, Channel.SMS: MessageState.DROPPED}),
    ],
)
def test_a_message_goes_where_there_is_an_address(
    post: Post, owing: Enrolled, email: str, phone: str, states: dict[Channel, MessageState]
) -> None:
    """Only somebody who cannot be reached at all is a case for staff."""
    with post.practice.context.database.unit_of_work() as session:
        member = session.get_one(Member, owing.member_id)
        member.email, member.phone = email, phone

    post.send()

    assert {row.channel: row.state for row in post.practice.all(Message)} == states


def test_two_workers_send_each_message_once(post: Post) -> None:
    """Whoever claims it first sends it, on both channels."""
    for _ in range(8):
        post.enrol("pm_card_decline_lost_card")
    post.practice.charge()
    post.recover()

    with ThreadPoolExecutor(2) as pool:
        tallies = [work.result() for work in [pool.submit(post.send) for _ in range(2)]]

    assert sum(tally.sent for tally in tallies) == 16
    assert (len(post.mails()), len(post.texts())) == (8, 8)
    with post.practice.context.database.read() as session:
        links = [find(session, token) for token in set(tokens([*post.mails(), *post.texts()]))]
    assert len(links) == 8
    assert all(link is not None and link.ended_at is None for link in links)


@pytest.mark.parametrize(
    ("failpoint", "mails", "texts"),
    [
        ("write.before", 1, 1),
        # The e-mail was handed over and goes again; the SMS was not, and goes.
        ("write.after", 2, 1),
        # The SMS was handed over and does not go again.
        ("write.after:2", 1, 1),
    ],
)
def test_a_worker_killed_between_hand_over_and_commit_loses_nothing(
    post: Post, owing: Enrolled, failpoint: str, mails: int, texts: int
) -> None:
    """Its claim ends after a while; only what may have cost a text is not repeated."""
    environment = {
        **os.environ,
        **post.practice.environment(),
        "CONNECTOR_DATA_DIR": str(post.folder.parent),
        "CONNECTOR_LINKS__PUBLIC_URL": "https://pay.example.org",
        "CONNECTOR_FAILPOINT": failpoint,
    }
    done = subprocess.run(
        [sys.executable, "-m", "connector", "messages", "send"], env=environment, capture_output=True, check=False
    )
    assert done.returncode == KILLED, done.stderr
    assert SENDING in post.states()
    assert post.send().sent == 0

    post.practice.advance(seconds=CLAIM_LASTS.total_seconds())
    post.send()

    assert (len(post.mails()), len(post.texts())) == (mails, texts)
    assert set(post.states()) == {SENT}
    assert (channel(post, Channel.SMS).failure == MAYBE_SENT) == (failpoint == "write.after:2")


def test_without_the_processor_messages_wait_as_they_are(post: Post, owing: Enrolled) -> None:
    """The link leads to its page, so nothing can be said until it answers; no try is lost."""
    post.practice.context = replace(post.practice.context, public_url="")
    post.practice.stripe.post("faults", method="POST", path="/v1/checkout/sessions", kind="status_before", count=9)

    tally = post.send()

    assert len(tally.problems) == 1
    assert [(row.state, row.attempts) for row in post.practice.all(Message)] == [(QUEUED, 0)] * 2
    assert post.mails() == []


def test_invitations_are_messages_and_are_sent_once(post: Post) -> None:
    """A second call finds nothing left to do."""
    person = post.enrol(None)

    first = send_invitations(post.practice.context, post.mail, post.sms, [person.contract_id])
    send_invitations(post.practice.context, post.mail, post.sms, [person.contract_id])

    assert (first.sent, first.problems) == (1, [])
    assert (len(post.mails()), len(post.texts())) == (1, 1)
    assert post.practice.all(Contract)[0].invited_at == post.practice.clock.now()


def test_staff_hear_of_what_came_up_after_todays_notice_tomorrow(post: Post, owing: Enrolled) -> None:
    """One notice a day, and each invoice in one of them."""
    context, location = post.practice.context, post.practice.location
    (invoice,) = post.practice.all(Invoice)

    def tell() -> None:
        with context.database.unit_of_work() as session:
            session.get_one(Location, location.id).email = "desk@example.org"
            tell_staff(session, location, [invoice.id], post.practice.clock.now())

    tell()
    tell()
    post.send()
    tell()
    assert post.send().sent == 0
    post.practice.advance(days=1)
    post.send()

    notices = [row for row in post.practice.all(Message) if row.kind is MessageKind.OVERDUE_STAFF_NOTICE]
    assert [(row.state, row.detail["invoice_ids"]) for row in notices] == [(SENT, invoice.id)] * 2


def test_only_a_message_that_is_known_and_at_rest_is_sent_again(post: Post, owing: Enrolled) -> None:
    """Anything else is refused in one sentence."""
    row = channel(post, Channel.EMAIL)
    with post.practice.context.database.unit_of_work() as session:
        session.get_one(Message, row.id).state = SENDING

    refusals: list[Callable[[], None]] = [
        lambda: resend_message(post.practice.context, "msg_none", "person:test"),
        lambda: resend_message(post.practice.context, row.id, "person:test"),
    ]
    for refused in refusals:
        with pytest.raises(DomainError):
            refused()


def test_a_second_message_for_the_same_reason_is_no_message(post: Post, owing: Enrolled) -> None:
    """The reason is a unique key, so whoever asks twice is heard once."""
    (invoice,) = post.practice.all(Invoice)
    for _ in range(2):
        with post.practice.context.database.unit_of_work() as session:
            queue_message(
                session,
                post.practice.location,
                MessageKind.FINAL_NOTICE,
                invoice.id,
                "twice",
                post.practice.clock.now(),
                member_id=owing.member_id,
            )

    assert len(post.queued(MessageKind.FINAL_NOTICE)) == 1
    assert send_messages(post.practice.context, post.mail, post.sms, {MessageKind.RECEIPT}).sent == 0
