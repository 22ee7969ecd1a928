"""What the invoices of a day's money came to, so that nothing is kept or given back without a reason."""

from __future__ import annotations

from datetime import date

from sqlalchemy import select, union
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment, ReturnedPayment, UndoneReturn
from connector.billing.invoices import VOID, CreditNote, Invoice, printed_number
from connector.database.sums import summed
from connector.money import Money
from connector.reconciliation.differences import Balance
from connector.use_cases.invoices.owed import note_holds


def invoice_balances(session: Session, location: Location, day: date) -> list[Balance]:
    """The invoices for which money came, went back or came again that day, as they stand now."""
    moved = union(
        select(Payment.invoice_id).where(Payment.location_id == location.id, Payment.business_date == day),
        select(Payment.invoice_id)
        .join(ReturnedPayment, ReturnedPayment.payment_id == Payment.id)
        .where(ReturnedPayment.location_id == location.id, ReturnedPayment.business_date == day),
        select(Payment.invoice_id)
        .join(ReturnedPayment, ReturnedPayment.payment_id == Payment.id)
        .join(UndoneReturn, UndoneReturn.returned_payment_id == ReturnedPayment.id)
        .where(UndoneReturn.location_id == location.id, UndoneReturn.business_date == day),
    ).subquery()
    of_day = Payment.invoice_id.in_(select(moved.c.invoice_id))
    paid = select(Payment.invoice_id, summed(Payment.amount_cents)).where(of_day).group_by(Payment.invoice_id)
    gone = (
        select(Payment.invoice_id, summed(ReturnedPayment.amount_cents))
        .join(ReturnedPayment, ReturnedPayment.payment_id == Payment.id)
        .where(of_day)
        .group_by(Payment.invoice_id)
    )
    back = (
        select(Payment.invoice_id, summed(UndoneReturn.amount_cents))
        .join(ReturnedPayment, ReturnedPayment.payment_id == Payment.id)
        .join(UndoneReturn, UndoneReturn.returned_payment_id == ReturnedPayment.id)
        .where(of_day)
        .group_by(Payment.invoice_id)
    )
    kept = dict(session.execute(paid).all())
    for sign, query in ((-1, gone), (1, back)):
        for invoice_id, cents in session.execute(query):
            kept[invoice_id] += sign * cents
    credited = (
        select(CreditNote.invoice_id, summed(CreditNote.amount_cents))
        .where(CreditNote.invoice_id.in_(select(moved.c.invoice_id)), note_holds())
        .group_by(CreditNote.invoice_id)
    )
    not_asked = dict(session.execute(credited).all())
    columns = (Invoice.id, Invoice.issued_by, Invoice.number, Invoice.amount_cents, Invoice.status)
    invoices = session.execute(
        select(*columns).where(Invoice.id.in_(select(moved.c.invoice_id))).order_by(Invoice.number)
    )
    return [
        Balance(
            printed_number(issued_by, number),
            Money(0 if status in VOID else cents - not_asked.get(invoice_id, 0), location.currency),
            Money(kept[invoice_id], location.currency),
        )
        for invoice_id, issued_by, number, cents, status in invoices
    ]
