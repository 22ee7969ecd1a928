"""What can be refunded of a payment: how much is left of it, and why it may not be."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import remember
from connector.billing.collecting.charges import (
    AttemptState,
    Charge,
    ChargeAttempt,
    Payment,
    RefundRequest,
    RefundState,
    ReturnedPayment,
    ReturnKind,
    UndoneReturn,
)
from connector.billing.intake.card_numbers import without_card_number
from connector.billing.members import MethodKind
from connector.database.sums import sum_of
from connector.errors import DomainError
from connector.money import Money

BANK_DEBITS_FOR = timedelta(days=90)
"""So long after the payment a bank debit can be refunded through Stripe (Stripe: BECS refunds)."""
OPEN_REQUEST = (RefundState.REQUESTED, RefundState.PENDING)


def refundable(session: Session, payment: Payment) -> Money:
    """What is left of the payment: neither given back, nor asked to be, nor taken back by the payer's bank."""
    returns = select(ReturnedPayment.id).where(ReturnedPayment.payment_id == payment.id)
    gone = sum_of(session, ReturnedPayment.amount_cents, ReturnedPayment.payment_id == payment.id)
    back = sum_of(session, UndoneReturn.amount_cents, UndoneReturn.returned_payment_id.in_(returns))
    of_payment = RefundRequest.payment_id == payment.id
    asked = sum_of(session, RefundRequest.amount_cents, of_payment, RefundRequest.state.in_(OPEN_REQUEST))
    return Money(payment.amount_cents - gone + back - asked, payment.currency)


def find_payment(session: Session, payment_id: str, *, lock: bool = False) -> Payment:
    """The payment of that id, locked for the caller's unit of work if wanted. Raises DomainError when there is none."""
    payment = session.get(Payment, payment_id, with_for_update=lock)
    if payment is not None:
        return payment
    under_way = (
        select(ChargeAttempt.id)
        .join(Charge, Charge.id == ChargeAttempt.charge_id)
        .where((Charge.id == payment_id) | (Charge.invoice_id == payment_id))
        .where(ChargeAttempt.state == AttemptState.PROCESSING)
    )
    if session.scalar(under_way):
        raise DomainError(
            f"The debit of {payment_id} is still under way, so there is nothing to refund yet: "
            "wait until it is a payment; if it fails, nothing was taken."
        )
    raise DomainError(f"There is no payment {payment_id!r}: see `connector payments list --location SLUG`.")


def check_refund(
    session: Session, payment: Payment, amount: Money | None, now: datetime, *, through_stripe: bool = True
) -> Money:
    """The amount, or all that is left; raises DomainError when that cannot be given back."""
    undone = select(UndoneReturn.returned_payment_id)
    disputed = select(ReturnedPayment.id).where(
        ReturnedPayment.payment_id == payment.id,
        ReturnedPayment.kind == ReturnKind.DISPUTE,
        ReturnedPayment.id.not_in(undone),
    )
    if session.scalar(disputed):
        raise DomainError(
            f"The payment {payment.id} is disputed: the payer's bank has the money already, "
            "and a refund would give it back twice."
        )
    if through_stripe and payment.method_kind is MethodKind.DESK:
        raise DomainError(
            f"The payment {payment.id} was made at the practice, so Stripe cannot refund it: pay it back there and "
            "note that with `connector payments record-refund`."
        )
    left = refundable(session, payment)
    if left.cents <= 0:
        raise DomainError(f"Nothing is left of the payment {payment.id}: all of it was given back, or is about to be.")
    wanted = left if amount is None else amount
    if wanted.currency != left.currency or not 0 < wanted.cents <= left.cents:
        raise DomainError(
            f"Of the payment {payment.id} {left} are left: refund more than nothing and no more than that."
        )
    if through_stripe and payment.method_kind is MethodKind.BECS and now - payment.settled_at > BANK_DEBITS_FOR:
        raise DomainError(
            f"The bank debit {payment.id} is older than {BANK_DEBITS_FOR.days} days, so Stripe cannot refund it: "
            "pay it back from the practice's bank and note that with `connector payments record-refund`."
        )
    return wanted


def new_request(
    payment: Payment, amount: Money, state: RefundState, reason: str, actor: str, now: datetime
) -> RefundRequest:
    """A row for what somebody wants to be given back. Raises DomainError for a reason with a card number."""
    without_card_number(reason)
    return RefundRequest(
        id=ids.new_id("ref"),
        location_id=payment.location_id,
        payment_id=payment.id,
        amount_cents=amount.cents,
        currency=amount.currency,
        state=state,
        reason=reason[:255],
        actor=actor,
        next_check_at=now,
        created_at=now,
    )


def remember_refund(session: Session, payment: Payment, action: str, request: RefundRequest, now: datetime) -> None:
    """Add the refund to the payer's history."""
    remember(
        session,
        payment.member_id,
        action,
        now,
        location_id=payment.location_id,
        actor=request.actor,
        payment_id=payment.id,
        cents=request.amount_cents,
    )
