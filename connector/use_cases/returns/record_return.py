"""Record money that went back to the payer: a refund, or a dispute such as a late BECS return.

Nothing is edited: a return is a row, a journal entry and a reversal write-back of its own, all pointing to the payment.
When the money comes to the practice again, that is another event of its own.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import CONNECTOR
from connector.billing.agreements.contracts import BILLABLE, Contract
from connector.billing.clinics import Location
from connector.billing.collecting.charges import (
    Charge,
    Payment,
    RefundRequest,
    RefundState,
    ReturnedPayment,
    ReturnKind,
)
from connector.billing.collecting.recovery import Recovery
from connector.billing.invoices import VOID, Invoice
from connector.billing.members import MethodKind
from connector.billing.processor import ReturnReport, ReturnState
from connector.clock import business_date
from connector.errors import InvariantBroken
from connector.ledger import recipes
from connector.ledger.journal import Booking, post
from connector.ledger.write_back.queue import enqueue
from connector.use_cases.collection.business_day import day_of_money
from connector.use_cases.collection.settle_charge import mark_overdue, settle_charge
from connector.use_cases.context import Context
from connector.use_cases.invoices.lock_invoice import lock_invoice
from connector.use_cases.invoices.owed import owed
from connector.use_cases.invoices.take_back import credit_refund
from connector.use_cases.members.suspend_member import suspend
from connector.use_cases.recovery.heed_failure import heed_dispute
from connector.use_cases.recovery.recover import DISPUTED, begin_recovery, end_recovery
from connector.use_cases.returns.final_returns import remember_lost
from connector.use_cases.returns.reverse_write_backs import reversals
from connector.use_cases.returns.undo_return import is_undone, undo_return

log = structlog.get_logger()

_RECIPES = {ReturnKind.REFUND: recipes.refund, ReturnKind.DISPUTE: recipes.dispute}

_REQUEST_STATES = {
    ReturnState.PENDING: RefundState.PENDING,
    ReturnState.SUCCEEDED: RefundState.SUCCEEDED,
    ReturnState.FAILED: RefundState.FAILED,
    ReturnState.CANCELLED: RefundState.CANCELLED,
}


def record_return(context: Context, kind: ReturnKind, processor_id: str) -> bool:
    """Apply the processor's view of a refund or dispute; tells whether that was anything new.

    Raises EdgeError when it cannot be read.
    """
    with context.database.read() as session:
        returned = find_return(session, processor_id)
        if returned is not None and is_undone(session, returned.id):
            return False
    return apply_return(context, context.processor.read_return(kind, processor_id))


def apply_return(context: Context, report: ReturnReport) -> bool:
    """Record what the report says, once it is final, and what undoes it. Repeating changes nothing.

    News may overtake one another: a charge of ours that is not settled yet is settled first. Money that we never took
    cannot be given back by us; reconciliation lists it.
    """
    with context.database.read() as session:
        if not _is_news(session, report):
            return False
        known = session.scalar(select(Payment.id).where(Payment.processor_charge_id == report.processor_charge_id))
        charge_id = session.scalar(select(Charge.id).where(Charge.processor_id == report.payment_object_id))
    if report.final and not known and charge_id:
        settle_charge(context, charge_id, context.processor.read_charge(report.payment_object_id))
    if not known and not charge_id:
        return False
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        # Locked, so that of two who hear of it at once the second finds it recorded (PostgreSQL).
        paid = select(Payment).where(Payment.processor_charge_id == report.processor_charge_id)
        payment = session.scalar(paid.with_for_update())
        if payment is not None:
            lock_invoice(session, payment.invoice_id)
        followed = _follow_request(session, report)
        returned = find_return(session, report.processor_id)
        recorded = report.final and returned is None
        if recorded:
            returned = _record(session, context, payment, report, now)
        undone = returned is not None and report.back is not None and not is_undone(session, returned.id)
        if undone and returned and report.back:
            undo_return(session, context, returned, report.back)
        if returned is not None and report.state is ReturnState.LOST:
            remember_lost(session, returned, now)
    return recorded or undone or followed


def find_return(session: Session, processor_id: str) -> ReturnedPayment | None:
    """What is recorded of the refund or dispute with that id at the processor."""
    return session.scalar(select(ReturnedPayment).where(ReturnedPayment.processor_id == processor_id))


def _is_news(session: Session, report: ReturnReport) -> bool:
    """Whether the report may change anything: the sweep looks at each return for weeks, and it rarely has changed."""
    recorded = find_return(session, report.processor_id) is not None
    further = report.back is not None or report.state is ReturnState.LOST
    return further or (report.final and not recorded) or _outdated_request(session, report) is not None


def _outdated_request(session: Session, report: ReturnReport) -> RefundRequest | None:
    """Our own request for the refund, if it does not yet say what the report does."""
    mine = RefundRequest.processor_id == report.processor_id
    if report.refund_id:
        mine |= RefundRequest.id == report.refund_id
    request = session.scalar(select(RefundRequest).where(mine))
    now = _REQUEST_STATES.get(report.state), report.processor_id
    return request if request and now[0] and (request.state, request.processor_id) != now else None


def _follow_request(session: Session, report: ReturnReport) -> bool:
    """Bring our own request for the refund in line; tells whether that changed it."""
    request = _outdated_request(session, report)
    if request is None:
        return False
    request.state, request.failure = _REQUEST_STATES[report.state], report.failure_code
    request.processor_id = report.processor_id
    log.info("refund.followed", request_id=request.id, state=request.state.value)
    return True


def _record(
    session: Session, context: Context, payment: Payment | None, report: ReturnReport, now: datetime
) -> ReturnedPayment:
    if payment is None:
        raise InvariantBroken(f"Money of the charge {report.processor_charge_id} was given back before it was taken.")
    location = session.get_one(Location, payment.location_id)
    returned = ReturnedPayment(
        id=ids.new_id("ret"),
        location_id=location.id,
        payment_id=payment.id,
        kind=report.kind,
        processor_id=report.processor_id,
        amount_cents=report.amount.cents,
        fee_cents=report.fee.cents,
        currency=report.amount.currency,
        returned_at=report.at,
        business_date=day_of_money(session, location, payment.method_kind, report.at, now),
        recorded_at=now,
    )
    session.add(returned)
    session.flush()
    entry = _RECIPES[report.kind](returned.id, report.amount, report.fee)
    post(session, [Booking(entry, location.id, returned.business_date)], now)
    if report.kind is ReturnKind.DISPUTE:
        reopen(session, context, location, payment)
        heed_dispute(session, location, payment, now)
    else:
        credit_refund(session, location, payment.invoice_id, returned, now)
    enqueue(session, reversals(session, payment, returned), now)
    log.info("payment.returned", payment_id=payment.id, kind=report.kind.value, cents=report.amount.cents)
    return returned


def reopen(session: Session, context: Context, location: Location, payment: Payment) -> None:
    """The invoice of money that was fetched back is owed again, unless it is void or other money covers it.

    A person decides how to ask for it. A bank debit that was fetched back cannot be contested, so its membership pauses
    until a person has spoken to the payer.
    """
    now = context.clock.now()
    invoice = session.get_one(Invoice, payment.invoice_id)
    if invoice.status in VOID or owed(session, invoice) <= 0:
        return
    mark_overdue(session, location, invoice, context)
    session.flush()
    # Also where nothing is retried, e.g. after a cancellation, the row says that a person decides.
    begin_recovery(session, location, invoice.id, business_date(now, location.zone))
    session.flush()
    end_recovery(session, invoice.id, DISPUTED, now)
    # Also one that had ended in another way before the invoice was paid.
    session.get_one(Recovery, invoice.id).ended_because = DISPUTED
    contract = session.get(Contract, invoice.contract_id) if invoice.contract_id else None
    if payment.method_kind is MethodKind.BECS and contract and contract.status in BILLABLE and not contract.ends_on:
        suspend(session, contract, now, CONNECTOR)
