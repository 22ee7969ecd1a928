"""List invoices, and show one with all that was done to collect it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.collecting.charges import Charge, ChargeAttempt, Payment
from connector.billing.invoices import Invoice, InvoiceLine, InvoiceStatus, printed_credit_number
from connector.use_cases.context import Context
from connector.use_cases.invoices.invoice_document import invoice_number
from connector.use_cases.invoices.owed import credit_notes
from connector.use_cases.invoices.release_invoice import find_invoice


@dataclass(frozen=True, slots=True)
class InvoiceShown:
    """One invoice as staff see it."""

    id: str
    number: str
    member_id: str
    kind: str
    status: str
    due_date: date
    amount_cents: int
    currency: str
    agreement_id: str


@dataclass(frozen=True, slots=True)
class AttemptShown:
    """One try to collect, planned or made."""

    id: str
    charge_id: str
    state: str
    origin: str
    debit_on: date
    sent_at: datetime | None
    failure_code: str | None


@dataclass(frozen=True, slots=True)
class InvoiceHistory:
    """An invoice with its lines, the attempts to collect it, and the payments that came of them."""

    invoice: InvoiceShown
    lines: tuple[dict[str, Any], ...]
    attempts: tuple[AttemptShown, ...]
    payment_ids: tuple[str, ...]
    credit_notes: tuple[dict[str, Any], ...]
    """Those that hold."""


def list_invoices(
    context: Context,
    location: Location,
    statuses: Sequence[InvoiceStatus] = (),
    member_id: str | None = None,
    limit: int = 100,
) -> list[InvoiceShown]:
    """The location's invoices, the newest first; only of these statuses and that payer when given."""
    query = select(Invoice).where(Invoice.location_id == location.id)
    if statuses:
        query = query.where(Invoice.status.in_(statuses))
    if member_id is not None:
        query = query.where(Invoice.member_id == member_id)
    with context.database.read() as session:
        rows = session.scalars(query.order_by(Invoice.due_date.desc(), Invoice.number.desc()).limit(limit))
        return [_shown(row) for row in rows]


def show_invoice(context: Context, invoice_id: str) -> InvoiceHistory:
    """One invoice, by id or printed number. Raises DomainError when there is none."""
    with context.database.read() as session:
        invoice, _ = find_invoice(session, invoice_id)
        lines = session.scalars(
            select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id).order_by(InvoiceLine.position)
        )
        shown = tuple(
            {"description": line.description, "member_id": line.member_id, "amount_cents": line.amount_cents}
            for line in lines
        )
        payments = session.scalars(
            select(Payment.id).where(Payment.invoice_id == invoice.id).order_by(Payment.recorded_at)
        )
        credit = tuple(
            {
                "number": printed_credit_number(invoice.issued_by, note.number),
                "amount_cents": note.amount_cents,
                "business_date": note.business_date,
            }
            for note in credit_notes(session, invoice)
        )
        return InvoiceHistory(_shown(invoice), shown, attempts_of(session, invoice.id), tuple(payments), credit)


def attempts_of(session: Session, invoice_id: str) -> tuple[AttemptShown, ...]:
    """Every try to collect the invoice, oldest first."""
    query = (
        select(ChargeAttempt)
        .join(Charge, Charge.id == ChargeAttempt.charge_id)
        .where(Charge.invoice_id == invoice_id)
        .order_by(ChargeAttempt.created_at, ChargeAttempt.id)
    )
    return tuple(
        AttemptShown(row.id, row.charge_id, row.state, row.origin, row.debit_on, row.sent_at, row.failure_code)
        for row in session.scalars(query)
    )


def _shown(row: Invoice) -> InvoiceShown:
    return InvoiceShown(
        id=row.id,
        number=invoice_number(row),
        member_id=row.member_id,
        kind=row.kind,
        status=row.status,
        due_date=row.due_date,
        amount_cents=row.amount_cents,
        currency=row.currency,
        agreement_id=row.contract_id or row.payment_plan_id or row.instant_payment_id or row.payment_hold_id or "",
    )
