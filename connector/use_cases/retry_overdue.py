"""Retry overdue invoices once with a payment method that has just been authorised.

Further retries on a schedule are a practice's policy; a new method is the payer's own wish to pay now.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.charges import LIVE_ATTEMPT, AttemptState, Charge, ChargeAttempt
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.use_cases.context import Context


def retry_overdue(session: Session, context: Context, member_id: str, method_id: str) -> int:
    """Plan one attempt for each overdue invoice of the member; returns how many. The next run makes them."""
    overdue = select(Invoice).where(Invoice.member_id == member_id, Invoice.status == InvoiceStatus.OVERDUE)
    planned = 0
    for invoice in session.scalars(overdue.order_by(Invoice.due_date, Invoice.id)).all():
        charge = _charge_of(session, context, invoice)
        live = select(ChargeAttempt.id).where(
            ChargeAttempt.charge_id == charge.id, ChargeAttempt.state.in_(LIVE_ATTEMPT)
        )
        if session.scalar(live):
            continue
        now = context.clock.now()
        session.add(
            ChargeAttempt(
                id=ids.new_id("att"),
                location_id=invoice.location_id,
                charge_id=charge.id,
                payment_method_id=method_id,
                state=AttemptState.PLANNED,
                created_at=now,
                next_check_at=now,
            )
        )
        invoice.status = InvoiceStatus.OPEN
        planned += 1
    return planned


def _charge_of(session: Session, context: Context, invoice: Invoice) -> Charge:
    """The invoice's charge, whose payment object is confirmed again; a new one if nobody could be charged so far."""
    newest = select(Charge).where(Charge.invoice_id == invoice.id).order_by(Charge.generation.desc())
    charge = session.scalars(newest).first()
    if charge is None:
        charge = Charge(
            id=ids.new_id("ch"),
            location_id=invoice.location_id,
            invoice_id=invoice.id,
            generation=1,
            amount_cents=invoice.amount_cents,
            currency=invoice.currency,
            created_at=context.clock.now(),
        )
        session.add(charge)
        session.flush()
    return charge
