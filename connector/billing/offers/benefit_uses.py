"""What members have used of their benefits, by procedure code; counted anew in each benefit year."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from connector.database.base import Base


class BenefitUse(Base):
    """One visit's use of one procedure. A mistake is taken back by a use of the opposite quantity, never edited."""

    __tablename__ = "benefit_use"
    __table_args__ = (Index("ix_benefit_use_member_id", "member_id", "used_on"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"))
    procedure_code: Mapped[str]
    quantity: Mapped[int]
    used_on: Mapped[date]
    takes_back_id: Mapped[str | None] = mapped_column(ForeignKey("benefit_use.id"), unique=True)
    actor: Mapped[str]
    recorded_at: Mapped[datetime]
