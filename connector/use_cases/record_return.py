"""Record money that went back to the payer: a refund, or a dispute such as a late BECS return.

Nothing is edited: a return is a row, a journal entry and a reversal write-back of its own, all pointing to the payment.
"""

from __future__ import annotations

import structlog
from sqlalchemy import func, select

from connector import ids
from connector.billing.charges import Charge, Payment, ReturnedPayment, ReturnKind
from connector.billing.clinics import Location
from connector.billing.invoices import Invoice
from connector.billing.processor import ReturnReport
from connector.errors import InvariantBroken
from connector.ledger import recipes
from connector.ledger.journal import Booking, post
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.queue import Order, enqueue
from connector.ledger.write_back.reference import reversal_reference
from connector.use_cases.business_day import day_of_money
from connector.use_cases.context import Context
from connector.use_cases.settle_charge import mark_overdue, settle_charge

log = structlog.get_logger()

_RECIPES = {ReturnKind.REFUND: recipes.refund, ReturnKind.DISPUTE: recipes.dispute}


def record_return(context: Context, kind: ReturnKind, processor_id: str) -> None:
    """Apply the processor's view of a refund or dispute, once it is final. Repeating changes nothing.

    News may overtake one another: a charge of ours that is not settled yet is settled first. Money that we never took
    cannot be given back by us; reconciliation lists it.
    """
    with context.database.read() as session:
        if session.scalar(select(ReturnedPayment.id).where(ReturnedPayment.processor_id == processor_id)):
            return
    report = context.processor.read_return(kind, processor_id)
    if not report.final:
        return
    with context.database.read() as session:
        known = session.scalar(select(Payment.id).where(Payment.processor_charge_id == report.processor_charge_id))
        charge_id = session.scalar(select(Charge.id).where(Charge.processor_id == report.payment_object_id))
    if not known and charge_id:
        settle_charge(context, charge_id, context.processor.read_charge(report.payment_object_id))
    if known or charge_id:
        _record(context, report)


def _record(context: Context, report: ReturnReport) -> None:
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        if session.scalar(select(ReturnedPayment.id).where(ReturnedPayment.processor_id == report.processor_id)):
            return
        payment = session.scalar(select(Payment).where(Payment.processor_charge_id == report.processor_charge_id))
        if payment is None:
            raise InvariantBroken(
                f"Money of the charge {report.processor_charge_id} was given back before it was taken."
            )
        location = session.get_one(Location, payment.location_id)
        number = session.scalar(select(func.count()).where(ReturnedPayment.payment_id == payment.id)) or 0
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
            mark_overdue(session, session.get_one(Invoice, payment.invoice_id))
        original = session.scalars(
            select(WriteBack).where(WriteBack.source_id == payment.id, WriteBack.leg == Leg.PAYMENT)
        ).one()
        order = Order(
            location_id=location.id,
            member_id=payment.member_id,
            source_id=returned.id,
            leg=Leg.REVERSAL,
            reference=reversal_reference(payment.charge_id, number + 1),
            amount=report.amount,
            entry_date=returned.business_date,
            payment_type=original.payment_type,
            note=f"SmilePass {report.kind} of {original.reference}",
            reverses_id=original.id,
        )
        enqueue(session, [(order, original.sent_to_patient_id or original.pms_patient_id)], now)
        log.info("payment.returned", payment_id=payment.id, kind=report.kind.value, cents=report.amount.cents)
