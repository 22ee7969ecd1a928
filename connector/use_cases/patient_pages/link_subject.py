"""What a link is about: who is to do what until when, and what saving a payment method for it authorises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.agreements.hold_rules import OPEN_REQUEST
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import InstantPayment, PaymentHold, RequestStatus
from connector.billing.clinics import Location
from connector.billing.documents.wording import date_text, money_text
from connector.billing.invoices import UNPAID, Invoice, InvoiceStatus
from connector.billing.links import LinkKind
from connector.billing.offers.plan_changes import PlanChange, PlanChangeStatus
from connector.clock import business_date, day_bounds
from connector.errors import DomainError
from connector.use_cases.context import Context
from connector.use_cases.patient_pages.paid_besides import besides_text, paid_besides
from connector.use_cases.patient_pages.show_method import RUNNING
from connector.use_cases.patient_pages.show_plan_change import change_page
from connector.use_cases.patient_pages.show_request import plan_page
from connector.use_cases.patient_pages.show_signup import SIGNABLE, dues


@dataclass(frozen=True, slots=True)
class LinkSubject:
    """Something that waits for a payer."""

    kind: LinkKind
    id: str
    member_id: str
    """The payer."""
    location: Location
    currency: str
    expires_at: datetime
    promise: str
    """What the payer authorises by saving a payment method for it, in a few sentences; empty where nothing is paid."""


def link_subject(context: Context, session: Session, subject_id: str) -> LinkSubject:
    """The contract, invoice, request, payment plan, hold or change of that id.

    Raises DomainError when there is none, or when it waits for nobody.
    """
    for model, describe in _DESCRIBED.items():
        row = session.get(model, subject_id)
        if row is not None:
            found: LinkSubject | None = describe(context, session, row)
            if found is None or found.expires_at <= context.clock.now():
                raise DomainError(f"{subject_id} does not wait for the payer any more, so there is no link for it.")
            own = "" if found.kind is LinkKind.METHOD else found.id
            others = paid_besides(session, found.member_id, own) if found.promise else ()
            return replace(found, promise=found.promise + besides_text(others))
    raise DomainError(f"There is nothing with the id {subject_id!r}: check it, and copy it as a whole.")


def _contract(context: Context, session: Session, contract: Contract) -> LinkSubject | None:
    if contract.status in RUNNING:
        return _another_method(context, session, contract)
    if contract.status not in SIGNABLE:
        return None
    location = session.get_one(Location, contract.location_id)
    found = dues(context, session, location, contract)
    first = "now" if found.is_today else f"on {date_text(found.first_due)}"
    ends = f", and {money_text(found.afterwards)} from {date_text(found.afterwards_due)}" if found.changes else ""
    promise = (
        f"You join {_practice(location)} and authorise it to collect {money_text(found.first)} {first} and then "
        f"{money_text(found.later)} {found.frequency} from {date_text(found.later_due)}{ends} until you cancel."
    )
    until = context.clock.now() + timedelta(days=location.policy.signup_link_days)
    return LinkSubject(LinkKind.SIGNUP, contract.id, contract.member_id, location, contract.currency, until, promise)


def _another_method(context: Context, session: Session, agreement: Contract | PaymentPlan) -> LinkSubject:
    location = session.get_one(Location, agreement.location_id)
    what = "membership" if isinstance(agreement, Contract) else "payment plan"
    promise = f"{_practice(location)} will collect with this method what falls due from now on under your {what}."
    until = context.clock.now() + timedelta(days=location.policy.invoice_link_days)
    return LinkSubject(LinkKind.METHOD, agreement.id, agreement.member_id, location, agreement.currency, until, promise)


def _invoice(context: Context, session: Session, invoice: Invoice) -> LinkSubject | None:
    if invoice.status is InvoiceStatus.COMPLETED:
        return _paid_invoice(context, session, invoice)
    if invoice.status not in UNPAID:
        return None
    location = session.get_one(Location, invoice.location_id)
    overdue = invoice.status is InvoiceStatus.OVERDUE
    days = location.policy.overdue_link_days if overdue else location.policy.invoice_link_days
    promise = (
        f"{_practice(location)} will collect {money_text(invoice.amount)}, due {date_text(invoice.due_date)}, "
        "with this method, and what falls due later under your agreement."
    )
    kind = LinkKind.OVERDUE if overdue else LinkKind.INVOICE
    until = context.clock.now() + timedelta(days=days)
    return LinkSubject(kind, invoice.id, invoice.member_id, location, invoice.currency, until, promise)


def _paid_invoice(context: Context, session: Session, invoice: Invoice) -> LinkSubject:
    """To be seen only, and so never on a page of the processor."""
    if not context.public_url:
        raise DomainError(
            f"The invoice {invoice.id} is paid, and there are no pages of yours to show it on: give the payer the file "
            f"of `connector invoices pdf {invoice.id}`, or set CONNECTOR_LINKS__PUBLIC_URL."
        )
    location = session.get_one(Location, invoice.location_id)
    until = context.clock.now() + timedelta(days=location.policy.invoice_link_days)
    return LinkSubject(LinkKind.RECEIPT, invoice.id, invoice.member_id, location, invoice.currency, until, "")


def _request(_context: Context, session: Session, request: InstantPayment) -> LinkSubject | None:
    if request.status is not RequestStatus.ACTIVE:
        return None
    location = session.get_one(Location, request.location_id)
    query = select(Invoice).where(Invoice.instant_payment_id == request.id, Invoice.status.in_(UNPAID))
    parts = [
        f"{money_text(part.amount)} due {date_text(part.due_date)}"
        for part in session.scalars(query.order_by(Invoice.due_date, Invoice.period))
    ]
    if not parts:
        return None
    promise = f"{_practice(location)} will collect with this method: {'; '.join(parts)}."
    return LinkSubject(
        LinkKind.PAYMENT, request.id, request.member_id, location, location.currency, request.expires_at, promise
    )


def _payment_plan(context: Context, session: Session, plan: PaymentPlan) -> LinkSubject | None:
    if plan.status in RUNNING:
        return _another_method(context, session, plan)
    location = session.get_one(Location, plan.location_id)
    shown = plan_page(context, session, location, plan)
    if shown is None:
        return None
    schedule = list(shown.schedule)
    today = business_date(context.clock.now(), location.zone)
    upfront = f"{money_text(schedule.pop(0).amount)} now, and then " if len(schedule) > plan.instalment_count else ""
    promise = (
        f"{_practice(location)} will collect with this method: {upfront}{len(schedule)} {plan.frequency} instalments "
        f"of {money_text(schedule[0].amount)} (the last one {money_text(schedule[-1].amount)}) from "
        f"{date_text(schedule[0].due)} to {date_text(schedule[-1].due)}."
    )
    until = day_bounds(max(plan.anchor, today) + timedelta(days=location.policy.payment_link_days), location.zone)[1]
    return LinkSubject(LinkKind.PAYMENT, plan.id, plan.member_id, location, plan.currency, until, promise)


def _hold(_context: Context, session: Session, hold: PaymentHold) -> LinkSubject | None:
    if hold.status not in OPEN_REQUEST:
        return None
    location = session.get_one(Location, hold.location_id)
    promise = (
        f"{_practice(location)} will set aside {money_text(hold.amount)} on your card and may take up to that amount. "
        "Please use a card: nothing can be set aside on a bank account."
    )
    return LinkSubject(LinkKind.PAYMENT, hold.id, hold.member_id, location, hold.currency, hold.expires_at, promise)


def _change(context: Context, session: Session, change: PlanChange) -> LinkSubject | None:
    if change.status is not PlanChangeStatus.OFFERED:
        return None
    cover = session.get_one(Cover, change.cover_id)
    contract = session.get_one(Contract, cover.contract_id)
    location = session.get_one(Location, contract.location_id)
    page = change_page(context, session, location, change)
    if page is None:
        return None
    promise = (
        f"You accept the change of plan that {_practice(location)} has told you of: your payment changes from "
        f"{money_text(page.debit_now)} to {money_text(page.debit_then)} {contract.frequency} with the first one due on "
        f"or after {date_text(change.effective_on)}."
    )
    until = day_bounds(change.effective_on, location.zone)[1]
    return LinkSubject(LinkKind.PLAN_CHANGE, change.id, contract.member_id, location, contract.currency, until, promise)


def _practice(location: Location) -> str:
    return location.trading_name or location.name


_DESCRIBED: dict[type, Callable[..., LinkSubject | None]] = {
    Contract: _contract,
    Invoice: _invoice,
    InstantPayment: _request,
    PaymentPlan: _payment_plan,
    PaymentHold: _hold,
    PlanChange: _change,
}
