"""Send what is queued: each message is claimed, worded from what is true now, handed over once, and its fate committed.

A message goes on all its channels with one link, because a second link would revoke the first. Whoever dies in between
leaves a claim that ends by itself: an e-mail is then sent again, while an SMS that may have been handed over is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import Contract
from connector.billing.clinics import Location
from connector.errors import AccessDenied, DomainError, EdgeError, NotSent, OutcomeUnknown, RateLimited
from connector.failpoints import outside_call
from connector.messaging import texts
from connector.messaging.kinds import Channel, MessageKind
from connector.messaging.mailer import Mailer
from connector.messaging.models import Message, MessageState
from connector.messaging.sms import SmsSender
from connector.messaging.window import send_at
from connector.use_cases.context import Context
from connector.use_cases.continuity.require_current import require_unbroken
from connector.use_cases.messages.message_address import addresses_of
from connector.use_cases.messages.message_facts import Values
from connector.use_cases.messages.message_values import values_of

log = structlog.get_logger()

CLAIM_LASTS = timedelta(minutes=15)
"""Longer than any hand-over takes; a claim that is older was left by a crash."""

WAITS = (
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(days=1),
    timedelta(days=1),
    timedelta(days=1),
)
"""Pauses after a hand-over that failed; after the last one a person has to look at it."""

TROUBLE_MAX = 3
"""So many hand-overs in a row that fail on one channel mean that its system is away; the rest waits."""

REASON_MAX = 255
"""So many characters of a reason are kept."""

MAYBE_SENT = "It is not known whether the SMS went out, so it is not sent a second time."
_CAN_BE_MISSED = (MessageKind.RECEIPT,)
"""Nobody need look for an address because of one of these."""
_ALREADY_TOLD = "There is no such address; the message went by another channel."


@dataclass
class MessageTally:
    """What was done, in messages; a message on two channels counts twice."""

    sent: int = 0
    dropped: int = 0
    """Not true any more."""
    unreachable: int = 0
    """On a channel for which the person has no address or number; the other channel has told them."""
    later: int = 0
    """Queued again after a hand-over that failed."""
    failed: int = 0
    problems: list[str] = field(default_factory=list)

    def problem(self, sentence: str) -> None:
        if sentence not in self.problems:
            self.problems.append(sentence)


def send_messages(
    context: Context, mailer: Mailer, sms: SmsSender, kinds: Collection[MessageKind] | None = None
) -> MessageTally:
    """Send everything whose time has come, of these kinds or of all. Safe to run in several workers at once."""
    run = _Run(context, mailer, sms, MessageTally())
    try:
        require_unbroken(context)
    except DomainError as error:
        run.tally.problem(str(error))
        return run.tally
    while not run.stopped and (claimed := _claim(context, kinds, run.down)) is not None:
        if claimed:
            run.hand_over(claimed)
    return run.tally


def _claim(
    context: Context, kinds: Collection[MessageKind] | None, down: Collection[Channel]
) -> Sequence[Message] | None:
    """Take the next message on all its channels, e-mail first.

    None when nothing is due; empty when the next one is not to be sent now, or another worker was faster.
    """
    now = context.clock.now()
    open_channels = [channel for channel in Channel if channel not in down]
    due = (
        select(Message)
        .where(Message.state.in_((MessageState.QUEUED, MessageState.SENDING)), Message.not_before <= now)
        .where(Message.channel.in_(open_channels))
    )
    if kinds is not None:
        due = due.where(Message.kind.in_(kinds))
    with context.database.unit_of_work() as session:
        first = session.scalars(due.order_by(Message.not_before, Message.id).limit(1)).first()
        if first is None:
            return None
        occasion = first.reason_key.rpartition(":")[0]
        keys = [f"{occasion}:{channel}" for channel in open_channels]
        # Locked in one order, so that two workers cannot wait for one another.
        together = due.where(Message.reason_key.in_(keys)).order_by(Message.id).with_for_update()
        claimed = [row for row in session.scalars(together) if not _settled_at_claim(session, row, now)]
        for row in claimed:
            row.state, row.not_before = MessageState.SENDING, now + CLAIM_LASTS
    return sorted(claimed, key=lambda row: row.channel)


def _settled_at_claim(session: Session, row: Message, now: datetime) -> bool:
    """Whether the message is not to be sent now: it may have gone before a crash, or has missed its hours."""
    if row.state is MessageState.SENDING and row.sent_at is not None:
        row.state, row.failure = MessageState.SENT, MAYBE_SENT
        return True
    if row.is_urgent:
        return False
    location = session.get_one(Location, row.location_id)
    row.not_before = _in_window(location, now)
    return row.not_before > now


def _in_window(location: Location, at: datetime) -> datetime:
    policy = location.policy
    return send_at(at, location.zone, policy.send_from_hour, policy.send_until_hour, location.calendar.is_business_day)


@dataclass
class _Run:
    """One run: what it has come to, and which channels are of no use any more."""

    context: Context
    mailer: Mailer
    sms: SmsSender
    tally: MessageTally
    stopped: bool = False
    down: set[Channel] = field(default_factory=set)
    _trouble: Counter[Channel] = field(default_factory=Counter)

    def hand_over(self, claimed: Sequence[Message]) -> None:
        """Send the claimed messages, which are one message on several channels."""
        try:
            values = values_of(self.context, claimed[0])
        except (NotSent, AccessDenied, RateLimited, OutcomeUnknown) as error:
            # There is no link without the processor; the messages are as good as new when it answers again.
            self._release(claimed, error)
            return
        except EdgeError as error:
            for message in claimed:
                self._fail(message, str(error))
            return
        if values is None:
            for message in claimed:
                self._drop(message, "It was not true any more.")
            return
        with self.context.database.read() as session:
            to = addresses_of(session, claimed[0])
        for message in claimed:
            if message.channel in to.known:
                self._send(message, to.known[message.channel], values)
            elif message.channel is Channel.EMAIL and not to.known and message.kind not in _CAN_BE_MISSED:
                self._fail(message, to.missing)
            else:
                self._skip(message, _ALREADY_TOLD if to.known else to.missing)

    def _send(self, message: Message, address: str, values: Values) -> None:
        if message.channel in self.down:
            self._put_back(message, self.context.clock.now())
            return
        try:
            provider_id = self._deliver(message, address, values)
        except OutcomeUnknown as error:
            if message.channel is Channel.SMS:
                self._record(message, MessageState.SENT, failure=str(error))
                self.tally.problem(f"The message {message.id} may not have arrived. {error}")
            else:
                self._again(message, error)
        except (NotSent, RateLimited, AccessDenied) as error:
            self._again(message, error)
        except (EdgeError, DomainError) as error:
            self._fail(message, str(error))
        else:
            self._trouble[message.channel] = 0
            self._record(message, MessageState.SENT, provider_id)
            self.tally.sent += 1
            log.info("message.sent", message_id=message.id, kind=message.kind.value, channel=message.channel.value)

    def _deliver(self, message: Message, address: str, values: Values) -> str | None:
        if message.channel is Channel.EMAIL:
            mail = texts.mail(address, message.kind, values)
            with outside_call():
                return self.mailer.send(mail)
        text = texts.sms(address, message.kind, values)
        # From here on the SMS may have gone; a crash leaves this mark behind.
        with self.context.database.unit_of_work() as session:
            session.get_one(Message, message.id).sent_at = self.context.clock.now()
        with outside_call():
            return self.sms.send(text)

    def _again(self, message: Message, error: EdgeError) -> None:
        """Queue it again after a pause, unless it was tried for days."""
        channel, now = message.channel, self.context.clock.now()
        self._trouble[channel] += 1
        if isinstance(error, AccessDenied) or self._trouble[channel] >= TROUBLE_MAX:
            self.down.add(channel)
            self.stopped = self.down == set(Channel)
        self.tally.problem(str(error))
        if message.attempts >= len(WAITS):
            self._fail(message, str(error))
            return
        at = now + WAITS[message.attempts]
        with self.context.database.unit_of_work() as session:
            row = session.get_one(Message, message.id)
            if not row.is_urgent:
                at = _in_window(session.get_one(Location, row.location_id), at)
            row.state, row.not_before, row.sent_at = MessageState.QUEUED, at, None
            row.attempts, row.failure = row.attempts + 1, str(error)[:REASON_MAX]
        self.tally.later += 1

    def _release(self, claimed: Sequence[Message], error: EdgeError) -> None:
        self.stopped = True
        self.tally.problem(str(error))
        # Where only this one cannot be answered, it must not keep all the others waiting.
        pause = WAITS[0] if isinstance(error, OutcomeUnknown) else timedelta()
        for message in claimed:
            self._put_back(message, self.context.clock.now() + pause)

    def _put_back(self, message: Message, at: datetime) -> None:
        with self.context.database.unit_of_work() as session:
            row = session.get_one(Message, message.id)
            row.state, row.not_before = MessageState.QUEUED, at

    def _drop(self, message: Message, because: str) -> None:
        self._record(message, MessageState.DROPPED, failure=because)
        self.tally.dropped += 1

    def _skip(self, message: Message, because: str) -> None:
        self._record(message, MessageState.DROPPED, failure=because)
        self.tally.unreachable += 1

    def _fail(self, message: Message, because: str) -> None:
        self._record(message, MessageState.FAILED, failure=because)
        self.tally.failed += 1
        self.tally.problem(f"The message {message.id} ({message.kind}) was not sent. {because}")
        log.warning("message.failed", message_id=message.id, kind=message.kind.value, channel=message.channel.value)

    def _record(
        self, message: Message, state: MessageState, provider_id: str | None = None, failure: str | None = None
    ) -> None:
        now = self.context.clock.now()
        with self.context.database.unit_of_work() as session:
            fate = {
                "state": state,
                "provider_id": provider_id,
                "failure": failure and failure[:REASON_MAX],
                "attempts": Message.attempts + 1,
                # From now on the time at which its fate was sealed.
                "not_before": now,
                "sent_at": now if state is MessageState.SENT else None,
            }
            session.execute(update(Message).where(Message.id == message.id).values(**fate))
            if state is MessageState.SENT and message.kind is MessageKind.INVITATION:
                contract = session.get_one(Contract, message.subject_id)
                contract.invited_at = contract.invited_at or now


FAILED_SHOWN_FOR = timedelta(days=1)
"""So long the job names what could not be sent."""


def failed_lately(context: Context) -> list[str]:
    """A sentence for each location where messages have failed within a day, for staff to act on."""
    since = context.clock.now() - FAILED_SHOWN_FOR
    query = (
        select(Location.slug, func.count())
        .join(Message, Message.location_id == Location.id)
        .where(Message.state == MessageState.FAILED, Message.not_before >= since)
        .group_by(Location.slug)
        .order_by(Location.slug)
    )
    with context.database.read() as session:
        return [
            f"{count} message{'s' if count > 1 else ''} could not be sent: see "
            f"`connector messages list --location {slug} --state failed`."
            for slug, count in session.execute(query)
        ]
