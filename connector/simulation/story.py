"""The story of one payment, for the person who looks into a broken promise: what each book says, in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from connector.billing.collecting.charges import Charge, ChargeAttempt, Payment, ReturnedPayment
from connector.billing.invoices import Invoice
from connector.ledger.write_back.models import WriteBack, WriteBackStep
from connector.sandbox.evidence import MARK_LENGTH
from connector.simulation.auditor import Violation
from connector.simulation.stage import Stage

NEARBY = timedelta(minutes=30)
"""Faults so close to something in the story belong to it."""

Line = tuple[datetime, str]


def story(stage: Stage, violation: Violation) -> list[str]:
    """What happened to whatever the violation is about, one line each, with the faults around it."""
    with stage.database.read() as session:
        invoices = _invoices(session, violation.about)
        lines = [line for invoice in invoices for line in _of_invoice(session, invoice)]
    charges = {charge["id"]: charge for charge in stage.around.stripe.listed("charges")}
    ours = {invoice.id for invoice in invoices}
    for charge in charges.values():
        if charge["metadata"].get("invoice_id") in ours:
            at = datetime.fromtimestamp(charge["created"], UTC)
            lines.append((at, f"Stripe: charge {charge['id']} {charge['status']}, {charge['amount']} cents"))
    lines.sort()
    near = [(at, f"fault: {kind}") for at, kind in stage.dice.happened if at and _is_near(at, lines)]
    entries = [
        f"practice system: entry {it.number} of {it.cents} cents under {it.reference}, patient {it.patient_id}"
        for it in stage.around.office.entries()
        if it.reference and violation.about.startswith(it.reference[:MARK_LENGTH])
    ]
    return [f"{at:%Y-%m-%d %H:%M:%S} {text}" for at, text in sorted({*lines, *near})] + entries


def _is_near(at: datetime, lines: Sequence[Line]) -> bool:
    return any(abs(at - when) < NEARBY for when, _ in lines)


def _invoices(session: Session, about: str) -> list[Invoice]:
    """`about` is a mark, an invoice or what it belongs to, or a member."""
    charge_id = f"ch_{about[2:MARK_LENGTH]}"
    of_charge = select(Charge.invoice_id).where(Charge.id == charge_id)
    whose = Invoice.id, Invoice.member_id, Invoice.contract_id, Invoice.payment_plan_id, Invoice.instant_payment_id
    query = select(Invoice).where(or_(*(column == about for column in whose), Invoice.id.in_(of_charge)))
    return list(session.scalars(query.order_by(Invoice.id)))


def _of_invoice(session: Session, invoice: Invoice) -> Iterator[Line]:
    yield invoice.issued_at, f"invoice {invoice.number}, due {invoice.due_date}, {invoice.amount_cents} cents"
    attempts = select(ChargeAttempt).join(Charge, Charge.id == ChargeAttempt.charge_id)
    for attempt in session.scalars(attempts.where(Charge.invoice_id == invoice.id)):
        yield attempt.created_at, f"attempt {attempt.id} planned by {attempt.origin}"
        yield attempt.decided_at or attempt.sent_at or attempt.created_at, f"attempt {attempt.id} is {attempt.state}"
    sources = []
    for payment in session.scalars(select(Payment).where(Payment.invoice_id == invoice.id)):
        sources.append(payment.id)
        yield payment.recorded_at, f"payment {payment.id} of {payment.amount_cents} cents recorded"
        for back in session.scalars(select(ReturnedPayment).where(ReturnedPayment.payment_id == payment.id)):
            sources.append(back.id)
            yield back.recorded_at, f"{back.kind} {back.id} of {back.amount_cents} cents recorded"
    steps = select(WriteBackStep, WriteBack.reference).join(WriteBack, WriteBack.id == WriteBackStep.write_back_id)
    for step, reference in session.execute(steps.where(WriteBack.source_id.in_(sources))):
        what = f"write-back {reference}: {step.before or 'new'} -> {step.after} by {step.actor}"
        yield step.at, f"{what}: {step.reason}" if step.reason else what
