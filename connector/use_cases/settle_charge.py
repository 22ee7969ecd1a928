"""Settle a charge: bring our rows in line with what Stripe says of it, once and in any order.

The confirmation's answer, an event and a later look all come through here. Money that arrived becomes one payment, one
journal entry and one write-back in the same unit of work.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.charges import LIVE_ATTEMPT, AttemptState, Charge, ChargeAttempt, Payment
from connector.billing.clinics import Location
from connector.billing.contracts import AgreementStatus, Contract, PaymentPlan
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import MethodKind, PaymentMethod
from connector.billing.processor import ChargeReport, ChargeStatus, Settlement
from connector.errors import InvariantBroken
from connector.ledger import recipes
from connector.ledger.journal import Booking, post
from connector.ledger.write_back.models import Leg
from connector.ledger.write_back.queue import Order, enqueue
from connector.ledger.write_back.reference import payment_reference
from connector.matching.models import PatientLink
from connector.use_cases.business_day import day_of_money
from connector.use_cases.context import Context

log = structlog.get_logger()

DEBIT_CHECK_AFTER = timedelta(days=3)
"""A bank debit is looked up again then, in case its event was missed (BECS answers within about two business days)."""

PAYMENT_TYPES = {MethodKind.CARD: "SmilePass Card", MethodKind.BECS: "SmilePass Direct Debit"}


def settle_charge(context: Context, charge_id: str, report: ChargeReport, *, refused: bool = False) -> None:
    """Apply the processor's report. Applying it again, or an older one later, changes nothing.

    `refused` says that the attempt itself was not accepted, which also ends one that was never confirmed.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        # Locked, so that an answer and an event that arrive at once are applied one after the other (PostgreSQL).
        charge = session.get_one(Charge, charge_id, with_for_update=True)
        attempt = session.scalar(
            select(ChargeAttempt).where(ChargeAttempt.charge_id == charge_id, ChargeAttempt.state.in_(LIVE_ATTEMPT))
        )
        match report.status:
            case ChargeStatus.SUCCEEDED if report.settlement:
                _succeed(session, context, charge, attempt, report.settlement)
            case ChargeStatus.PROCESSING if attempt:
                attempt.state, attempt.next_check_at = AttemptState.PROCESSING, now + DEBIT_CHECK_AFTER
                session.get_one(Invoice, charge.invoice_id).status = InvoiceStatus.PROCESSING
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
    if settled.gross != charge.amount:
        raise InvariantBroken(f"Stripe took {settled.gross} for the charge {charge.id} of {charge.amount}.")
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
    invoice.status = InvoiceStatus.COMPLETED
    _clear_overdue(session, invoice)
    session.flush()
    entry = recipes.charge_settled(payment.id, settled.gross, settled.fee)
    post(session, [Booking(entry, location.id, payment.business_date)], now)
    enqueue(session, [(_order(payment, invoice), live_patient(session, invoice.member_id))], now)
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
    attempt.state, attempt.decided_at = AttemptState.FAILED, context.clock.now()
    attempt.failure_code = report.failure_code or (
        "canceled" if report.status is ChargeStatus.CANCELLED else "unanswered"
    )
    attempt.failed_charge_id = report.failed_charge_id
    if report.mandate_dead:
        session.get_one(PaymentMethod, attempt.payment_method_id).usable = False
    invoice = session.get_one(Invoice, charge.invoice_id)
    mark_overdue(session, invoice)
    log.info("charge.failed", charge_id=charge.id, location_id=charge.location_id, code=attempt.failure_code)


def mark_overdue(session: Session, invoice: Invoice) -> None:
    """An invoice was not paid when due; its contract or payment plan shows it."""
    invoice.status = InvoiceStatus.OVERDUE
    agreement = agreement_of(session, invoice)
    if agreement.status is AgreementStatus.ACTIVE:
        agreement.status = AgreementStatus.OVERDUE


def agreement_of(session: Session, invoice: Invoice) -> Contract | PaymentPlan:
    """The contract or payment plan that an invoice belongs to."""
    if invoice.contract_id:
        return session.get_one(Contract, invoice.contract_id)
    return session.get_one(PaymentPlan, invoice.payment_plan_id)


def live_patient(session: Session, member_id: str) -> str | None:
    """The patient that the member is linked to now."""
    return session.scalar(
        select(PatientLink.pms_patient_id).where(PatientLink.member_id == member_id, PatientLink.ended_at.is_(None))
    )


def _clear_overdue(session: Session, invoice: Invoice) -> None:
    """Paid late keeps the anchor; an agreement is active again once nothing is overdue. A plan may be complete."""
    agreement = agreement_of(session, invoice)
    same = (
        Invoice.contract_id == invoice.contract_id
        if invoice.contract_id
        else Invoice.payment_plan_id == invoice.payment_plan_id
    )
    unpaid = select(Invoice.status).where(same, Invoice.id != invoice.id, Invoice.status != InvoiceStatus.COMPLETED)
    statuses = set(session.scalars(unpaid.distinct()))
    if isinstance(agreement, PaymentPlan) and agreement.next_due is None and not statuses:
        agreement.status = AgreementStatus.COMPLETED
    elif agreement.status is AgreementStatus.OVERDUE and InvoiceStatus.OVERDUE not in statuses:
        agreement.status = AgreementStatus.ACTIVE


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


def _order(payment: Payment, invoice: Invoice) -> Order:
    note = (
        f"SmilePass membership, due {invoice.due_date:%d/%m/%Y}"
        if invoice.contract_id
        else f"SmilePass instalment {invoice.period}"
    )
    return Order(
        location_id=payment.location_id,
        member_id=payment.member_id,
        source_id=payment.id,
        leg=Leg.PAYMENT,
        reference=payment_reference(payment.charge_id),
        amount=payment.amount,
        entry_date=payment.business_date,
        payment_type=PAYMENT_TYPES[payment.method_kind],
        note=note,
    )
