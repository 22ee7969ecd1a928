"""Settle a charge: bring our rows in line with what Stripe says of it, once and in any order.

The confirmation's answer, an event and a later look all come through here. Money that arrived becomes one payment, one
journal entry and one write-back in the same unit of work.
"""

from __future__ import annotations

from datetime import date, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import InstantPayment, RequestStatus
from connector.billing.clinics import Location
from connector.billing.collecting.charges import CANCELLED, LIVE_ATTEMPT, AttemptState, Charge, ChargeAttempt, Payment
from connector.billing.invoices import VOID, Invoice, InvoiceKind, InvoiceStatus
from connector.billing.members import PaymentMethod
from connector.billing.processor import ChargeReport, ChargeStatus, Settlement
from connector.clock import business_date
from connector.errors import InvariantBroken
from connector.ledger import recipes
from connector.ledger.journal import Booking, post
from connector.ledger.write_back.queue import enqueue
from connector.use_cases.books.payment_orders import payment_orders, payment_type
from connector.use_cases.collection.business_day import day_of_money
from connector.use_cases.context import Context
from connector.use_cases.invoices.lock_invoice import lock_invoice
from connector.use_cases.invoices.owed import owed
from connector.use_cases.invoices.platform_fees import book_platform_fee
from connector.use_cases.members.skip_periods import skip_periods
from connector.use_cases.messages.queue_receipt import queue_receipt
from connector.use_cases.recovery.heed_failure import heed_failure, tell_first_failure
from connector.use_cases.recovery.recover import FINISHED, PAID, begin_recovery, end_recovery
from connector.use_cases.recovery.tell_staff import tell_staff, tell_surplus

log = structlog.get_logger()

DEBIT_CHECK_AFTER = timedelta(days=3)
"""A bank debit is looked up again then, in case its event was missed (BECS answers within about two business days)."""

PAYER_CHECK_AFTER = timedelta(hours=1)
"""So long a payer may take to authenticate with the bank before the attempt is looked at again."""


def settle_charge(context: Context, charge_id: str, report: ChargeReport, *, refused: bool = False) -> None:
    """Apply the processor's report. Applying it again, or an older one later, changes nothing.

    `refused` says that the attempt itself was not accepted, which also ends one that was never confirmed.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        charge = session.get_one(Charge, charge_id)
        # Locked, so that of an answer, an event and a payment at the desk that arrive at once each knows the others.
        invoice = lock_invoice(session, charge.invoice_id)
        attempt = session.scalar(
            select(ChargeAttempt).where(ChargeAttempt.charge_id == charge_id, ChargeAttempt.state.in_(LIVE_ATTEMPT))
        )
        match report.status:
            case ChargeStatus.SUCCEEDED if report.settlement:
                _succeed(session, context, charge, attempt, report.settlement)
            case ChargeStatus.NEEDS_PAYER if attempt and attempt.state is not AttemptState.PAYER:
                attempt.state, attempt.next_check_at = AttemptState.PAYER, now + PAYER_CHECK_AFTER
            case ChargeStatus.PROCESSING if attempt:
                attempt.state, attempt.next_check_at = AttemptState.PROCESSING, now + DEBIT_CHECK_AFTER
                invoice.status = InvoiceStatus.PROCESSING
            case ChargeStatus.OPEN | ChargeStatus.CANCELLED if attempt and (
                refused or (attempt.state is not AttemptState.PLANNED and not of_earlier_attempt(session, report))
            ):
                _fail(session, context, charge, attempt, report)
            case _:
                pass


def _succeed(
    session: Session, context: Context, charge: Charge, attempt: ChargeAttempt | None, settled: Settlement
) -> None:
    if session.scalar(select(Payment.id).where(Payment.charge_id == charge.id)):
        return
    now = context.clock.now()
    invoice = session.get_one(Invoice, charge.invoice_id)
    location = session.get_one(Location, charge.location_id)
    method = _method(session, charge, attempt)
    payment = Payment(
        id=ids.new_id("pay"),
        location_id=charge.location_id,
        member_id=invoice.member_id,
        invoice_id=invoice.id,
        charge_id=charge.id,
        processor_charge_id=settled.processor_charge_id,
        method_kind=method.kind,
        amount_cents=settled.gross.cents,
        fee_cents=settled.fee.cents,
        currency=settled.gross.currency,
        settled_at=settled.at,
        business_date=day_of_money(session, location, method.kind, settled.at, now),
        recorded_at=now,
    )
    session.add(payment)
    if attempt is not None:
        attempt.state, attempt.decided_at = AttemptState.SUCCEEDED, now
    session.flush()
    still_owed = owed(session, invoice)
    if invoice.status in VOID:
        # It came after all: the invoice stays void, and the day's report names the money until it is given back.
        log.warning("payment.without_debt", payment_id=payment.id, invoice_id=invoice.id)
    elif still_owed <= 0:
        mark_paid(session, context, location, invoice)
    else:
        # Somebody took less of a hold at Stripe's dashboard than was decided here.
        mark_overdue(session, location, invoice, context)
        end_recovery(session, invoice.id, FINISHED, now)
        tell_staff(session, location, [invoice.id], now)
    session.flush()
    if still_owed < 0:
        tell_surplus(session, location, invoice, payment.id, now)
    entry = recipes.charge_settled(payment.id, settled.gross, settled.fee, settled.application_fee)
    post(session, [Booking(entry, location.id, payment.business_date)], now)
    book_platform_fee(session, context, location, payment, invoice, now)
    named = payment_type(location, invoice, method.kind)
    enqueue(session, payment_orders(session, location, payment, invoice, named), now)
    queue_receipt(session, location, invoice, payment, attempt, now)
    log.info(
        "payment.settled",
        payment_id=payment.id,
        charge_id=charge.id,
        location_id=location.id,
        cents=payment.amount_cents,
    )


def of_earlier_attempt(session: Session, report: ChargeReport) -> bool:
    """Whether the failure that the report shows is one that an earlier attempt has ended with: no news of this one."""
    earlier = select(ChargeAttempt.id).where(ChargeAttempt.failed_charge_id == report.failed_charge_id)
    return report.failed_charge_id is not None and session.scalar(earlier) is not None


def _fail(session: Session, context: Context, charge: Charge, attempt: ChargeAttempt, report: ChargeReport) -> None:
    was_processing = attempt.state is AttemptState.PROCESSING
    attempt.state, attempt.decided_at = AttemptState.FAILED, context.clock.now()
    attempt.failure_code = report.failure_code or (
        CANCELLED if report.status is ChargeStatus.CANCELLED else "unanswered"
    )
    attempt.failed_charge_id = report.failed_charge_id
    attempt.advice_code, attempt.network_advice_code = report.advice_code, report.network_advice_code
    if report.mandate_dead:
        session.get_one(PaymentMethod, attempt.payment_method_id).usable = False
    invoice = session.get_one(Invoice, charge.invoice_id)
    location = session.get_one(Location, charge.location_id)
    if invoice.status in VOID:
        pass
    elif owed(session, invoice) <= 0:
        # A dispute was won while this was under way.
        mark_paid(session, context, location, invoice)
    elif _never_began(session, invoice, was_processing=was_processing):
        tell_first_failure(session, location, invoice, attempt, context.clock.now())
    else:
        mark_overdue(session, location, invoice, context)
    heed_failure(session, location, invoice, attempt, context.clock.now())
    log.info("charge.failed", charge_id=charge.id, location_id=charge.location_id, code=attempt.failure_code)


def _never_began(session: Session, invoice: Invoice, *, was_processing: bool) -> bool:
    """The first charge of a new membership was declined at once: it has not begun, and the link can be sent again."""
    if invoice.kind is not InvoiceKind.MEMBERSHIP or invoice.period != 0 or was_processing:
        return False
    contract = session.get_one(Contract, invoice.contract_id)
    if contract.adopted or contract.status not in (AgreementStatus.ACTIVE, AgreementStatus.FAILED):
        return False
    if contract.next_period > 1:
        # Later periods were billed before this one was decided: it runs, and owes this.
        return False
    contract.status, invoice.status = AgreementStatus.FAILED, InvoiceStatus.OVERDUE
    return True


def mark_overdue(session: Session, location: Location, invoice: Invoice, context: Context) -> None:
    """An invoice was not paid when due: its agreement shows it, and its recovery begins.

    What a cancelled agreement owes stays owed and can be paid by link, but is not tried again, and staff are told; what
    is owed for leaving falls due only then.
    """
    invoice.status = InvoiceStatus.OVERDUE
    agreement = agreement_of(session, invoice)
    if agreement and agreement.status is AgreementStatus.CANCELLED and invoice.kind is not InvoiceKind.EXIT:
        tell_staff(session, location, [invoice.id], context.clock.now())
        return
    if agreement and agreement.status in (AgreementStatus.ACTIVE, AgreementStatus.COMPLETED):
        agreement.status = AgreementStatus.OVERDUE
    begin_recovery(session, location, invoice.id, business_date(context.clock.now(), location.zone))


def mark_paid(session: Session, context: Context, location: Location, invoice: Invoice) -> None:
    """Nothing is owed on the invoice any more: its recovery ends, and its agreement is in order if nothing else is."""
    now = context.clock.now()
    invoice.status = InvoiceStatus.COMPLETED
    end_recovery(session, invoice.id, PAID, now)
    _clear_overdue(session, invoice, business_date(now, location.zone))


def agreement_of(session: Session, invoice: Invoice) -> Contract | PaymentPlan | None:
    """The contract or payment plan that an invoice belongs to; None for what is asked for once."""
    if invoice.contract_id:
        return session.get_one(Contract, invoice.contract_id)
    return session.get_one(PaymentPlan, invoice.payment_plan_id) if invoice.payment_plan_id else None


def _clear_overdue(session: Session, invoice: Invoice, today: date) -> None:
    """Paid late keeps the anchor. A membership that had not begun begins with the payment."""
    if invoice.instant_payment_id:
        _complete_request(session, invoice.instant_payment_id)
    agreement = agreement_of(session, invoice)
    if agreement and agreement.status is AgreementStatus.FAILED and isinstance(agreement, Contract):
        agreement.status = AgreementStatus.ACTIVE
        skip_periods(session, agreement, today)
    else:
        without_debt(session, invoice)


def without_debt(session: Session, invoice: Invoice) -> None:
    """The agreement of an invoice that is owed no more: active again once nothing is overdue. It may be complete.

    One that is cancelled stays so.
    """
    agreement = agreement_of(session, invoice)
    if agreement is None or agreement.status is AgreementStatus.CANCELLED:
        return
    same = (
        Invoice.contract_id == invoice.contract_id
        if invoice.contract_id
        else Invoice.payment_plan_id == invoice.payment_plan_id
    )
    owed = (InvoiceStatus.OPEN, InvoiceStatus.PROCESSING, InvoiceStatus.WAITING, InvoiceStatus.OVERDUE)
    unpaid = select(Invoice.status).where(same, Invoice.id != invoice.id, Invoice.status.in_(owed))
    statuses = set(session.scalars(unpaid.distinct()))
    if isinstance(agreement, PaymentPlan) and agreement.next_due is None and not statuses:
        agreement.status = AgreementStatus.COMPLETED
    elif agreement.status is AgreementStatus.OVERDUE and InvoiceStatus.OVERDUE not in statuses:
        agreement.status = AgreementStatus.ACTIVE
        if isinstance(agreement, Contract):
            agreement.frozen_at = None


def _complete_request(session: Session, request_id: str) -> None:
    """An instant payment is complete once all of its amounts are paid."""
    unpaid = select(Invoice.id).where(
        Invoice.instant_payment_id == request_id, Invoice.status != InvoiceStatus.COMPLETED
    )
    session.flush()
    if session.scalars(unpaid).first() is None:
        session.get_one(InstantPayment, request_id).status = RequestStatus.COMPLETED


def _method(session: Session, charge: Charge, attempt: ChargeAttempt | None) -> PaymentMethod:
    """The method that paid: of the live attempt, or of the newest when the attempt had been given up already."""
    if attempt is None:
        newest = (
            select(ChargeAttempt).where(ChargeAttempt.charge_id == charge.id).order_by(ChargeAttempt.created_at.desc())
        )
        attempt = session.scalars(newest).first()
    if attempt is None:
        raise InvariantBroken(f"The charge {charge.id} succeeded without an attempt of ours.")
    return session.get_one(PaymentMethod, attempt.payment_method_id)
