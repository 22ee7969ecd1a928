"""Invoices: immutable, numbered without gaps; one for each contract and period, instalment, request, captured hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from connector.billing.offers.plan_terms import TaxCode
from connector.billing.prices.pricing import LineKind
from connector.database.base import Base, state_column
from connector.money import Money


class InvoiceKind(StrEnum):
    """What an invoice asks for; with the agreement and the period, its key."""

    MEMBERSHIP = "membership"
    EXIT = "exit"
    """What is owed for leaving within the lock-in period."""
    INSTALMENT = "instalment"
    INSTANT = "instant"
    HOLD = "hold"


class InvoiceStatus(StrEnum):
    """Where the collection of an invoice stands."""

    OPEN = "open"
    PROCESSING = "processing"
    """A bank debit is under way and takes days: not paid, not written to the PMS."""
    WAITING = "waiting"
    """Missed while the daemon was away, or asked about: charged once a person releases it."""
    COMPLETED = "completed"
    OVERDUE = "overdue"
    CANCELLED = "cancelled"
    """Void: the number stays, nothing is owed."""
    EXPIRED = "expired"
    """A request that was not paid in time: nothing is owed."""


UNPAID = (InvoiceStatus.OPEN, InvoiceStatus.WAITING, InvoiceStatus.OVERDUE)
"""Owed, and with no money under way."""


VOID = (InvoiceStatus.CANCELLED, InvoiceStatus.EXPIRED)
"""Nothing is owed, and never will be."""


def printed_number(issued_by: Mapping[str, Any], number: int) -> str:
    """The number as it is printed, e.g. 'LEURA-000042', by the practice's name of the day of issue."""
    return f"{issued_by.get('prefix', '')}-{number:06d}".lstrip("-")


class Invoice(Base):
    """A demand for one due amount. Issued invoices never change, except for their status."""

    __tablename__ = "invoice"
    __table_args__ = (
        UniqueConstraint("location_id", "number"),
        UniqueConstraint("contract_id", "kind", "period"),
        UniqueConstraint("payment_plan_id", "period"),
        UniqueConstraint("instant_payment_id", "period"),
        UniqueConstraint("payment_hold_id"),
        CheckConstraint(
            " + ".join(
                f"CASE WHEN {agreement}_id IS NULL THEN 0 ELSE 1 END"
                for agreement in ("contract", "payment_plan", "instant_payment", "payment_hold")
            )
            + " = 1",
            name="one_agreement",
        ),
        CheckConstraint("amount_cents >= 0", name="amount_not_negative"),
        Index("ix_invoice_location_due", "location_id", "due_date"),
        Index("ix_invoice_member_id", "member_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    number: Mapped[int]
    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"))
    """Who pays."""
    kind: Mapped[InvoiceKind] = mapped_column(state_column(InvoiceKind))
    contract_id: Mapped[str | None] = mapped_column(ForeignKey("contract.id"))
    payment_plan_id: Mapped[str | None] = mapped_column(ForeignKey("payment_plan.id"))
    instant_payment_id: Mapped[str | None] = mapped_column(ForeignKey("instant_payment.id"))
    payment_hold_id: Mapped[str | None] = mapped_column(ForeignKey("payment_hold.id"))
    period: Mapped[int]
    """Number of the period (from 0) or instalment (deposit 0): with the agreement, the key of the due amount."""
    due_date: Mapped[date]
    amount_cents: Mapped[int]
    currency: Mapped[str]
    status: Mapped[InvoiceStatus] = mapped_column(state_column(InvoiceStatus))
    issued_by: Mapped[dict[str, Any]]
    """The practice as it was named on that day, for the printed invoice."""
    issued_at: Mapped[datetime]

    @property
    def amount(self) -> Money:
        return Money(self.amount_cents, self.currency)


def printed_credit_number(issued_by: Mapping[str, Any], number: int) -> str:
    """The number of a credit note as it is printed, e.g. 'LEURA-CN-000003'."""
    return f"{issued_by.get('prefix', '')}-CN-{number:06d}".lstrip("-")


class CreditNote(Base):
    """What an invoice asks for no more: its payer was given money back, or what was owed is given up. Never changed.

    It holds unless the invoice is void, which takes back all of it, or the refund failed after all.
    """

    __tablename__ = "credit_note"
    __table_args__ = (
        UniqueConstraint("location_id", "number"),
        Index("ix_credit_note_invoice_id", "invoice_id"),
        CheckConstraint("amount_cents > 0", name="amount_positive"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    number: Mapped[int]
    """Without gaps, apart from those of invoices."""
    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoice.id"))
    returned_payment_id: Mapped[str | None] = mapped_column(ForeignKey("returned_payment.id"), unique=True)
    """The refund that it is for; None where what was owed is given up."""
    amount_cents: Mapped[int]
    gst_cents: Mapped[int]
    """Contained in the amount."""
    currency: Mapped[str]
    business_date: Mapped[date]
    issued_at: Mapped[datetime]


class InvoiceLine(Base):
    """One line of an invoice, for one person where it is theirs; never changed."""

    __tablename__ = "invoice_line"

    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoice.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    member_id: Mapped[str | None] = mapped_column(ForeignKey("member.id"))
    """Whose ledger in the practice system the money belongs to; None for the platform fee."""
    kind: Mapped[LineKind] = mapped_column(state_column(LineKind))
    description: Mapped[str]
    amount_cents: Mapped[int]
    gst_cents: Mapped[int] = mapped_column(default=0)
    """Contained in the amount."""
    tax_code: Mapped[TaxCode] = mapped_column(state_column(TaxCode))
