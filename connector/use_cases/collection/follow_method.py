"""Follow what becomes of a payment method at the processor: its mandate ends, it is removed, or its card is renewed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from connector.billing.activity import remember
from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.clinics import Location
from connector.billing.collecting.charges import Charge, ChargeAttempt, Origin
from connector.billing.collecting.declines import DeclineClass
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import Member, PaymentMethod
from connector.billing.processor import AuthorisedMethod
from connector.clock import business_date
from connector.use_cases.collection.collect_charge import METHOD_GONE
from connector.use_cases.collection.plan_attempts import plan_again
from connector.use_cases.collection.retry_overdue import of_agreements_that_are
from connector.use_cases.context import Context
from connector.use_cases.recovery.heed_failure import stop_charging, verdict_of
from connector.use_cases.recovery.recover import left_to_a_person

MANDATE_ENDED = "mandate_ended"
"""Our code for a bank account that its owner, or the bank, does not let us debit any more."""


def follow_mandate(context: Context, mandate_id: str) -> None:
    """Stop charging to a bank account whose mandate has ended; one that stands changes nothing.

    What is planned with it fails here when its time comes, so that the payer is asked for another.
    """
    with context.database.read() as session:
        known = session.scalar(select(PaymentMethod.id).where(_live(PaymentMethod.mandate_id == mandate_id)))
    if known is None or context.processor.mandate_active(mandate_id):
        return
    live = select(PaymentMethod).where(_live(PaymentMethod.mandate_id == mandate_id))
    with context.database.unit_of_work() as session:
        for method in session.scalars(live.with_for_update()):
            stop_charging(session, _location_of(session, method), method, MANDATE_ENDED, context.clock.now())


def follow_method(context: Context, processor_id: str) -> None:
    """Take over a renewed card's digits and expiry, and stop charging to a method that was removed."""
    with context.database.read() as session:
        known = session.scalar(select(PaymentMethod.id).where(_live(PaymentMethod.processor_id == processor_id)))
    if known is None:
        return
    shown = context.processor.read_method(processor_id)
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        # Locked, so that of two who hear of it at once the second finds it followed (PostgreSQL).
        method = session.get_one(PaymentMethod, known, with_for_update=True)
        if shown is None:
            stop_charging(session, _location_of(session, method), method, METHOD_GONE, now)
        elif _renew(method, shown):
            remember(session, method.member_id, "Payment Method Updated", now, kind=method.kind.value)
            _try_again(session, method, now)


def _live(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return condition & PaymentMethod.usable.is_(True)


def _location_of(session: Session, method: PaymentMethod) -> Location:
    return session.get_one(Location, session.get_one(Member, method.member_id).location_id)


def _renew(method: PaymentMethod, shown: AuthorisedMethod) -> bool:
    """Whether anything differs from what is shown now, which is taken over."""
    before = (method.last4, method.brand, method.expiry_month, method.expiry_year, method.fingerprint)
    after = (shown.last4, shown.brand, shown.exp_month, shown.exp_year, shown.fingerprint)
    method.last4, method.brand, method.expiry_month, method.expiry_year, method.fingerprint = after
    return before != after


def _try_again(session: Session, method: PaymentMethod, now: datetime) -> None:
    """What was declined for the old card's details is tried once more with the new ones; no step of the recovery.

    The payer has done nothing, so a pause stays a pause, and what is cancelled is not tried.
    """
    location = _location_of(session, method)
    today = business_date(now, location.zone)
    overdue = select(Invoice).where(
        Invoice.member_id == method.member_id,
        Invoice.status == InvoiceStatus.OVERDUE,
        Invoice.id.not_in(left_to_a_person()),
        Invoice.id.not_in(of_agreements_that_are(AgreementStatus.SUSPENDED, AgreementStatus.CANCELLED)),
    )
    for invoice in session.scalars(overdue.order_by(Invoice.due_date, Invoice.id)).all():
        if not _asked_for_details(session, invoice, method):
            continue
        if plan_again(session, location, invoice, method.id, Origin.METHOD, today, now):
            invoice.status = InvoiceStatus.OPEN


def _asked_for_details(session: Session, invoice: Invoice, method: PaymentMethod) -> bool:
    """Whether the invoice's latest attempt was made with this card and refused for its details."""
    newest = session.scalars(
        select(ChargeAttempt)
        .join(Charge, Charge.id == ChargeAttempt.charge_id)
        .where(Charge.invoice_id == invoice.id)
        .order_by(ChargeAttempt.created_at.desc(), ChargeAttempt.id.desc())
        .limit(1)
    ).first()
    if newest is None or newest.payment_method_id != method.id or newest.failure_code is None:
        return False
    return verdict_of(newest, method.kind).decline_class is DeclineClass.NEW_DETAILS
