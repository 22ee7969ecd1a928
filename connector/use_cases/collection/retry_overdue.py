"""Retry overdue invoices once with a payment method that has just been authorised.

A new method is the payer's own wish to pay now, so it consumes no step of the recovery. What was planned for the old
method and has not been sent goes to the new one. What was disputed is not tried: a person decides about it. What a
cancelled agreement still owes is paid through its own link.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import InstantPayment
from connector.billing.clinics import Location
from connector.billing.collecting.catch_up import debit_day
from connector.billing.collecting.charges import AttemptState, Charge, ChargeAttempt, Origin
from connector.billing.invoices import Invoice, InvoiceKind, InvoiceStatus
from connector.billing.members import MethodKind, PaymentMethod
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
    day = debit_day(today, (), location.calendar, is_becs=method.kind is MethodKind.BECS)
    planned = 0
    for invoice in session.scalars(overdue_of(method.member_id)).all():
        if plan_again(session, location, invoice, method.id, Origin.METHOD, day, now):
            invoice.status = InvoiceStatus.OPEN
            planned += 1
    return planned


def overdue_of(member_id: str) -> Select[Invoice]:
    """What another payment method of that payer is charged with at once, the oldest first."""
    # What is only asked for by link, e.g. a balance brought forward, waits until its payer accepts it there.
    asked = select(InstantPayment.id).where(InstantPayment.accepted_at.is_(None))
    overdue = select(Invoice).where(
        Invoice.member_id == member_id,
        Invoice.status == InvoiceStatus.OVERDUE,
        Invoice.instant_payment_id.is_(None) | Invoice.instant_payment_id.not_in(asked),
        Invoice.id.not_in(left_to_a_person()),
        Invoice.id.not_in(of_agreements_that_are(AgreementStatus.CANCELLED)),
    )
    return overdue.order_by(Invoice.due_date, Invoice.id)


def of_agreements_that_are(*statuses: AgreementStatus) -> Select[str]:
    """Ids of what memberships and payment plans of these statuses ask for; what is owed for leaving counts as due."""
    contracts = select(Contract.id).where(Contract.status.in_(statuses))
    plans = select(PaymentPlan.id).where(PaymentPlan.status.in_(statuses))
    return select(Invoice.id).where(
        (Invoice.contract_id.in_(contracts) & (Invoice.kind != InvoiceKind.EXIT)) | Invoice.payment_plan_id.in_(plans)
    )
