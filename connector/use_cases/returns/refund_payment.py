"""Refund a payment through Stripe because a person asked for it.

What was asked for is committed before Stripe hears of it, and its id is the key of the call and stands beside the
refund, so that it is given once whatever becomes of the answer.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import select

from connector.billing.collecting.charges import Payment, RefundRequest, RefundState, ReturnKind
from connector.billing.processor import ReturnReport
from connector.errors import EdgeError, Rejected
from connector.money import Money
from connector.use_cases.collection.collect_charge import KEYS_LAST
from connector.use_cases.collection.put_off import ASK_AGAIN_AFTER
from connector.use_cases.containment import attempted
from connector.use_cases.context import Context
from connector.use_cases.continuity.require_current import require_current
from connector.use_cases.returns.record_return import apply_return
from connector.use_cases.returns.refundable import (
    OPEN_REQUEST,
    check_refund,
    find_payment,
    new_request,
    remember_refund,
)

log = structlog.get_logger()

PENDING_CHECK_AFTER = timedelta(days=1)


def refund_payment(context: Context, payment_id: str, amount: Money, reason: str, actor: str) -> RefundRequest:
    """Ask Stripe to give so much of the payment back; returns the request with what is known of it now.

    Raises DomainError when it may not be asked, and EdgeError when there is no clear answer: `work_refunds` goes on.
    """
    require_current(context)
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        payment = find_payment(session, payment_id, lock=True)
        check_refund(session, payment, amount, now)
        request = new_request(payment, amount, RefundState.REQUESTED, reason, actor, now)
        session.add(request)
        remember_refund(session, payment, "Refund Requested", request, now)
    _ask(context, request.id)
    with context.database.read() as session:
        return session.get_one(RefundRequest, request.id)


def work_refunds(context: Context) -> list[str]:
    """Ask again for refunds without a clear answer, and look at those under way; returns what is wrong at Stripe."""
    due = select(RefundRequest.id).where(
        RefundRequest.state.in_(OPEN_REQUEST), RefundRequest.next_check_at <= context.clock.now()
    )
    with context.database.read() as session:
        requests = session.scalars(due.order_by(RefundRequest.next_check_at, RefundRequest.id)).all()
    problems: list[str] = []
    for request_id in requests:
        ask, failure = partial(_ask, context, request_id), f"The refund {request_id} cannot be followed"
        try:
            attempted(ask, problems.append, failure, request_id=request_id)
        except EdgeError as error:
            # The others would meet the same, and are first in the next run.
            return [*problems, str(error)]
    return problems


def _ask(context: Context, request_id: str) -> None:
    """Take one request as far as it goes now."""
    require_current(context)
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        request = session.get_one(RefundRequest, request_id, with_for_update=True)
        if request.state not in OPEN_REQUEST:
            return
        again = ASK_AGAIN_AFTER if request.state is RefundState.REQUESTED else PENDING_CHECK_AFTER
        request.next_check_at = now + again
        charge_id = session.get_one(Payment, request.payment_id).processor_charge_id
    try:
        report = _answer(context, request, charge_id)
    except Rejected as refusal:
        _refused(context, request_id, str(refusal))
        return
    apply_return(context, report)


def _answer(context: Context, request: RefundRequest, charge_id: str) -> ReturnReport:
    """Stripe forgets keys after a day: from then on one looks whether the refund was made, before asking for it."""
    if request.processor_id:
        return context.processor.read_return(ReturnKind.REFUND, request.processor_id)
    if context.clock.now() - request.created_at > KEYS_LAST and (lost := _find(context, request)):
        return lost
    amount = Money(request.amount_cents, request.currency)
    return context.processor.refund_charge(f"refund:{request.id}", charge_id, amount, request.id)


def _find(context: Context, request: RefundRequest) -> ReturnReport | None:
    """The refund that was made for this request and whose answer was lost."""
    for kind, processor_id in context.processor.returns_since(request.created_at - ASK_AGAIN_AFTER):
        if kind is ReturnKind.REFUND:
            report = context.processor.read_return(kind, processor_id)
            if report.refund_id == request.id:
                return report
    return None


def _refused(context: Context, request_id: str, reason: str) -> None:
    """Stripe has changed nothing and will not on a repeat."""
    with context.database.unit_of_work() as session:
        request = session.get_one(RefundRequest, request_id)
        request.state, request.failure = RefundState.FAILED, reason[:255]
    log.warning("refund.refused", request_id=request_id)
