"""Queue a receipt, in the unit of work in which the payment is recorded."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import Contract
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.collecting.charges import ChargeAttempt, Origin, Payment
from connector.billing.invoices import Invoice, InvoiceKind
from connector.billing.policy import Receipts
from connector.messaging.kinds import MessageKind
from connector.use_cases.messages.queue_message import queue_message

OFTEN = (Frequency.WEEKLY, Frequency.FORTNIGHTLY)


def queue_receipt(
    session: Session,
    location: Location,
    invoice: Invoice,
    payment: Payment,
    attempt: ChargeAttempt | None,
    now: datetime,
) -> None:
    """Tell the payer that the payment arrived, if the location's setting `receipts` says so.

    What comes as expected can be left out: it was announced before. What does not (the first payment, one that failed
    at first, one that the payer made, or that was asked for once) always has a receipt. `attempt` is None for what was
    paid at the practice.
    """
    agreement = _agreement(session, invoice)
    expected = agreement is not None and attempt is not None and attempt.origin is Origin.SCHEDULE
    if expected and not _is_told(location.policy.receipts, agreement) and not _is_first(session, invoice, payment):
        return
    by_payer = attempt is not None and attempt.origin is Origin.PAYER
    has_just_joined = isinstance(agreement, Contract) and not agreement.adopted and invoice.period == 0
    queue_message(
        session,
        location,
        MessageKind.RECEIPT,
        payment.id,
        "paid",
        now,
        member_id=payment.member_id,
        urgent=by_payer or has_just_joined,
    )


def _agreement(session: Session, invoice: Invoice) -> Contract | PaymentPlan | None:
    """What the invoice is a regular part of; None for what is asked for once."""
    if invoice.kind is InvoiceKind.MEMBERSHIP:
        return session.get_one(Contract, invoice.contract_id)
    return session.get_one(PaymentPlan, invoice.payment_plan_id) if invoice.kind is InvoiceKind.INSTALMENT else None


def _is_told(setting: Receipts, agreement: Contract | PaymentPlan | None) -> bool:
    """Whether the setting asks for a receipt for each regular debit of that agreement."""
    if setting is Receipts.SPARING:
        return agreement is not None and agreement.frequency not in OFTEN
    return setting is Receipts.ALL


def _is_first(session: Session, invoice: Invoice, payment: Payment) -> bool:
    """Whether nothing was paid for the agreement before."""
    same = (
        Invoice.contract_id == invoice.contract_id
        if invoice.contract_id
        else Invoice.payment_plan_id == invoice.payment_plan_id
    )
    earlier = select(Payment.id).join(Invoice, Invoice.id == Payment.invoice_id).where(same, Payment.id != payment.id)
    return session.scalars(earlier.limit(1)).first() is None
