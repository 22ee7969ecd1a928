"""The platform's fee on payments, and the monthly statements by which it is asked for where Stripe does not keep it."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from connector.billing.policy import FeeBearer
from connector.database.base import Base, state_column


class FeeCollection(StrEnum):
    """How the platform gets its fee."""

    APPLICATION_FEE = "application_fee"
    """Stripe keeps it back from the payment."""
    STATEMENT = "statement"
    """On the monthly statement for the practice."""


class PlatformFee(Base):
    """The fee on one payment, with its GST as it was computed that day."""

    __tablename__ = "platform_fee"
    __table_args__ = (Index("ix_platform_fee_location_date", "location_id", "business_date"),)

    payment_id: Mapped[str] = mapped_column(ForeignKey("payment.id"), primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    amount_cents: Mapped[int]
    """With GST."""
    gst_cents: Mapped[int]
    currency: Mapped[str]
    bearer: Mapped[FeeBearer] = mapped_column(state_column(FeeBearer))
    collection: Mapped[FeeCollection] = mapped_column(state_column(FeeCollection))
    business_date: Mapped[date]


class FeeStatement(Base):
    """What a practice owes the platform for a month; made once."""

    __tablename__ = "fee_statement"
    __table_args__ = (UniqueConstraint("location_id", "month"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    month: Mapped[date]
    """Its first day."""
    payments: Mapped[int]
    amount_cents: Mapped[int]
    gst_cents: Mapped[int]
    currency: Mapped[str]
    created_at: Mapped[datetime]
