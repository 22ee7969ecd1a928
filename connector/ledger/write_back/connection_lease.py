"""Who may write to a practice system: one installation at a time, for a term that it renews as it goes.

No practice system checks a lease, so it cannot stop a process that stood still and wakes up. Therefore whoever takes
over may look, and may send again only what it has claimed itself: what another had claimed and never finished is a
person's case, because nobody here knows whether that one has stopped.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import ForeignKey, Table, bindparam, update
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


# Built once and on the table itself: the mapper would triple what a renewal costs.
_LEASES = cast("Table", ConnectionLease.__table__)
_RENEW = update(_LEASES).where(
    _LEASES.c.location_id == bindparam("of_location"),
    (_LEASES.c.holder == bindparam("by")) | (_LEASES.c.until <= bindparam("at")),
)


def hold(session: Session, location_id: str, holder: str, now: datetime) -> bool:
    """Take the lease or renew it; False while another installation has it."""
    lease = {"holder": holder, "until": now + TERM}
    kept = session.execute(_RENEW, {"of_location": location_id, "by": holder, "at": now, **lease}).rowcount  # type: ignore[attr-defined]
    if not kept:
        first = insert_if_new(session, ConnectionLease).values(location_id=location_id, **lease)
        kept = session.scalar(first.returning(ConnectionLease.holder)) is not None
    return bool(kept)
