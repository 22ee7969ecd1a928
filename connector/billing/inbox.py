"""The inbox of the processor's news: each event is stored once, however often and by whatever way it arrives."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Index, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from connector.billing.processor import EventKind, ProcessorEvent
from connector.database.base import Base, state_column
from connector.database.inserts import insert_if_new

OVERLAP = timedelta(minutes=10)
"""The feed is eventually consistent: each poll reads this much of the past again."""


class InboxEvent(Base):
    """One event of the processor and whether it was acted on."""

    __tablename__ = "inbox_event"
    __table_args__ = (Index("ix_inbox_event_open", "handled_at", "created"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[EventKind] = mapped_column(state_column(EventKind))
    type: Mapped[str]
    object_id: Mapped[str]
    created: Mapped[datetime]
    received_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]
    deliveries_failed: Mapped[int] = mapped_column(default=0)


class EventCursor(Base):
    """How far the event feed has been read."""

    __tablename__ = "event_cursor"

    id: Mapped[str] = mapped_column(primary_key=True)
    read_until: Mapped[datetime]


FEED = "processor"


def read_from(session: Session, now: datetime) -> datetime:
    """Where the next poll starts: a little before the newest event seen, or a day back on the first poll."""
    until = read_until(session)
    return until - OVERLAP if until else now - timedelta(days=1)


def read_until(session: Session) -> datetime | None:
    """How far the feed has been read, to a day; None before the first poll."""
    cursor = session.get(EventCursor, FEED)
    return cursor.read_until if cursor else None


def move_cursor(session: Session, until: datetime) -> None:
    """The feed is read up to there, or what it told until then is known in another way."""
    session.execute(insert_if_new(session, EventCursor).values(id=FEED, read_until=until))
    session.execute(
        update(EventCursor).where(EventCursor.id == FEED, EventCursor.read_until < until).values(read_until=until)
    )


def store(session: Session, events: list[ProcessorEvent], now: datetime, *, polled: bool = True) -> int:
    """Keep the events that are new and move the cursor, in one transaction; returns how many were new.

    An event that was not `polled` says nothing about what else the feed has, so the cursor stays.
    """
    if not events:
        return 0
    rows = [
        {
            "id": event.id,
            "kind": event.kind,
            "type": event.type,
            "object_id": event.object_id,
            "created": event.created,
            "received_at": now,
            "handled_at": now if event.kind is EventKind.OTHER else None,
            "deliveries_failed": 0,
        }
        for event in events
    ]
    new = session.execute(insert_if_new(session, InboxEvent).returning(InboxEvent.id), rows).all()
    if polled:
        move_cursor(session, max(event.created for event in events))
    return len(new)


def open_events(session: Session, limit: int) -> list[InboxEvent]:
    """Events not acted on yet, oldest first."""
    query = (
        select(InboxEvent)
        .where(InboxEvent.handled_at.is_(None))
        .order_by(InboxEvent.created, InboxEvent.id)
        .limit(limit)
    )
    return list(session.scalars(query))
