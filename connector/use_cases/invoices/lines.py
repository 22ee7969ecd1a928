"""The lines of an invoice that was issued, as the values that pricing made."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.invoices import Invoice, InvoiceLine
from connector.billing.prices.pricing import PricedLine
from connector.money import Money


def lines_of(session: Session, invoice: Invoice) -> list[PricedLine]:
    """In their order on the invoice."""
    stored = select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id).order_by(InvoiceLine.position)
    return [_priced(line, invoice.currency) for line in session.scalars(stored)]


def _priced(line: InvoiceLine, currency: str) -> PricedLine:
    amount, gst = Money(line.amount_cents, currency), Money(line.gst_cents, currency)
    return PricedLine(line.kind, line.member_id, line.description, amount, line.tax_code, gst)
