"""Complete a hosted page: the payment method that was saved on it, and what the payer agreed to by saving it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.activity import remember
from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import InstantPayment, PaymentHold
from connector.billing.clinics import Location
from connector.billing.collecting.catch_up import debit_day
from connector.billing.collecting.charges import AttemptState, ChargeAttempt, Origin
from connector.billing.invoices import UNPAID, Invoice, InvoiceStatus
from connector.billing.links import LinkKind, SecureLink, end
from connector.billing.members import Member, MethodKind, PaymentMethod
from connector.billing.offers.plan_changes import PlanChange
from connector.billing.processor import AuthorisedMethod
from connector.clock import business_date
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.use_cases.collection.plan_attempts import plan_again
from connector.use_cases.context import Context
from connector.use_cases.members.enrol_member import activate, keep_method, shelve_method
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.patient_pages.acceptance import is_dearer, shown_amounts, was_revoked
from connector.use_cases.patient_pages.link_subject import link_subject
from connector.use_cases.patient_pages.show_request import plan_page
from connector.use_cases.patient_pages.show_signup import dues
from connector.use_cases.payment_plans.agree_payment_plan import accept_payment_plan
from connector.use_cases.plans.decide_plan_change import accept_plan_change
from connector.use_cases.requests.hold_payment import authorise_hold
from connector.use_cases.requests.request_payment import accept_request

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Completed:
    """A hosted page that was completed."""

    context: Context
    page_id: str
    method: AuthorisedMethod
    now: datetime


def complete_enrolment(context: Context, session_id: str) -> None:
    """Keep the method of this hosted page, and do what the page was for. Repeating changes nothing.

    Behind a link that was revoked meanwhile nothing is done, and the method is never charged.
    """
    completed = context.processor.read_enrolment(session_id)
    if completed is None:
        return
    agreement_id, method = completed
    page = _Completed(context, session_id, method, context.clock.now())
    with context.database.unit_of_work() as session:
        if is_revoked := was_revoked(session, agreement_id, session_id):
            _refuse(session, agreement_id, page)
        else:
            _complete(session, agreement_id, page)
        hold = session.get(PaymentHold, agreement_id)
    if hold is not None and not is_revoked:
        _hold_on(context, hold, method)


def _complete(session: Session, agreement_id: str, page: _Completed) -> None:
    for model, complete in _COMPLETED.items():
        row = session.get(model, agreement_id, with_for_update=True)
        if row is not None:
            complete(session, row, page)
            return


def _refuse(session: Session, agreement_id: str, page: _Completed) -> None:
    member_id = session.scalars(select(SecureLink.member_id).where(SecureLink.subject_id == agreement_id)).first()
    member = session.get_one(Member, member_id, with_for_update=True)
    if _known(session, page.method) is None:
        shelve_method(session, member.id, page.method, page.now)
        remember(session, agreement_id, "Payment Method Refused", page.now, location_id=member.location_id)
        log.warning("enrolment.link_revoked", agreement_id=agreement_id, location_id=member.location_id)


def _contract(session: Session, contract: Contract, page: _Completed) -> None:
    location = session.get_one(Location, contract.location_id)
    if _kept(session, location, contract.member_id, page) is None:
        return
    pending = contract.status is AgreementStatus.PENDING
    if pending and is_dearer(session, contract.id, dues(page.context, session, location, contract)):
        _ask_again(session, contract.id, MessageKind.INVITATION, page)
        return
    activate(session, location, contract, page.now)
    for kind in (LinkKind.SIGNUP, LinkKind.METHOD):
        end(session, kind, contract.id, "consumed", page.now)


def _ask_again(session: Session, agreement_id: str, kind: MessageKind, page: _Completed) -> None:
    """More is due now than the payer has agreed to: they are shown it, and agree or not. Nothing begins before."""
    subject = link_subject(page.context, session, agreement_id)
    queue_message(
        session,
        subject.location,
        kind,
        subject.id,
        f"dearer:{page.page_id}",
        page.now,
        member_id=subject.member_id,
        urgent=True,
        expires_on=business_date(subject.expires_at, subject.location.zone).isoformat(),
    )
    remember(session, subject.id, "Acceptance Outdated", page.now, location_id=subject.location.id)
    log.info("enrolment.dearer_than_accepted", agreement_id=agreement_id)


def _invoice(session: Session, invoice: Invoice, page: _Completed) -> None:
    """The payer wants to pay it now: keeping the method retries what is overdue, and this is due from now on."""
    location = session.get_one(Location, invoice.location_id)
    method_id = _kept(session, location, invoice.member_id, page)
    if method_id is None or invoice.status not in UNPAID:
        return
    is_becs = page.method.kind is MethodKind.BECS
    day = debit_day(business_date(page.now, location.zone), (), location.calendar, is_becs=is_becs)
    if plan_again(session, location, invoice, method_id, Origin.METHOD, day, page.now):
        invoice.status = InvoiceStatus.OPEN


def _request(session: Session, request: InstantPayment, page: _Completed) -> None:
    location = session.get_one(Location, request.location_id)
    method_id = _kept(session, location, request.member_id, page)
    if method_id is None:
        return
    with _agreeing(session, request.id):
        for attempt_id in accept_request(session, location, request, method_id, page.now):
            attempt = session.get_one(ChargeAttempt, attempt_id)
            if attempt.state is AttemptState.PLANNED:
                # The payer has left for good, so the next run makes it without them.
                attempt.origin, attempt.next_check_at = Origin.METHOD, page.now


def _payment_plan(session: Session, plan: PaymentPlan, page: _Completed) -> None:
    location = session.get_one(Location, plan.location_id)
    if _kept(session, location, plan.member_id, page) is None:
        return
    end(session, LinkKind.METHOD, plan.id, "consumed", page.now)
    shown, present = shown_amounts(session, plan.id, page.page_id), plan_page(page.context, session, location, plan)
    if shown and present and present.amounts != shown:
        _ask_again(session, plan.id, MessageKind.NEW_LINK, page)
        return
    with _agreeing(session, plan.id):
        plan = session.get_one(PaymentPlan, plan.id, with_for_update=True)
        accept_payment_plan(session, location, plan, page.now)


def _hold(session: Session, hold: PaymentHold, page: _Completed) -> None:
    keep_method(session, session.get_one(Location, hold.location_id), hold.member_id, page.method, page.now)


def _hold_on(context: Context, hold: PaymentHold, method: AuthorisedMethod) -> None:
    """Ask the card's bank, after the method is kept. A bank account holds nothing, so the request goes on waiting."""
    with context.database.read() as session:
        method_id = _known(session, method)
    try:
        authorise_hold(context, hold.id, method_id or "")
    except DomainError as refusal:
        log.info("enrolment.method_only", agreement_id=hold.id, reason=str(refusal))


def _change(session: Session, change: PlanChange, page: _Completed) -> None:
    contract = session.get_one(Contract, session.get_one(Cover, change.cover_id).contract_id)
    location = session.get_one(Location, contract.location_id)
    if _kept(session, location, contract.member_id, page) is not None:
        with _agreeing(session, change.id):
            accept_plan_change(session, change.id, page.now)
            end(session, LinkKind.PLAN_CHANGE, change.id, "consumed", page.now)


def _kept(session: Session, location: Location, member_id: str, page: _Completed) -> str | None:
    """The id under which the method is kept from now on; None when it was kept before, so all is done."""
    if _known(session, page.method) is not None:
        return None
    keep_method(session, location, member_id, page.method, page.now)
    session.flush()
    return _known(session, page.method)


def _known(session: Session, method: AuthorisedMethod) -> str | None:
    return session.scalar(select(PaymentMethod.id).where(PaymentMethod.processor_id == method.processor_id))


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
