"""Show an invoice to its payer as it stands at this moment: what is due, and with what it can be paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.collecting.charges import LIVE_ATTEMPT, AttemptState, Charge, ChargeAttempt
from connector.billing.collecting.declines import REFUSED_BY_PROCESSOR, payer_text
from connector.billing.invoices import UNPAID, Invoice, InvoiceStatus
from connector.billing.members import MethodKind, PaymentMethod
from connector.money import Money
from connector.use_cases.invoices.invoice_document import invoice_number
from connector.use_cases.invoices.owed import owed


class PayState(StrEnum):
    """What the payer can do about an invoice now."""

    DUE = "due"
    AT_BANK = "at_bank"
    """The payer was sent to the bank; what came of it is not known here yet."""
    UNDER_WAY = "under_way"
    """Nothing but wait: the payment is being made."""


@dataclass(frozen=True, slots=True)
class MethodShown:
    """A payment method as its owner recognises it."""

    kind: MethodKind
    last4: str

    @property
    def text(self) -> str:
        """E.g. 'card ending 4242'."""
        what = "card" if self.kind is MethodKind.CARD else "bank account"
        return f"{what} ending {self.last4}" if self.last4 else what


@dataclass(frozen=True, slots=True)
class InvoicePage:
    """All that the page of an invoice shows."""

    invoice_id: str
    number: str
    amount: Money
    due: date
    overdue: bool
    state: PayState
    method: MethodShown | None
    failure: str
    """Why the last try did not succeed, in words for the payer; empty when there was none."""


@dataclass(frozen=True, slots=True)
class PaidPage:
    """All that the page of a paid invoice shows, beside the invoice itself."""

    number: str
    amount: Money


def paid_page(invoice: Invoice) -> PaidPage | None:
    """The page of an invoice that is paid; None while anything is owed on it."""
    is_paid = invoice.status is InvoiceStatus.COMPLETED
    return PaidPage(invoice_number(invoice), invoice.amount) if is_paid else None


def invoice_page(session: Session, invoice: Invoice) -> InvoicePage | None:
    """The page of an invoice; None when nothing is owed on it."""
    if invoice.status not in (*UNPAID, InvoiceStatus.PROCESSING):
        return None
    attempt = live_attempt(session, invoice.id)
    if attempt is not None and attempt.state is AttemptState.PAYER:
        state = PayState.AT_BANK
    elif invoice.status is InvoiceStatus.PROCESSING or (attempt and attempt.state is not AttemptState.PLANNED):
        state = PayState.UNDER_WAY
    else:
        state = PayState.DUE
    overdue = invoice.status is InvoiceStatus.OVERDUE
    return InvoicePage(
        invoice_id=invoice.id,
        number=invoice_number(invoice),
        amount=Money(owed(session, invoice), invoice.currency),
        due=invoice.due_date,
        overdue=overdue,
        state=state,
        method=usable_method(session, invoice.member_id),
        failure=last_failure(session, invoice.id) if overdue and state is PayState.DUE else "",
    )


def live_attempt(session: Session, invoice_id: str) -> ChargeAttempt | None:
    """The attempt to collect that invoice that is planned or under way."""
    query = select(ChargeAttempt).join(Charge, Charge.id == ChargeAttempt.charge_id)
    return session.scalar(query.where(Charge.invoice_id == invoice_id, ChargeAttempt.state.in_(LIVE_ATTEMPT)))


def usable_method(session: Session, member_id: str) -> MethodShown | None:
    """What the member's payments are taken from now, as a page offers it."""
    method = offered_method(session, member_id)
    return shown(method) if method else None


def shown(method: PaymentMethod) -> MethodShown:
    """The method as its owner recognises it."""
    return MethodShown(method.kind, method.last4)


def offered_method(session: Session, member_id: str) -> PaymentMethod | None:
    """The member's usable method, unless the processor would not even try it the last time.

    It may have been removed there, which is known here only once the news are read.
    """
    query = select(PaymentMethod).where(PaymentMethod.member_id == member_id, PaymentMethod.usable.is_(True))
    method = session.scalars(query).first()
    if method is None:
        return None
    tried = select(ChargeAttempt.failure_code).where(
        ChargeAttempt.payment_method_id == method.id, ChargeAttempt.decided_at.is_not(None)
    )
    newest = session.scalars(tried.order_by(ChargeAttempt.decided_at.desc(), ChargeAttempt.id.desc())).first()
    return None if newest == REFUSED_BY_PROCESSOR else method


def last_failure(session: Session, invoice_id: str) -> str:
    """One generic sentence on the newest failed attempt; a loss or a suspicion is never told."""
    query = (
        select(ChargeAttempt.failure_code)
        .join(Charge, Charge.id == ChargeAttempt.charge_id)
        .where(Charge.invoice_id == invoice_id, ChargeAttempt.state == AttemptState.FAILED)
        .order_by(ChargeAttempt.decided_at.desc(), ChargeAttempt.id.desc())
    )
    code = session.scalars(query).first()
    return payer_text(code) if code else ""
