"""The circuit breaker of a connection: a practice system that fails again and again is left alone for a while.

Three runs in a row that fail, or one refusal of the keys, open it. Until its pause is over no row is touched and
nothing is asked; then one row is tried, and the others follow only if that went well. The pauses grow to a quarter of
an hour and no further: a practice that mends its system need not do anything else, and whoever cannot wait asks for a
retry. The state is a row, so a restart changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Lock
from zoneinfo import ZoneInfo

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, Session, mapped_column

from connector.database.base import Base
from connector.errors import AccessDenied, EdgeError, NotSent, RateLimited, Rejected, Unsupported
from connector.pms_adapters.pace import LONGEST_PAUSE_SECONDS

FAILURES_MAX = 3
"""So many failures in a row open the breaker."""
PAUSE = timedelta(minutes=1)
PAUSE_MAX = timedelta(minutes=15)
ASKED_MAX = timedelta(seconds=LONGEST_PAUSE_SECONDS)
"""Longest pause that a practice system may ask for."""


class ConnectionTrouble(Base):
    """A connection that has failed and not worked since; without such a row all is well."""

    __tablename__ = "connection_trouble"

    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"), primary_key=True)
    since: Mapped[datetime]
    """The first of the failures in a row."""
    failures: Mapped[int]
    reason: Mapped[str] = mapped_column(Text)
    """What the last one was, with the next step, as a sentence."""
    retry_at: Mapped[datetime]

    @property
    def is_open(self) -> bool:
        """Whether the connection was given up, so that it is tried with one row first."""
        return self.failures >= FAILURES_MAX

    def waits(self, now: datetime) -> bool:
        """Whether nothing is to be asked yet. A pause longer than any comes of a clock that was wrong."""
        return now < self.retry_at <= now + ASKED_MAX

    def sentence(self, now: datetime, zone: ZoneInfo) -> str:
        """What is the matter, since when, and what comes next, for the list, the log and the health page."""
        since = f"{self.since.astimezone(zone):%d %B %Y, %H:%M}"
        told = f"The practice system has not worked since {since} ({self.failures} failures in a row). {self.reason}"
        if not self.waits(now):
            return f"{told} It is tried again with the next run."
        again = f"{self.retry_at.astimezone(zone):%H:%M}"
        return f"{told} It is tried again at {again}, or at once by `connector write-backs retry --location SLUG`."


class Breaker:
    """What one run learns about its connection. Safe to use from several threads."""

    def __init__(self, trouble: ConnectionTrouble | None) -> None:
        self.trying = trouble is not None and trouble.is_open
        """Whether one row decides first whether the others follow."""
        self._trouble = trouble
        self._failure: EdgeError | None = None
        self._unclear = 0
        self._answered = False
        self._lock = Lock()

    def answered(self) -> None:
        """The practice system answered clearly, if only with a refusal of one entry."""
        with self._lock:
            self._unclear = 0
            self._answered = True

    def write_failed(self, error: EdgeError) -> bool:
        """Take note of a write that failed; tells whether the run is to end with it."""
        if isinstance(error, (Rejected, Unsupported)):
            self.answered()
            return False
        with self._lock:
            self._unclear += 1
            ends = isinstance(error, (NotSent, AccessDenied)) or self._unclear >= (1 if self.trying else FAILURES_MAX)
        if ends:
            self.failed(error)
        return ends

    def failed(self, error: EdgeError) -> None:
        """Take note of the error that ends the run."""
        with self._lock:
            self._failure = self._failure or error

    @property
    def has_news(self) -> bool:
        """Whether the run has shown anything to be kept: a failure, or an answer after failures."""
        return self._failure is not None or (self._trouble is not None and self._answered)

    def keep(self, session: Session, location_id: str, now: datetime) -> None:
        """Write down what the run has shown."""
        trouble = trouble_of(session, location_id)
        if self._failure is None:
            if trouble:
                session.delete(trouble)
            return
        if trouble is None:
            trouble = ConnectionTrouble(location_id=location_id, since=now, failures=0)
            session.add(trouble)
        refused = isinstance(self._failure, AccessDenied)
        trouble.failures = max(trouble.failures + 1, FAILURES_MAX if refused else 0)
        trouble.reason = str(self._failure)
        trouble.retry_at = now + pause(trouble.failures, self._failure)


def pause(failures: int, last: EdgeError) -> timedelta:
    """How long a connection is left alone after so many failures in a row. Pure.

    Refused keys are not mended within minutes, and asking again and again makes some systems lock them.
    """
    asked = timedelta(seconds=last.retry_after) if isinstance(last, RateLimited) else timedelta(0)
    if isinstance(last, AccessDenied):
        own = PAUSE_MAX
    elif failures < FAILURES_MAX:
        own = timedelta(0)
    else:
        doublings: int = min(failures - FAILURES_MAX, 10)
        own = min(PAUSE * 2**doublings, PAUSE_MAX)
    return max(own, min(asked, ASKED_MAX))


def trouble_of(session: Session, location_id: str) -> ConnectionTrouble | None:
    """What is the matter with the connection of a location; None when nothing is."""
    return session.get(ConnectionTrouble, location_id)


def retry(session: Session, location_id: str, now: datetime) -> bool:
    """Let the next run try, on a person's word or because the settings have changed; False when nothing holds it up."""
    trouble = trouble_of(session, location_id)
    if trouble is None:
        return False
    trouble.retry_at = now
    return True
