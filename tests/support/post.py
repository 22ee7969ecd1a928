"""The post of a practice in tests: members with contacts, an outbox that can be read, and rounds as in the daemon."""

from __future__ import annotations

import email
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from email import policy
from pathlib import Path

from connector.billing.collecting.charges import AttemptState, ChargeAttempt
from connector.billing.collecting.recovery import Recovery
from connector.billing.members import Member
from connector.errors import EdgeError
from connector.messaging.kinds import MessageKind
from connector.messaging.mailer import Mail, Mailer, OutboxMailer
from connector.messaging.models import Message, MessageState
from connector.messaging.sms import OutboxSms, Sms, SmsSender
from connector.use_cases.messages.send_messages import MessageTally, send_messages
from connector.use_cases.recovery.work_recoveries import RecoveryTally, work_recoveries
from tests.support.practice import Enrolled, Practice

PUBLIC_URL = "https://pay.example.org"
EMAIL = "person.of.interest@example.org"
PHONE = "0412 345 678"
NUMBER = "+61412345678"


@dataclass
class Trouble:
    """A mailer or SMS sender that fails while it is told to, and counts what it was given."""

    inner: Mailer | SmsSender
    error: Callable[[], EdgeError] | None = None
    given: int = 0

    def send(self, thing: Mail | Sms) -> str | None:
        self.given += 1
        if self.error is not None:
            raise self.error()
        return self.inner.send(thing)  # type: ignore[arg-type]


@dataclass
class Post:
    """What a practice sends, and whether its systems work."""

    practice: Practice
    folder: Path
    mail: Trouble = field(init=False)
    sms: Trouble = field(init=False)

    def __post_init__(self) -> None:
        self.practice.context = replace(self.practice.context, public_url=PUBLIC_URL)
        self.mail = Trouble(OutboxMailer(self.folder, "Leura Dental <office@example.org>"))
        self.sms = Trouble(OutboxSms(self.folder))

    def enrol(self, method: str | None = "pm_card_visa", **how: object) -> Enrolled:
        """Somebody who was a member before joins, with an e-mail address and a mobile number."""
        person = self.practice.enrol(None, linked=False, **{"adopted": True, **how})  # type: ignore[arg-type]
        with self.practice.context.database.unit_of_work() as session:
            member = session.get_one(Member, person.member_id)
            member.email, member.phone = EMAIL, PHONE
        if method:
            self.practice.sign_up(person, method)
        return person

    def send(self) -> MessageTally:
        """Send what is due."""
        return send_messages(self.practice.context, self.mail, self.sms)

    def recover(self) -> RecoveryTally:
        """Make the steps that are due."""
        return work_recoveries(self.practice.context, self.practice.location)

    def round(self) -> None:
        """What the daemon does: news, recoveries, charges, messages."""
        self.practice.charge()
        self.recover()
        self.practice.charge()
        self.recover()
        self.send()

    def days(self, count: int) -> None:
        """Let so many days pass, with one round on each."""
        for _ in range(count):
            self.practice.advance(days=1)
            self.round()

    def until(self, day: date) -> None:
        """Let days pass up to that one."""
        self.days((day - self.practice.today).days)

    def away_until(self, day: date) -> None:
        """Let days pass without a round, except for one on the last of them."""
        self.practice.advance(days=(day - self.practice.today).days)
        self.round()

    def go_to(self, day: date) -> None:
        """Let days pass in which nothing is done."""
        self.practice.advance(days=(day - self.practice.today).days)

    def tries(self) -> list[date]:
        """The days on which something was sent to be charged, oldest first."""
        zone = self.practice.location.zone
        return sorted(row.sent_at.astimezone(zone).date() for row in self.practice.all(ChargeAttempt) if row.sent_at)

    def planned(self) -> list[ChargeAttempt]:
        return [row for row in self.practice.all(ChargeAttempt) if row.state is AttemptState.PLANNED]

    def recovery(self) -> Recovery:
        """The only recovery."""
        (row,) = self.practice.all(Recovery)
        return row

    def queued(self, *kinds: MessageKind) -> list[tuple[MessageKind, date]]:
        """Kind and day of all messages of these kinds by e-mail, or of all kinds, oldest first."""
        zone = self.practice.location.zone
        return [
            (row.kind, row.created_at.astimezone(zone).date())
            for row in self.practice.all(Message)
            if row.channel == "email" and (not kinds or row.kind in kinds)
        ]

    def states(self) -> list[MessageState]:
        return [row.state for row in self.practice.all(Message)]

    def mails(self) -> list[str]:
        """Recipient, subject and text of the e-mails in the outbox, oldest first."""
        files = sorted(self.folder.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
        parsed = [email.message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
        return [f"{mail['To']}\n{mail['Subject']}\n{mail.get_content()}" for mail in parsed]

    def texts(self) -> list[str]:
        """The SMS in the outbox."""
        files = sorted(self.folder.glob("*.txt"), key=lambda file: file.stat().st_mtime_ns)
        return [file.read_text(encoding="utf-8") for file in files]


def tokens(texts: list[str]) -> list[str]:
    """The tokens of all links in these texts."""
    return [token for text in texts for token in re.findall(rf"{re.escape(PUBLIC_URL)}/l/(\S+)", text)]
