"""The history of what people and the connector did to members, contracts and settings; never changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, Session, mapped_column

from connector.database.base import Base

CONNECTOR = "connector"
"""The actor of what no person did."""


class Activity(Base):
    """One thing that was done, to whom or what, and by whom. Carries ids and amounts, nothing personal."""

    __tablename__ = "activity"
    __table_args__ = (Index("ix_activity_subject_id", "subject_id"), Index("ix_activity_location_id", "location_id"))

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    location_id: Mapped[str | None]
    subject_id: Mapped[str]
    """The member, contract, plan, staff user or location that it happened to."""
    action: Mapped[str]
    """In the field's own words, e.g. 'Membership Activated'."""
    detail: Mapped[dict[str, Any]]
    actor: Mapped[str]


def remember(
    session: Session,
    subject_id: str,
    action: str,
    now: datetime,
    *,
    location_id: str | None = None,
    actor: str = CONNECTOR,
    **detail: Any,
) -> None:
    """Add to the history, in the unit of work that does the thing."""
    session.add(
        Activity(at=now, location_id=location_id, subject_id=subject_id, action=action, detail=detail, actor=actor)
    )
