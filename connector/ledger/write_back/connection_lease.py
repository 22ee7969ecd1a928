"""Who may write to a practice system: one installation at a time, for a term that it renews with each claim.

No practice system checks a lease, so it cannot stop a process that stood still and wakes up. Therefore whoever takes
over may look, and may send again only what it has claimed itself: what another had claimed and never finished is a
person's case, because nobody here knows whether that one has stopped.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from connector.database.base import Base
from connector.database.inserts import insert_if_new

TERM = timedelta(minutes=5)


class ConnectionLease(Base):
    """The installation that may write to a location's practice system, and until when if it does not go on."""

    __tablename__ = "connection_lease"

    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"), primary_key=True)
    holder: Mapped[str]
    until: Mapped[datetime]


def hold(session: Session, location_id: str, holder: str, now: datetime) -> bool:
    """Take the lease or renew it; False while another installation has it."""
    until = now + TERM
    kept = session.scalar(
        update(ConnectionLease)
        .where(ConnectionLease.location_id == location_id)
        .where((ConnectionLease.holder == holder) | (ConnectionLease.until <= now))
        .values(holder=holder, until=until)
        .returning(ConnectionLease.holder)
    )
    if kept is None:
        first = insert_if_new(session, ConnectionLease).values(location_id=location_id, holder=holder, until=until)
        kept = session.scalar(first.returning(ConnectionLease.holder))
    return kept is not None
