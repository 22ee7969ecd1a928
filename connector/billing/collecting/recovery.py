"""Where the recovery of an unpaid invoice stands. What comes next is decided by `dunning`."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from connector.database.base import Base


class Recovery(Base):
    """The recovery of one invoice: begun by its first failure, ended by payment, by a person, or by its last step."""

    __tablename__ = "recovery"
    __table_args__ = (Index("ix_recovery_work", "location_id", "ended_at", "next_on"),)

    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoice.id"), primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    started_on: Mapped[date]
    step: Mapped[int] = mapped_column(default=0)
    """Steps at lower positions are done or passed over."""
    shifted_days: Mapped[int] = mapped_column(default=0)
    """Days that the daemon was away when a step was due: the later ones keep their distance."""
    done_on: Mapped[date | None]
    """The day of the latest step."""
    next_on: Mapped[date | None]
    paused: Mapped[bool] = mapped_column(default=False)
    """While the contract is suspended."""
    ended_at: Mapped[datetime | None]
    ended_because: Mapped[str | None]
