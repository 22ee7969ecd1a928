"""Undo a return, in the caller's unit of work: a refund that failed after all, or a dispute that was won.

The return stays as it is; that its money came to the practice again is a row, a journal entry and write-backs too.
"""

from __future__ import annotations

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import remember
from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment, ReturnedPayment, ReturnKind, UndoneReturn
from connector.billing.invoices import UNPAID, VOID, Invoice, InvoiceStatus
from connector.billing.processor import MoneyBack
from connector.ledger import recipes
from connector.ledger.journal import Booking, post
from connector.ledger.write_back.queue import enqueue
from connector.money import Money
from connector.use_cases.collection.business_day import day_of_money
from connector.use_cases.collection.plan_attempts import withdraw
from connector.use_cases.collection.settle_charge import mark_paid
from connector.use_cases.context import Context
from connector.use_cases.invoices.owed import owed
from connector.use_cases.invoices.take_back import cancel_credit
from connector.use_cases.recovery.recover import PAID, end_recovery
from connector.use_cases.recovery.tell_staff import tell_surplus
from connector.use_cases.returns.reverse_write_backs import cancel_out, restorations

log = structlog.get_logger()


def is_undone(session: Session, returned_id: str) -> bool:
    """Whether the money of that return has come back."""
    found = select(UndoneReturn.id).where(UndoneReturn.returned_payment_id == returned_id)
    return session.scalar(found) is not None


def undo_return(session: Session, context: Context, returned: ReturnedPayment, back: MoneyBack) -> None:
    """Record that all money of the return is the practice's again. The caller has seen that it is not recorded yet."""
    now = context.clock.now()
    payment = session.get_one(Payment, returned.payment_id)
    location = session.get_one(Location, returned.location_id)
    undone = UndoneReturn(
        id=ids.new_id("und"),
        location_id=location.id,
        returned_payment_id=returned.id,
        # An appeal may take and give the same money several times; what stands in the end is the return, undone.
        amount_cents=returned.amount_cents,
        fee_cents=back.fee.cents,
        currency=returned.currency,
        undone_at=back.at,
        business_date=day_of_money(session, location, payment.method_kind, back.at, now),
        recorded_at=now,
    )
    session.add(undone)
    session.flush()
    entry = recipes.return_undone(undone.id, Money(undone.amount_cents, undone.currency), back.fee)
    post(session, [Booking(entry, location.id, undone.business_date)], now)
    cancel_credit(session, returned, undone.business_date, now)
    enqueue(session, restorations(session, payment, returned, undone), now)
    cancel_out(session, now)
    if returned.kind is ReturnKind.DISPUTE:
        _owed_no_more(session, context, location, payment)
    log.info("return.undone", payment_id=payment.id, kind=returned.kind.value, cents=undone.amount_cents)


def _owed_no_more(session: Session, context: Context, location: Location, payment: Payment) -> None:
    """The dispute had reopened the invoice, unless something else keeps it open.

    If more is here than it asks for, or it is being paid in another way, a person has to decide.
    """
    now = context.clock.now()
    invoice = session.get_one(Invoice, payment.invoice_id)
    left = owed(session, invoice)
    if left > 0:
        return
    if invoice.status in UNPAID and withdraw(session, invoice.id, now):
        mark_paid(session, context, location, invoice)
    if invoice.status is InvoiceStatus.COMPLETED and left == 0:
        return
    if invoice.status is not InvoiceStatus.PROCESSING:
        end_recovery(session, invoice.id, PAID, now)
    log.warning("invoice.paid_without_debt", invoice_id=invoice.id, payment_id=payment.id)
    tell_surplus(session, location, invoice, payment.id, now)
    remember(
        session,
        payment.member_id,
        "Void Invoice Paid" if invoice.status in VOID else "Invoice Paid Twice",
        now,
        location_id=location.id,
        invoice_id=invoice.id,
        payment_id=payment.id,
        cents=payment.amount_cents,
    )
