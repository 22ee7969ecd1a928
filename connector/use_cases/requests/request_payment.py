"""Instant payments: ask for one or several amounts by link, and collect them once the payer has given a method.

Nothing is charged before the payer acts; what is due later is charged on its day with the method that they gave.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import CONNECTOR, remember
from connector.billing.agreements.asking import askable_day, chargeable, described
from connector.billing.agreements.payment_requests import InstantPayment, RequestStatus
from connector.billing.clinics import Location
from connector.billing.collecting.catch_up import debit_day
from connector.billing.collecting.charges import LIVE_ATTEMPT, Charge, ChargeAttempt, Origin
from connector.billing.invoices import UNPAID, Invoice, InvoiceKind, InvoiceStatus
from connector.billing.links import LinkKind, end
from connector.billing.members import MethodKind, PaymentMethod
from connector.billing.offers.plan_terms import TaxCode
from connector.billing.prices.pricing import LineKind, PricedLine
from connector.clock import business_date
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.money import Money
from connector.use_cases.collection.plan_attempts import payers, plan_again
from connector.use_cases.context import Context
from connector.use_cases.invoices.give_up_unpaid import give_up_unpaid, money_under_way
from connector.use_cases.invoices.issue import Draft, issue
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.payment_plans.agree_payment_plan import payer_and_location
from connector.use_cases.recovery.recover import begin_recovery

PARTS_MAX = 24


def request_payment(
    context: Context, member_id: str, parts: Sequence[tuple[Money, date | None]], actor: str, description: str = ""
) -> str:
    """Ask a member for these amounts, each due on its day or today; returns the id of the request.

    Raises DomainError for amounts that cannot be charged and days that cannot be meant.
    """
    now, description = context.clock.now(), described(description)
    with context.database.unit_of_work() as session:
        member, location = payer_and_location(session, member_id)
        today = business_date(now, location.zone)
        if not 1 <= len(parts) <= PARTS_MAX:
            raise DomainError(f"A request has 1 to {PARTS_MAX} amounts, not {len(parts)}.")
        asked = sorted(
            [(askable_day("A due date", day or today, today), chargeable("An amount", cents)) for cents, day in parts],
            key=lambda part: part[0],
        )
        ends = asked[-1][0] + timedelta(days=location.policy.payment_link_days)
        request = InstantPayment(
            id=ids.new_id("ip"),
            location_id=location.id,
            member_id=member.id,
            description=description,
            status=RequestStatus.ACTIVE,
            expires_at=now + (ends - today),
            created_at=now,
        )
        session.add(request)
        session.flush()
        drafts = [_draft(request, number, day, amount) for number, (day, amount) in enumerate(asked, start=1)]
        issued = issue(session, location, drafts, now, context.tiers)
        remember(session, request.id, "Payment Requested", now, location_id=location.id, actor=actor)
        queue_message(
            session,
            location,
            MessageKind.PAYMENT_REQUEST,
            request.id,
            "requested",
            now,
            member_id=member.id,
            urgent=True,
            is_plan=False,
            amount_cents=sum(item.draft.total.cents for item in issued),
            due_on=asked[0][0].isoformat(),
            expires_on=ends.isoformat(),
        )
    return request.id


def accept_request(
    session: Session, location: Location, request: InstantPayment, payer_method_id: str, now: datetime
) -> list[str]:
    """The payer gives this method for the request, in the caller's unit of work; returns the attempts to make now.

    They are for what is due today or earlier; `charge_due_requests` takes care of the rest. Accepting again, e.g.
    with another card, only concerns what is still unpaid. Raises DomainError when nothing can be paid any more.
    """
    if request.status is not RequestStatus.ACTIVE or (request.accepted_at is None and request.expires_at <= now):
        raise DomainError("This payment request is over: ask the practice for a new one.")
    method = session.get(PaymentMethod, payer_method_id)
    if method is None or method.member_id != request.member_id or not method.usable:
        raise DomainError("This payment method cannot be charged: give another one.")
    if request.accepted_at is None:
        request.accepted_at = now
        remember(session, request.id, "Payment Request Accepted", now, location_id=location.id)
    today, paid_now = business_date(now, location.zone), []
    for invoice in invoices_of(session, request.id):
        if invoice.status in UNPAID and invoice.due_date <= today:
            if plan_again(session, location, invoice, method.id, Origin.PAYER, today, now):
                invoice.status = InvoiceStatus.OPEN
            paid_now.append(invoice.id)
    end(session, LinkKind.PAYMENT, request.id, "accepted", now)
    return _live_attempts(session, paid_now)


def charge_due_requests(session: Session, location: Location, today: date, now: datetime) -> int:
    """Plan the charges of accepted requests that have fallen due, in the caller's unit of work; returns how many."""
    query = (
        select(Invoice)
        .join(InstantPayment, InstantPayment.id == Invoice.instant_payment_id)
        .where(InstantPayment.location_id == location.id, InstantPayment.status == RequestStatus.ACTIVE)
        .where(InstantPayment.accepted_at.is_not(None))
        .where(Invoice.status == InvoiceStatus.OPEN, Invoice.due_date <= today)
        .order_by(Invoice.due_date, Invoice.number)
        .with_for_update(skip_locked=True, of=Invoice)
    )
    due = session.scalars(query).all()
    paying, planned = payers(session, {invoice.member_id for invoice in due}), 0
    for invoice in due:
        payer = paying.get(invoice.member_id)
        if payer is None:
            invoice.status = InvoiceStatus.OVERDUE
            begin_recovery(session, location, invoice.id, today)
            continue
        day = debit_day(today, (), location.calendar, is_becs=payer.kind is MethodKind.BECS)
        planned += plan_again(session, location, invoice, payer.method_id, Origin.SCHEDULE, day, now)
    return planned


def expire_requests(session: Session, location: Location, today: date, now: datetime) -> int:
    """End the requests that nobody accepted in time, in the caller's unit of work; returns how many.

    Their unpaid invoices expire with them. One that somebody is paying right now is left until that has ended.
    """
    lapsed = select(InstantPayment).where(
        InstantPayment.location_id == location.id,
        InstantPayment.status == RequestStatus.ACTIVE,
        InstantPayment.accepted_at.is_(None),
        InstantPayment.expires_at <= now,
    )
    expired = 0
    for request in session.scalars(lapsed.with_for_update(skip_locked=True)).all():
        invoices = invoices_of(session, request.id)
        if money_under_way(session, invoices):
            continue
        give_up_unpaid(session, invoices, InvoiceStatus.EXPIRED, today, now)
        _close(session, request, RequestStatus.EXPIRED, CONNECTOR, now)
        expired += 1
    return expired


def cancel_request(context: Context, request_id: str, actor: str) -> int:
    """Ask for it no longer and give up its unpaid invoices; returns how many.

    Raises DomainError when it is over, or while a payment is under way.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        request = session.get(InstantPayment, request_id, with_for_update=True)
        if request is None:
            raise DomainError(
                f"There is no payment request {request_id!r}: see `connector payment-requests list --location SLUG`."
            )
        if request.status is not RequestStatus.ACTIVE:
            raise DomainError(f"The payment request {request_id} is {request.status.value} already.")
        invoices = invoices_of(session, request_id)
        if busy := money_under_way(session, invoices):
            raise DomainError(f"A payment of invoice {busy.number} is under way: cancel the request once it has ended.")
        location = session.get_one(Location, request.location_id)
        voided = give_up_unpaid(session, invoices, InvoiceStatus.CANCELLED, business_date(now, location.zone), now)
        _close(session, request, RequestStatus.CANCELLED, actor, now)
    return voided


def invoices_of(session: Session, request_id: str) -> Sequence[Invoice]:
    """The invoices of a request, by due date."""
    return session.scalars(
        select(Invoice).where(Invoice.instant_payment_id == request_id).order_by(Invoice.period)
    ).all()


def _draft(request: InstantPayment, number: int, day: date, amount: Money) -> Draft:
    line = PricedLine(LineKind.INSTANT, request.member_id, request.description or "Payment", amount, TaxCode.GST_FREE)
    return Draft(InvoiceKind.INSTANT, request.member_id, ("instant_payment_id", request.id), number, day, (line,))


def _close(session: Session, request: InstantPayment, status: RequestStatus, actor: str, now: datetime) -> None:
    request.status = status
    end(session, LinkKind.PAYMENT, request.id, status.value, now)
    action = f"Payment Request {status.value.title()}"
    remember(session, request.id, action, now, location_id=request.location_id, actor=actor)


def _live_attempts(session: Session, invoice_ids: Sequence[str]) -> list[str]:
    query = (
        select(ChargeAttempt.id)
        .join(Charge, Charge.id == ChargeAttempt.charge_id)
        .join(Invoice, Invoice.id == Charge.invoice_id)
        .where(Invoice.id.in_(invoice_ids), ChargeAttempt.state.in_(LIVE_ATTEMPT))
    )
    return list(session.scalars(query.order_by(Invoice.period)))
