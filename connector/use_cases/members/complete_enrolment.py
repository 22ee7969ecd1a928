"""Complete a hosted page: the payment method that was saved on it, and what the payer agreed to by saving it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import InstantPayment, PaymentHold
from connector.billing.clinics import Location
from connector.billing.collecting.charges import AttemptState, ChargeAttempt, Origin
from connector.billing.invoices import UNPAID, Invoice
from connector.billing.links import LinkKind, end
from connector.billing.members import PaymentMethod
from connector.billing.offers.plan_changes import PlanChange
from connector.billing.processor import AuthorisedMethod
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.collection.plan_attempts import plan_again
from connector.use_cases.context import Context
from connector.use_cases.members.enrol_member import activate, keep_method
from connector.use_cases.payment_plans.agree_payment_plan import accept_payment_plan
from connector.use_cases.plans.decide_plan_change import accept_plan_change
from connector.use_cases.requests.hold_payment import authorise_hold
from connector.use_cases.requests.request_payment import accept_request

log = structlog.get_logger()


def complete_enrolment(context: Context, session_id: str) -> None:
    """Keep the method of this hosted page, and do what the page was for. Repeating changes nothing."""
    completed = context.processor.read_enrolment(session_id)
    if completed is None:
        return
    agreement_id, method = completed
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        for model, complete in _COMPLETED.items():
            row = session.get(model, agreement_id, with_for_update=True)
            if row is not None:
                complete(session, row, method, now)
                break
        hold = session.get(PaymentHold, agreement_id)
    if hold is not None:
        _hold_on(context, hold, method)


def _contract(session: Session, contract: Contract, method: AuthorisedMethod, now: datetime) -> None:
    location = session.get_one(Location, contract.location_id)
    keep_method(session, location, contract.member_id, method, now)
    activate(session, location, contract, now)
    end(session, LinkKind.SIGNUP, contract.id, "consumed", now)


def _invoice(session: Session, invoice: Invoice, method: AuthorisedMethod, now: datetime) -> None:
    """The payer wants to pay it now: keeping the method retries what is overdue, and this is due from now on."""
    location = session.get_one(Location, invoice.location_id)
    method_id = _kept(session, location, invoice.member_id, method, now)
    if method_id is not None and invoice.status in UNPAID:
        plan_again(session, location, invoice, method_id, Origin.METHOD, business_date(now, location.zone), now)


def _request(session: Session, request: InstantPayment, method: AuthorisedMethod, now: datetime) -> None:
    location = session.get_one(Location, request.location_id)
    method_id = _kept(session, location, request.member_id, method, now)
    if method_id is None:
        return
    with _agreeing(session, request.id):
        for attempt_id in accept_request(session, location, request, method_id, now):
            attempt = session.get_one(ChargeAttempt, attempt_id)
            if attempt.state is AttemptState.PLANNED:
                # The payer has left for good, so the next run makes it without them.
                attempt.origin, attempt.next_check_at = Origin.METHOD, now


def _payment_plan(session: Session, plan: PaymentPlan, method: AuthorisedMethod, now: datetime) -> None:
    location = session.get_one(Location, plan.location_id)
    if _kept(session, location, plan.member_id, method, now) is not None:
        with _agreeing(session, plan.id):
            accept_payment_plan(session, location, plan, now)


def _hold(session: Session, hold: PaymentHold, method: AuthorisedMethod, now: datetime) -> None:
    keep_method(session, session.get_one(Location, hold.location_id), hold.member_id, method, now)


def _hold_on(context: Context, hold: PaymentHold, method: AuthorisedMethod) -> None:
    """Ask the card's bank, after the method is kept. A bank account holds nothing, so the request goes on waiting."""
    with context.database.read() as session:
        method_id = session.scalar(select(PaymentMethod.id).where(PaymentMethod.processor_id == method.processor_id))
    try:
        authorise_hold(context, hold.id, method_id or "")
    except DomainError as refusal:
        log.info("enrolment.method_only", agreement_id=hold.id, reason=str(refusal))


def _change(session: Session, change: PlanChange, method: AuthorisedMethod, now: datetime) -> None:
    contract = session.get_one(Contract, session.get_one(Cover, change.cover_id).contract_id)
    location = session.get_one(Location, contract.location_id)
    if _kept(session, location, contract.member_id, method, now) is not None:
        with _agreeing(session, change.id):
            accept_plan_change(session, change.id, now)
            end(session, LinkKind.PLAN_CHANGE, change.id, "consumed", now)


def _kept(session: Session, location: Location, member_id: str, method: AuthorisedMethod, now: datetime) -> str | None:
    """The id under which the method is kept from now on; None when it was kept before, so all is done."""
    known = select(PaymentMethod.id).where(PaymentMethod.processor_id == method.processor_id)
    if session.scalar(known) is not None:
        return None
    keep_method(session, location, member_id, method, now)
    session.flush()
    return session.scalars(known).one()


@contextmanager
def _agreeing(session: Session, agreement_id: str) -> Iterator[None]:
    """The method is kept even when what it was given for is over meanwhile."""
    try:
        with session.begin_nested():
            yield
    except DomainError as refusal:
        log.info("enrolment.method_only", agreement_id=agreement_id, reason=str(refusal))


_COMPLETED: dict[type, Callable[..., None]] = {
    Contract: _contract,
    Invoice: _invoice,
    InstantPayment: _request,
    PaymentPlan: _payment_plan,
    PaymentHold: _hold,
    PlanChange: _change,
}
