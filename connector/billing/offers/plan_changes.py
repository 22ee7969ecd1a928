"""Changes of a signed cover that are announced first: a newer version of its plan, or another plan."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from connector.database.base import Base, state_column


class PlanChangeStatus(StrEnum):
    """Life of an announced change."""

    OFFERED = "offered"
    """Waits for the member's acceptance; without it everything stays as it was signed."""
    ACCEPTED = "accepted"
    """Takes effect with the first period that is due on or after its day."""
    APPLIED = "applied"
    WITHDRAWN = "withdrawn"
    """Declined, expired, replaced by another, or the contract ended."""


class PlanChange(Base):
    """One change of one person's cover."""

    __tablename__ = "plan_change"
    __table_args__ = (
        Index(
            "uq_plan_change_open",
            "cover_id",
            unique=True,
            sqlite_where=text("status IN ('offered', 'accepted')"),
            postgresql_where=text("status IN ('offered', 'accepted')"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    cover_id: Mapped[str] = mapped_column(ForeignKey("cover.id"))
    plan_version_id: Mapped[str] = mapped_column(ForeignKey("plan_version.id"))
    price_cents: Mapped[int]
    """Per period, as it was announced."""
    effective_on: Mapped[date]
    """Not before the end of the notice."""
    status: Mapped[PlanChangeStatus] = mapped_column(state_column(PlanChangeStatus))
    actor: Mapped[str]
    decided_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
