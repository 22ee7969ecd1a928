"""Confirmed links between members and patients of the practice system, and the queue of undecided ones."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from connector.database.base import Base, state_column

_LIVE = text("ended_at IS NULL")


class PatientLink(Base):
    """A member is this patient. One live link per member and per patient; ended links stay as history."""

    __tablename__ = "patient_link"
    __table_args__ = (
        Index("uq_patient_link_member", "member_id", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index(
            "uq_patient_link_patient",
            "location_id",
            "pms_patient_id",
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"))
    pms_patient_id: Mapped[str]
    linked_at: Mapped[datetime]
    linked_by: Mapped[str]
    """'connector' for an automatic link, else the staff user."""
    probability: Mapped[float | None]
    weights_version: Mapped[str | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None]
    entries_follow_since: Mapped[datetime | None]
    """When a person has said yes to moving here what stands with former patients of the member."""
    entries_follow_by: Mapped[str | None]


class ReviewOutcome(StrEnum):
    """Why a member is not linked by itself."""

    REVIEW = "review"
    """There are candidates, but not one beyond doubt."""
    NONE = "none"
    """No patient comes close; perhaps the person is not in the practice system yet."""


class LinkReview(Base):
    """A member who waits for a person's decision, with the candidates as they were seen."""

    __tablename__ = "link_review"
    __table_args__ = (Index("ix_link_review_location", "location_id", "resolved_at"),)

    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"), primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    outcome: Mapped[ReviewOutcome] = mapped_column(state_column(ReviewOutcome))
    candidates: Mapped[list[Any]]
    """Ranked: patient id, probability, and the reasons field by field; no personal values."""
    weights_version: Mapped[str]
    examined_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
