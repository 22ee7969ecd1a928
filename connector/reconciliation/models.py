"""What is kept of a day: the readings of the practice system's day sheet, and the closed report."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from connector.database.base import Base


class DaySheetReading(Base):
    """One reading of a day sheet, so that a day can be compared while the practice system is away."""

    __tablename__ = "day_sheet_reading"
    __table_args__ = (Index("ix_day_sheet_reading_day", "location_id", "business_date", "read_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    business_date: Mapped[date]
    read_at: Mapped[datetime]
    entries: Mapped[list[Any]]
    """Per entry: number, patient id, cents, date, references."""


class DayClose(Base):
    """The report of a closed day, as it was; numbered without gaps per location and never changed."""

    __tablename__ = "day_close"
    __table_args__ = (UniqueConstraint("location_id", "business_date"), UniqueConstraint("location_id", "number"))

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    business_date: Mapped[date]
    number: Mapped[int]
    closed_at: Mapped[datetime]
    report: Mapped[dict[str, Any]]
