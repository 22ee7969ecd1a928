"""Note that a payment at the practice did not go through after all, e.g. a cheque. Moves no money."""

from __future__ import annotations

from datetime import date

from connector.billing.activity import remember
from connector.billing.clinics import Location
from connector.billing.collecting.charges import ReturnedPayment, ReturnKind
from connector.billing.members import MethodKind
from connector.errors import DomainError
from connector.ledger import recipes
from connector.ledger.journal import Booking, post
from connector.ledger.write_back.queue import enqueue
from connector.use_cases.context import Context
from connector.use_cases.invoices.lock_invoice import lock_invoice
from connector.use_cases.returns.final_returns import AT_BANK
from connector.use_cases.returns.record_bank_refund import noted_return
from connector.use_cases.returns.record_return import reopen
from connector.use_cases.returns.refundable import check_refund, find_payment
from connector.use_cases.returns.reverse_write_backs import reversals


def record_bounced(context: Context, payment_id: str, on: date, actor: str) -> ReturnedPayment:
    """What is left of the payment went back on that day: it is owed again, and reversed in the practice system.

    Raises DomainError when it cannot be so.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        payment = find_payment(session, payment_id, lock=True)
        lock_invoice(session, payment.invoice_id)
        if payment.method_kind is not MethodKind.DESK:
            raise DomainError(
                f"The payment {payment_id} was made through Stripe, which tells of it when it comes back."
            )
        amount = check_refund(session, payment, None, now, through_stripe=False)
        location = session.get_one(Location, payment.location_id)
        # It bounces as a whole, so the payment's own id says it once.
        noted_as = f"{AT_BANK}{payment.id}"
        returned = noted_return(session, location, payment, ReturnKind.BOUNCED, noted_as, amount, on, now)
        post(session, [Booking(recipes.desk_bounced(returned.id, amount), location.id, returned.business_date)], now)
        reopen(session, context, location, payment)
        enqueue(session, reversals(session, payment, returned), now)
        detail = {"payment_id": payment.id, "cents": amount.cents}
        remember(session, payment.member_id, "Payment Bounced", now, location_id=location.id, actor=actor, **detail)
    return returned
