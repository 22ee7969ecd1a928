"""What a refused or disputed charge means beyond its own invoice, in the unit of work that records it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.activity import remember
from connector.billing.clinics import Location
from connector.billing.collecting.charges import AttemptState, ChargeAttempt, Origin, Payment
from connector.billing.collecting.declines import DeclineClass, Verdict, classify
from connector.billing.invoices import Invoice
from connector.billing.members import MethodKind, PaymentMethod
from connector.messaging.kinds import MessageKind
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.recovery.tell_staff import tell_staff

_ENDS_METHOD = (DeclineClass.HARD, DeclineClass.MANDATE_DEAD)


def verdict_of(attempt: ChargeAttempt, kind: MethodKind) -> Verdict:
    """The meaning of a failed attempt."""
    return classify(
        kind is MethodKind.CARD, attempt.failure_code or "", attempt.advice_code, attempt.network_advice_code
    )


def heed_failure(session: Session, location: Location, invoice: Invoice, attempt: ChargeAttempt, now: datetime) -> None:
    """A method that was refused for good is never charged again; what only staff can clear up, they hear of.

    Other invoices that were planned for the method fail without being sent, and wait for another one.
    """
    method = session.get_one(PaymentMethod, attempt.payment_method_id)
    found = verdict_of(attempt, method.kind).decline_class
    if found in _ENDS_METHOD:
        stop_charging(session, location, method, attempt.failure_code or "", now)
    if found.asks_staff:
        tell_staff(session, location, [invoice.id], now)


def heed_dispute(session: Session, location: Location, payment: Payment, now: datetime) -> None:
    """A bank debit that its payer had fetched back ends the authority to debit (DDR); staff speak to the payer."""
    method = session.scalars(
        select(PaymentMethod)
        .join(ChargeAttempt, ChargeAttempt.payment_method_id == PaymentMethod.id)
        .where(ChargeAttempt.charge_id == payment.charge_id, ChargeAttempt.state == AttemptState.SUCCEEDED)
    ).first()
    if method is not None and method.kind is MethodKind.BECS:
        stop_charging(session, location, method, "disputed", now)
    tell_staff(session, location, [payment.invoice_id], now)


def tell_first_failure(
    session: Session, location: Location, invoice: Invoice, attempt: ChargeAttempt, now: datetime
) -> None:
    """Tell somebody who has just signed up that it has not worked; who is present on the page knows already."""
    if attempt.origin is not Origin.PAYER:
        queue_message(
            session,
            location,
            MessageKind.PAYMENT_FAILED,
            invoice.id,
            attempt.id,
            now,
            member_id=invoice.member_id,
            urgent=True,
            amount_cents=invoice.amount_cents,
            due_on=invoice.due_date.isoformat(),
            retry_on=None,
        )


def stop_charging(session: Session, location: Location, method: PaymentMethod, code: str, now: datetime) -> None:
    """Never charge the method again without its owner; `code` says why. The member's history shows it once."""
    if method.usable:
        method.usable = False
        remember(
            session, method.member_id, "Payment Method Ended", now, location_id=location.id, method=method.id, code=code
        )
