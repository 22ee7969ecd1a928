"""Put an invoice together as people see it: seller as on the day of issue, lines, discounts, and what was paid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.collecting.charges import Payment, ReturnedPayment, UndoneReturn
from connector.billing.documents.document import (
    GST_FREE,
    Adjustment,
    BillTo,
    DocumentLine,
    InvoiceDocument,
    Seller,
)
from connector.billing.documents.wording import date_text, money_text
from connector.billing.invoices import (
    CreditNote,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    printed_credit_number,
    printed_number,
)
from connector.billing.members import Member, MethodKind
from connector.billing.offers.plan_terms import TaxCode
from connector.billing.prices.pricing import LineKind
from connector.clock import business_date, zone
from connector.money import Money, total
from connector.use_cases.invoices.owed import credit_notes

_SERVICES = (
    LineKind.PLAN,
    LineKind.INSTALMENT,
    LineKind.DEPOSIT,
    LineKind.INSTANT,
    LineKind.HOLD,
    LineKind.EXIT_FEE,
)
"""Lines for what somebody gets; all others are fees and discounts between subtotal and total."""
_NOTHING_DUE = (InvoiceStatus.COMPLETED, InvoiceStatus.CANCELLED, InvoiceStatus.EXPIRED)
_IN_WORDS = {
    InvoiceStatus.OPEN: "Due",
    InvoiceStatus.PROCESSING: "Payment under way",
    InvoiceStatus.WAITING: "Due",
    InvoiceStatus.COMPLETED: "Paid",
    InvoiceStatus.OVERDUE: "Overdue",
    InvoiceStatus.CANCELLED: "Cancelled",
    InvoiceStatus.EXPIRED: "Expired",
}
_PAID_BY = {MethodKind.CARD: "Card", MethodKind.BECS: "Bank account", MethodKind.DESK: "At the practice"}


def invoice_number(invoice: Invoice) -> str:
    """The number as it is printed, e.g. 'LEURA-000042'."""
    return printed_number(invoice.issued_by, invoice.number)


def invoice_document(session: Session, invoice: Invoice) -> InvoiceDocument:
    """The invoice as it stands now. Raises InvariantBroken when its figures contradict one another."""
    lines = session.scalars(
        select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id).order_by(InvoiceLine.position)
    ).all()
    services = [line for line in lines if line.kind in _SERVICES]
    others = [line for line in lines if line.kind not in _SERVICES]
    names = _names(session, lines)
    paid, notes = _payments(session, invoice)
    currency = invoice.currency
    credit = credit_notes(session, invoice)
    credited = Money(sum(note.amount_cents for note in credit), currency)
    unpaid = Money(max(invoice.amount_cents - credited.cents - paid.cents, 0), currency)
    timezone = str(invoice.issued_by["timezone"])
    return InvoiceDocument(
        number=invoice_number(invoice),
        issued_on=business_date(invoice.issued_at, zone(timezone)),
        due_on=invoice.due_date,
        status=_IN_WORDS[invoice.status],
        seller=_seller(invoice.issued_by),
        bill_to=_bill_to(session.get_one(Member, invoice.member_id)),
        lines=tuple(
            DocumentLine(names.get(line.member_id or "", ""), line.description, _amount(line, currency), _tax(line))
            for line in services
        ),
        subtotal=total((_amount(line, currency) for line in services), currency),
        adjustments=_adjustments(others, currency),
        total=invoice.amount,
        gst=Money(sum(line.gst_cents for line in lines), currency),
        paid=paid,
        credited=credited,
        total_due=Money.zero(currency) if invoice.status in _NOTHING_DUE else unpaid,
        currency=currency,
        payment_notes=(*notes, *(_credit(invoice, note) for note in credit)),
        timezone=timezone,
    )


def _credit(invoice: Invoice, note: CreditNote) -> str:
    number = printed_credit_number(invoice.issued_by, note.number)
    amount = Money(-note.amount_cents, note.currency)
    return f"Credit note {number} on {date_text(note.business_date)}: {money_text(amount)}"


def _amount(line: InvoiceLine, currency: str) -> Money:
    return Money(line.amount_cents, currency)


def _tax(line: InvoiceLine) -> str:
    return GST_FREE if line.tax_code is TaxCode.GST_FREE else "GST incl."


def _adjustments(lines: Sequence[InvoiceLine], currency: str) -> tuple[Adjustment, ...]:
    """What several people have alike is one row."""
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    for line in lines:
        sums[line.description, _tax(line)] += line.amount_cents
    return tuple(Adjustment(label, Money(cents, currency), tax) for (label, tax), cents in sums.items())


def _names(session: Session, lines: Sequence[InvoiceLine]) -> dict[str, str]:
    ids = {line.member_id for line in lines if line.member_id}
    members = session.scalars(select(Member).where(Member.id.in_(ids)))
    return {member.id: f"{member.given_name} {member.family_name}" for member in members}


def _seller(issued_by: dict[str, Any]) -> Seller:
    return Seller(
        name=issued_by["name"],
        trading_name=issued_by["trading_name"],
        abn=issued_by["abn"],
        address=tuple(line for line in issued_by["address"].splitlines() if line.strip()),
        phone=issued_by["phone"],
        email=issued_by["email"],
    )


def _bill_to(member: Member) -> BillTo:
    place = " ".join(part for part in (member.suburb, member.state, member.postcode) if part)
    address = tuple(line for line in (member.address, place) if line)
    return BillTo(f"{member.given_name} {member.family_name}", address)


def _payments(session: Session, invoice: Invoice) -> tuple[Money, tuple[str, ...]]:
    """What has arrived and stayed, and one sentence for each payment, return, and return that was undone."""
    cents, notes = 0, []
    for payment in session.scalars(
        select(Payment).where(Payment.invoice_id == invoice.id).order_by(Payment.settled_at, Payment.id)
    ):
        cents += payment.amount_cents
        notes.append(
            f"{_PAID_BY[payment.method_kind]} on {date_text(payment.business_date)}: {money_text(payment.amount)}"
        )
    query = (
        select(ReturnedPayment, UndoneReturn)
        .join(Payment, Payment.id == ReturnedPayment.payment_id)
        .outerjoin(UndoneReturn, UndoneReturn.returned_payment_id == ReturnedPayment.id)
        .where(Payment.invoice_id == invoice.id)
        .order_by(ReturnedPayment.returned_at, ReturnedPayment.id)
    )
    for back, undone in session.execute(query):
        cents -= back.amount_cents
        gone = Money(back.amount_cents, back.currency)
        notes.append(f"{back.kind.value.capitalize()} on {date_text(back.business_date)}: {money_text(-gone)}")
        if undone is not None:
            cents += undone.amount_cents
            again = Money(undone.amount_cents, undone.currency)
            notes.append(f"Received again on {date_text(undone.business_date)}: {money_text(again)}")
    return Money(max(cents, 0), invoice.currency), tuple(notes)
