"""Note that an invoice was paid at the practice: in cash, by cheque, on its own terminal, or by bank transfer.

Moves no money. What was planned for the invoice is called off, so that its payer is not debited as well.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import remember
from connector.billing.clinics import Location
from connector.billing.collecting.charges import AT_DESK, Charge, Payment
from connector.billing.due_ids import charge_id
from connector.billing.intake.card_numbers import without_card_number
from connector.billing.invoices import UNPAID, Invoice, InvoiceStatus
from connector.billing.members import MethodKind
from connector.clock import business_date, day_bounds
from connector.errors import DomainError
from connector.ledger import recipes
from connector.ledger.journal import Booking, post
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.queue import enqueue, mark_recorded
from connector.money import Money
from connector.use_cases.books.payment_orders import payment_orders
from connector.use_cases.collection.business_day import unless_closed
from connector.use_cases.collection.plan_attempts import next_generation, withdraw
from connector.use_cases.collection.settle_charge import mark_paid
from connector.use_cases.context import Context
from connector.use_cases.invoices.invoice_document import invoice_number
from connector.use_cases.invoices.owed import owed
from connector.use_cases.invoices.platform_fees import book_platform_fee
from connector.use_cases.invoices.release_invoice import find_invoice
from connector.use_cases.messages.queue_receipt import queue_receipt


class DeskMethod(StrEnum):
    """How somebody has paid at the practice; also the name of the payment type in the practice system."""

    CASH = "Cash"
    CHEQUE = "Cheque"
    EFTPOS = "EFTPOS"
    TRANSFER = "Bank Transfer"


def record_desk_payment(
    context: Context,
    invoice_id: str,
    method: DeskMethod,
    on: date,
    actor: str,
    *,
    note: str = "",
    in_pms: bool = False,
    anyway: bool = False,
) -> Payment:
    """All that is owed on the invoice was paid on that day: book it, and let a person post it to the ledger.

    `in_pms`: somebody has typed it into the practice system already. `anyway`: although a debit is under way, whose
    money is given back if it arrives too. Raises DomainError, and then changes nothing.
    """
    now = context.clock.now()
    without_card_number(note)
    with context.database.unit_of_work() as session:
        invoice, location = find_invoice(session, invoice_id, lock=True)
        _check(session, location, invoice, on, now, anyway=anyway)
        payment = _payment(session, location, invoice, on, now)
        entry = recipes.desk_payment(payment.id, payment.amount)
        post(session, [Booking(entry, location.id, payment.business_date)], now)
        mark_paid(session, context, location, invoice)
        book_platform_fee(session, context, location, payment, invoice, now)
        enqueue(session, payment_orders(session, location, payment, invoice, method.value), now)
        if in_pms:
            session.flush()
            for row in session.scalars(select(WriteBack.id).where(WriteBack.source_id == payment.id)).all():
                mark_recorded(session, row, now, actor)
        queue_receipt(session, location, invoice, payment, None, now)
        detail = {"payment_id": payment.id, "cents": payment.amount_cents, "by": method.value, "note": note[:255]}
        remember(
            session, invoice.member_id, "Paid At The Practice", now, location_id=location.id, actor=actor, **detail
        )
    return payment


def owed_on(context: Context, invoice_id: str) -> Money:
    """What is owed on an invoice now. Raises DomainError when there is none."""
    with context.database.read() as session:
        invoice, _ = find_invoice(session, invoice_id)
        return Money(owed(session, invoice), invoice.currency)


def _check(session: Session, location: Location, invoice: Invoice, on: date, now: datetime, *, anyway: bool) -> None:
    """Raise DomainError unless it can have been paid; what is planned for it is called off by that."""
    number = invoice_number(invoice)
    if invoice.status not in (*UNPAID, InvoiceStatus.PROCESSING):
        raise DomainError(f"The invoice {number} is {invoice.status}: only one that is owed can be paid.")
    first = business_date(invoice.issued_at, location.zone)
    if not first <= on <= business_date(now, location.zone):
        raise DomainError(
            f"The invoice {number} is of {first:%d/%m/%Y}: it can have been paid since then, and not in the future."
        )
    if not withdraw(session, invoice.id, now) and not anyway:
        raise DomainError(
            f"A payment for the invoice {number} is under way and cannot be called off: wait for its result, or repeat "
            "with --anyway; if both arrive, one of them is to be given back."
        )


def _payment(session: Session, location: Location, invoice: Invoice, on: date, now: datetime) -> Payment:
    """The payment, under a charge that Stripe knows nothing of."""
    amount = Money(owed(session, invoice), invoice.currency)
    generation = next_generation(session, invoice.id)
    charge = Charge(
        id=charge_id(invoice.id, generation),
        location_id=location.id,
        invoice_id=invoice.id,
        generation=generation,
        amount_cents=amount.cents,
        currency=amount.currency,
        application_fee_cents=0,
        created_at=now,
    )
    payment = Payment(
        id=ids.new_id("pay"),
        location_id=location.id,
        member_id=invoice.member_id,
        invoice_id=invoice.id,
        charge_id=charge.id,
        processor_charge_id=f"{AT_DESK}{charge.id}",
        method_kind=MethodKind.DESK,
        amount_cents=amount.cents,
        fee_cents=0,
        currency=amount.currency,
        settled_at=day_bounds(on, location.zone)[0],
        business_date=unless_closed(session, location, on, now),
        recorded_at=now,
    )
    session.add(charge)
    session.flush()
    session.add(payment)
    session.flush()
    return payment
