"""Retry overdue invoices once with a payment method that has just been authorised.

A new method is the payer's own wish to pay now, so it consumes no step of the recovery. What was planned for the old
method and has not been sent goes to the new one. What was disputed is not tried: a person decides about it.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from connector.billing.agreements.payment_requests import InstantPayment
from connector.billing.clinics import Location
from connector.billing.collecting.charges import AttemptState, Charge, ChargeAttempt, Origin
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import PaymentMethod
from connector.clock import business_date
from connector.use_cases.collection.plan_attempts import plan_again
from connector.use_cases.recovery.recover import left_to_a_person


def retry_overdue(session: Session, location: Location, method: PaymentMethod, now: datetime) -> int:
    """Plan one attempt for each overdue invoice of the method's payer; returns how many. The next run makes them."""
    of_payer = select(Charge.id).join(Invoice, Invoice.id == Charge.invoice_id)
    session.execute(
        update(ChargeAttempt)
        .where(ChargeAttempt.state == AttemptState.PLANNED)
        .where(ChargeAttempt.charge_id.in_(of_payer.where(Invoice.member_id == method.member_id)))
        .values(payment_method_id=method.id)
        .execution_options(synchronize_session=False)
    )
    today = business_date(now, location.zone)
    # What is only asked for by link, e.g. a balance brought forward, waits until its payer accepts it there.
    asked = select(InstantPayment.id).where(InstantPayment.accepted_at.is_(None))
    overdue = select(Invoice).where(
        Invoice.member_id == method.member_id,
        Invoice.status == InvoiceStatus.OVERDUE,
        Invoice.instant_payment_id.is_(None) | Invoice.instant_payment_id.not_in(asked),
        Invoice.id.not_in(left_to_a_person()),
    )
    planned = 0
    for invoice in session.scalars(overdue.order_by(Invoice.due_date, Invoice.id)).all():
        if plan_again(session, location, invoice, method.id, Origin.METHOD, today, now):
            invoice.status = InvoiceStatus.OPEN
            planned += 1
    return planned
