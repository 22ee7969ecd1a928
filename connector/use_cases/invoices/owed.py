"""What an invoice asks for, and what the practice has for it. The difference is owed, or kept without a reason."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from connector.billing.collecting.charges import Payment, ReturnedPayment, UndoneReturn
from connector.billing.invoices import VOID, CreditNote, Invoice
from connector.database.sums import sum_where


def owed(session: Session, invoice: Invoice) -> int:
    """Cents that are asked for and not here; below zero, what is kept without a reason."""
    return claimed(session, invoice) - kept(session, invoice)


def claimed(session: Session, invoice: Invoice) -> int:
    """Cents that the invoice asks for: its amount less what was credited, and nothing once it is void."""
    return 0 if invoice.status in VOID else invoice.amount_cents - credited(session, invoice)


def kept(session: Session, invoice: Invoice) -> int:
    """Cents that the practice has for an invoice: all payments of it, less what went back, with what came again."""
    payments = select(Payment.id).where(Payment.invoice_id == invoice.id)
    returns = select(ReturnedPayment.id).where(ReturnedPayment.payment_id.in_(payments))
    paid = sum_where(Payment.amount_cents, Payment.invoice_id == invoice.id)
    gone = sum_where(ReturnedPayment.amount_cents, ReturnedPayment.payment_id.in_(payments))
    back = sum_where(UndoneReturn.amount_cents, UndoneReturn.returned_payment_id.in_(returns))
    return session.scalars(select(paid - gone + back)).one()


def credited(session: Session, invoice: Invoice) -> int:
    """Cents of the credit notes that hold."""
    return sum(note.amount_cents for note in credit_notes(session, invoice))


def credit_notes(session: Session, invoice: Invoice) -> Sequence[CreditNote]:
    """The credit notes that hold, the oldest first; none of an invoice that is void."""
    if invoice.status in VOID:
        return ()
    query = select(CreditNote).where(CreditNote.invoice_id == invoice.id, note_holds())
    return session.scalars(query.order_by(CreditNote.number)).all()


def note_holds() -> ColumnElement[bool]:
    """A credit note holds unless it is for a refund that has failed, as long as its invoice is not void."""
    undone = select(UndoneReturn.returned_payment_id)
    return CreditNote.returned_payment_id.is_(None) | CreditNote.returned_payment_id.not_in(undone)
