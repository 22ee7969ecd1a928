"""Queue a receipt, in the unit of work in which the payment is recorded."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.collecting.charges import ChargeAttempt, Origin, Payment
from connector.billing.invoices import Invoice, InvoiceKind
from connector.messaging.kinds import MessageKind
from connector.use_cases.messages.queue_message import queue_message


def queue_receipt(
    session: Session,
    location: Location,
    invoice: Invoice,
    payment: Payment,
    attempt: ChargeAttempt | None,
    now: datetime,
) -> None:
    """Thank for what somebody paid on a page, or was asked for once. What is debited regularly was announced before."""
    by_payer = attempt is not None and attempt.origin is Origin.PAYER
    if by_payer or invoice.kind is InvoiceKind.INSTANT:
        queue_message(
            session,
            location,
            MessageKind.RECEIPT,
            payment.id,
            "paid",
            now,
            member_id=payment.member_id,
            urgent=by_payer,
        )
