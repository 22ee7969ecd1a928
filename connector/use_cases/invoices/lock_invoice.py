"""Lock an invoice for a unit of work that decides what is owed on it, or what is planned for it.

PostgreSQL lets two of them run side by side, so all lock in one order: a payment, the agreement, the invoice, and then
what is planned. Whoever comes second waits, and reads what the first has written; nobody waits for each other.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import Contract
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import InstantPayment
from connector.billing.invoices import Invoice
from connector.database.row_locks import ROW_LOCK


def lock_invoice(session: Session, invoice_id: str) -> Invoice:
    """The invoice as it stands now, locked together with its agreement, whose status follows from it."""
    invoice = session.get_one(Invoice, invoice_id)
    for model, agreement_id in (
        (Contract, invoice.contract_id),
        (PaymentPlan, invoice.payment_plan_id),
        (InstantPayment, invoice.instant_payment_id),
    ):
        if agreement_id:
            session.get_one(model, agreement_id, with_for_update=ROW_LOCK, populate_existing=True)
    lock_invoices(session, [invoice])
    return invoice


def lock_invoices(session: Session, invoices: Iterable[Invoice]) -> None:
    """Lock these invoices, whose agreement the caller has locked, and read them again."""
    query = select(Invoice).where(Invoice.id.in_([invoice.id for invoice in invoices])).order_by(Invoice.id)
    session.scalars(query.with_for_update(key_share=True).execution_options(populate_existing=True)).all()
