"""Note a refund that the practice has paid from its own bank account. Moves no money."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy.orm import Session

from connector import ids
from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment, RefundState, ReturnedPayment, ReturnKind
from connector.clock import business_date, day_bounds
from connector.errors import DomainError
from connector.ledger import recipes
from connector.ledger.journal import Booking, post
from connector.ledger.write_back.queue import enqueue
from connector.money import Money
from connector.use_cases.collection.business_day import unless_closed
from connector.use_cases.context import Context
from connector.use_cases.invoices.lock_invoice import lock_invoice
from connector.use_cases.invoices.take_back import credit_refund
from connector.use_cases.returns.final_returns import AT_BANK
from connector.use_cases.returns.refundable import check_refund, find_payment, new_request, remember_refund
from connector.use_cases.returns.reverse_write_backs import reversals


def record_bank_refund(
    context: Context, payment_id: str, amount: Money, on: date, note: str, actor: str
) -> ReturnedPayment:
    """The practice has given so much of a payment back on that day: book it, and reverse it in the practice system.

    Raises DomainError when it cannot be so.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        payment = find_payment(session, payment_id, lock=True)
        lock_invoice(session, payment.invoice_id)
        location = session.get_one(Location, payment.location_id)
        check_refund(session, payment, amount, now, through_stripe=False)
        request = new_request(payment, amount, RefundState.SUCCEEDED, note, actor, now)
        request.processor_id = f"{AT_BANK}{request.id}"
        session.add(request)
        returned = noted_return(session, location, payment, ReturnKind.REFUND, request.processor_id, amount, on, now)
        credit_refund(session, location, payment.invoice_id, returned, now)
        post(session, [Booking(recipes.bank_refund(returned.id, amount), location.id, returned.business_date)], now)
        enqueue(session, reversals(session, payment, returned), now)
        remember_refund(session, payment, "Refund Recorded", request, now)
    return returned


def noted_return(
    session: Session,
    location: Location,
    payment: Payment,
    kind: ReturnKind,
    noted_as: str,
    amount: Money,
    on: date,
    now: datetime,
) -> ReturnedPayment:
    """A return that Stripe knows nothing of, on a day that a person states. Raises DomainError for another."""
    if not payment.business_date <= on <= business_date(now, location.zone):
        raise DomainError(
            f"The payment {payment.id} is of {payment.business_date:%d/%m/%Y}: "
            "it can have gone back since then, and not in the future."
        )
    returned = ReturnedPayment(
        id=ids.new_id("ret"),
        location_id=location.id,
        payment_id=payment.id,
        kind=kind,
        processor_id=noted_as,
        amount_cents=amount.cents,
        fee_cents=0,
        currency=amount.currency,
        returned_at=day_bounds(on, location.zone)[0],
        business_date=unless_closed(session, location, on, now),
        recorded_at=now,
    )
    session.add(returned)
    session.flush()
    return returned
