"""Invoices: one for each contract and period, and one for each instalment of a payment plan."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from connector.database.base import Base, state_column
from connector.money import Money


class InvoiceStatus(StrEnum):
    """Where the collection of an invoice stands."""

    OPEN = "open"
    PROCESSING = "processing"
    """A bank debit is under way and takes days: not paid, not written to the PMS."""
    COMPLETED = "completed"
    OVERDUE = "overdue"
    CANCELLED = "cancelled"


class Invoice(Base):
    """A demand for one due amount. Issued invoices never change, except for their status."""

    __tablename__ = "invoice"
    __table_args__ = (
        UniqueConstraint("contract_id", "period"),
        UniqueConstraint("payment_plan_id", "period"),
        CheckConstraint("(contract_id IS NULL) <> (payment_plan_id IS NULL)", name="one_agreement"),
        CheckConstraint("amount_cents > 0", name="amount_positive"),
        Index("ix_invoice_location_due", "location_id", "due_date"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"))
    contract_id: Mapped[str | None] = mapped_column(ForeignKey("contract.id"))
    payment_plan_id: Mapped[str | None] = mapped_column(ForeignKey("payment_plan.id"))
    period: Mapped[int]
    """Number of the period (from 0) or of the instalment (from 1): with the agreement, the key of the due amount."""
    due_date: Mapped[date]
    amount_cents: Mapped[int]
    currency: Mapped[str]
    status: Mapped[InvoiceStatus] = mapped_column(state_column(InvoiceStatus))
    issued_at: Mapped[datetime]

    @property
    def amount(self) -> Money:
        return Money(self.amount_cents, self.currency)
