"""Pay an instant payment with the payer present: what is due by today at once, the later amounts on their days."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.payment_requests import InstantPayment, RequestStatus
from connector.billing.clinics import Location
from connector.billing.collecting.charges import AttemptState, Origin
from connector.billing.invoices import UNPAID
from connector.billing.members import PaymentMethod
from connector.errors import DomainError, EdgeError
from connector.use_cases.collection.collect_charge import collect_charge
from connector.use_cases.collection.plan_attempts import withdraw
from connector.use_cases.context import Context
from connector.use_cases.invoices.lock_invoice import lock_invoices
from connector.use_cases.patient_pages.pay_invoice import (
    UNREACHABLE,
    Paid,
    PayOutcome,
    look_at_bank,
    outcome_of,
)
from connector.use_cases.patient_pages.refusals import NO_METHOD, PayerRefusal
from connector.use_cases.patient_pages.show_invoice import live_attempt
from connector.use_cases.practice.location_settings import require_active
from connector.use_cases.requests.request_payment import accept_request, invoices_of


def pay_request(context: Context, request_id: str, return_url: str) -> PayOutcome:
    """Agree to the whole request with the method on file, and charge what is due now.

    Of two requests at once one pays; the other is told so. Raises DomainError without a payment method, and while the
    location takes no payments.
    """
    with context.database.read() as session:
        invoice_ids = [invoice.id for invoice in invoices_of(session, request_id)]
    for invoice_id in invoice_ids:
        look_at_bank(context, invoice_id)
    with context.database.unit_of_work() as session:
        attempts = _begin(session, context, request_id)
    if isinstance(attempts, PayOutcome):
        return attempts
    return _collect(context, attempts, invoice_ids, return_url)


def _begin(session: Session, context: Context, request_id: str) -> list[str] | PayOutcome:
    """The attempts that are made right now; an outcome when another page of the payer makes, or made, them already."""
    now = context.clock.now()
    request = session.get_one(InstantPayment, request_id, with_for_update=True)
    location = session.get_one(Location, request.location_id)
    require_active(location)
    if request.status is not RequestStatus.ACTIVE:
        return PayOutcome(Paid.ALREADY if request.status is RequestStatus.COMPLETED else Paid.OVER)
    asked = invoices_of(session, request_id)
    lock_invoices(session, asked)
    invoices = [invoice for invoice in asked if invoice.status in UNPAID]
    waiting = [attempt for invoice in invoices if (attempt := live_attempt(session, invoice.id))]
    if any(attempt.origin is Origin.PAYER or attempt.state is not AttemptState.PLANNED for attempt in waiting):
        return PayOutcome(Paid.ELSEWHERE)
    usable = select(PaymentMethod.id).where(
        PaymentMethod.member_id == request.member_id, PaymentMethod.usable.is_(True)
    )
    method_id = session.scalars(usable).first()
    if method_id is None:
        raise PayerRefusal(NO_METHOD)
    for invoice in invoices:
        withdraw(session, invoice.id, now)
    return accept_request(session, location, request, method_id, now)


def _collect(context: Context, attempts: Sequence[str], invoice_ids: Sequence[str], return_url: str) -> PayOutcome:
    """Make them one after the other, up to the first that does not go through; what is left over is called off."""
    found = PayOutcome(Paid.YES)
    for attempt_id in attempts:
        try:
            outcome = outcome_of(collect_charge(context, attempt_id, return_url))
        except (DomainError, EdgeError):
            outcome = PayOutcome(Paid.NO, UNREACHABLE)
        if outcome.paid is not Paid.YES:
            found = outcome
        if outcome.paid in (Paid.NO, Paid.AT_BANK):
            break
    with context.database.unit_of_work() as session:
        called_off = [withdraw(session, invoice_id, context.clock.now()) for invoice_id in invoice_ids]
    # What may have been sent without an answer is not to be paid a second time.
    return PayOutcome(Paid.SOON) if found.text == UNREACHABLE and not all(called_off) else found
