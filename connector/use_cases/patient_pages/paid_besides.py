"""What another payment method pays besides what its payer came for: all else that is overdue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from connector.billing.collecting.charges import AttemptState
from connector.billing.documents.wording import date_text, money_text
from connector.money import Money
from connector.use_cases.collection.retry_overdue import overdue_of
from connector.use_cases.invoices.invoice_document import invoice_number
from connector.use_cases.invoices.owed import claimed, kept
from connector.use_cases.patient_pages.show_invoice import live_attempt


@dataclass(frozen=True, slots=True)
class PaidBesides:
    """One overdue invoice."""

    number: str
    amount: Money
    due: date
    planned: date | None
    """The day on which it was to be tried again anyhow; None: at once."""


def paid_besides(session: Session, member_id: str, subject_id: str) -> tuple[PaidBesides, ...]:
    """The other overdue invoices of the payer of that subject. What was sent already stays with the old method."""
    found = []
    for invoice in session.scalars(overdue_of(member_id)):
        own = (invoice.id, invoice.contract_id, invoice.payment_plan_id, invoice.instant_payment_id)
        left = Money(claimed(session, invoice) - kept(session, invoice), invoice.currency)
        live = live_attempt(session, invoice.id)
        if subject_id in own or left.cents <= 0 or (live and live.state is not AttemptState.PLANNED):
            continue
        found.append(PaidBesides(invoice_number(invoice), left, invoice.due_date, live.debit_on if live else None))
    return tuple(found)


def in_all(others: tuple[PaidBesides, ...], own: Money | None = None) -> Money:
    """What that comes to, with what the payer came for."""
    first, *more = [*([own] if own else []), *(other.amount for other in others)]
    return sum(more, start=first)


def besides_text(others: tuple[PaidBesides, ...]) -> str:
    """The same as one sentence for the processor's page, with the sum first; empty for nothing."""
    if not others:
        return ""
    parts = "; ".join(f"{other.number} due {date_text(other.due)}" for other in others)
    return f" What else is overdue, {money_text(in_all(others))} in all, is collected, too: {parts}."
