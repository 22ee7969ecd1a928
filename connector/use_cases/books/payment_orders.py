"""What is to stand in the practice system for a payment: one write-back for each person it was paid for."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment
from connector.billing.invoices import Invoice, InvoiceKind
from connector.billing.members import MethodKind
from connector.billing.policy import HouseholdPosting
from connector.billing.prices.shares import divide
from connector.ledger.write_back.models import Leg
from connector.ledger.write_back.queue import Order
from connector.ledger.write_back.reference import payment_reference
from connector.matching.models import PatientLink
from connector.money import Money
from connector.use_cases.invoices.lines import lines_of

_PAYMENT_TYPES = {"card": "SmilePass Card", "becs": "SmilePass Direct Debit"}
_METHODS = {MethodKind.CARD: "card", MethodKind.BECS: "becs"}

_AUTOMATIC = (InvoiceKind.MEMBERSHIP, InvoiceKind.EXIT, InvoiceKind.INSTALMENT)
"""Posted by themselves once linked; what is paid once, or at the practice, waits for a person's Post to Ledger."""


def payment_type(location: Location, invoice: Invoice, method: MethodKind) -> str:
    """The name in the practice system for what came through Stripe: by kind and method, by method, or the default."""
    name = _METHODS[method]
    named = dict(text.split("=", 1) for text in location.policy.payment_types)
    return str(named.get(f"{invoice.kind}.{name}") or named.get(name) or _PAYMENT_TYPES[name])


def payment_orders(
    session: Session, location: Location, payment: Payment, invoice: Invoice, payment_type: str
) -> list[tuple[Order, str | None]]:
    """One write-back for each person of the invoice, with the patient that each is linked to now.

    `payment_type`: its name in the practice system.
    """
    parts, _ = divide(lines_of(session, invoice), payment.amount_cents)
    if location.policy.household_posting is HouseholdPosting.HOLDER:
        parts = {invoice.member_id: sum(parts.values())}
    owed = [(member_id, cents) for member_id, cents in parts.items() if cents]
    prepayment = invoice.kind not in location.policy.allocated_kinds
    return [
        (_order(payment, invoice, person, member_id, cents, payment_type, prepayment), live_patient(session, member_id))
        for person, (member_id, cents) in enumerate(owed)
    ]


def _order(
    payment: Payment, invoice: Invoice, person: int, member_id: str, cents: int, payment_type: str, prepayment: bool
) -> Order:
    return Order(
        location_id=payment.location_id,
        member_id=member_id,
        source_id=payment.id,
        leg=Leg.PAYMENT,
        reference=payment_reference(payment.charge_id, person),
        amount=Money(cents, payment.currency),
        entry_date=payment.business_date,
        payment_type=payment_type,
        note=_note(invoice),
        prepayment=prepayment,
        automatic=invoice.kind in _AUTOMATIC and payment.method_kind is not MethodKind.DESK,
    )


def _note(invoice: Invoice) -> str:
    match invoice.kind:
        case InvoiceKind.MEMBERSHIP:
            return f"SmilePass membership, due {invoice.due_date:%d/%m/%Y}"
        case InvoiceKind.EXIT:
            return "SmilePass membership, end of contract"
        case InvoiceKind.INSTALMENT:
            return f"SmilePass instalment {invoice.period}" if invoice.period else "SmilePass deposit"
        case InvoiceKind.INSTANT:
            return "SmilePass payment"
        case InvoiceKind.HOLD:
            return "SmilePass deposit that was held"


def live_patient(session: Session, member_id: str) -> str | None:
    """The patient that the member is linked to now."""
    return session.scalar(
        select(PatientLink.pms_patient_id).where(PatientLink.member_id == member_id, PatientLink.ended_at.is_(None))
    )
