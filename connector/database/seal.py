"""The seal: a text that only the newest state of the database knows, because the payment processor keeps it as well.

It changes as time goes by. A database that was set back, or a copy that works elsewhere, comes with a former seal and
is known by that: it must first learn what was done meanwhile.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy.orm import Mapped, mapped_column

from connector.database.base import Base

SEAL = "seal"
"""The key of the only row."""
LOOK_AGAIN_AFTER = timedelta(minutes=1)
CHANGE_AFTER = timedelta(hours=1)


class Seal(Base):
    """The present seal, and the one that is about to follow it."""

    __tablename__ = "seal"

    id: Mapped[str] = mapped_column(primary_key=True)
    kept_as: Mapped[str | None]
    """The processor's id of what keeps it there."""
    text: Mapped[str]
    next_text: Mapped[str | None]
    """Decided on, and perhaps at the processor already."""
    changed_at: Mapped[datetime]
    broken_at: Mapped[datetime | None]
    """When the processor was seen to hold another one: nothing is sent until a person has looked into it."""

    def agrees(self, kept: str) -> bool:
        """Whether what the processor keeps is this database's."""
        return kept in (self.text, self.next_text)

    def is_old(self, now: datetime) -> bool:
        """Whether it is time for another one, or another one was begun."""
        return self.next_text is not None or now - self.changed_at >= CHANGE_AFTER


class SealWatch:
    """When this process last saw that the seal is whole; one thread at a time looks."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.seen_at: datetime | None = None

    def is_fresh(self, now: datetime) -> bool:
        """Whether it was seen so lately that it need not be asked for again."""
        return self.seen_at is not None and self.seen_at <= now < self.seen_at + LOOK_AGAIN_AFTER
