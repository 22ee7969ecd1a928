"""Pay an invoice now, with the payer present and the payment method on file."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.collecting.charges import ABANDONED, AttemptState, ChargeAttempt, Origin
from connector.billing.collecting.declines import payer_text
from connector.billing.invoices import UNPAID, Invoice, InvoiceStatus
from connector.billing.members import PaymentMethod
from connector.billing.processor import ChargeReport, ChargeStatus
from connector.clock import business_date
from connector.errors import DomainError, EdgeError
from connector.use_cases.collection.collect_charge import METHOD_GONE, REFUSED, collect_charge
from connector.use_cases.collection.plan_attempts import plan_again, withdraw
from connector.use_cases.context import Context
from connector.use_cases.invoices.lock_invoice import lock_invoice
from connector.use_cases.patient_pages.refusals import NO_METHOD, PayerRefusal
from connector.use_cases.patient_pages.show_invoice import live_attempt
from connector.use_cases.practice.location_settings import require_active


class Paid(StrEnum):
    """What came of it."""

    YES = "yes"
    SOON = "soon"
    """A bank debit is on its way and takes some days, or the answer is not known yet."""
    AT_BANK = "at_bank"
    """The payer has to answer the bank's question first."""
    NO = "no"
    ELSEWHERE = "elsewhere"
    """Somebody was quicker: it is being paid by another request."""
    ALREADY = "already"
    """Somebody was quicker, and it is paid."""
    OVER = "over"
    """It is not asked for any more."""


@dataclass(frozen=True, slots=True)
class PayOutcome:
    """What came of a payment that its payer started."""

    paid: Paid
    text: str = ""
    """Why not, in words for the payer."""
    payer_url: str = field(default="", repr=False)
    """The bank's page; a secret."""


UNREACHABLE = "The payment cannot be made just now, and nothing was taken: please try again in a few minutes."
NOT_FINISHED = "The payment was not finished at your bank, and nothing was taken: please try again."
METHOD_ENDED = "Your card or account on file can no longer be used: please give another one."


def pay_invoice(context: Context, invoice_id: str, return_url: str) -> PayOutcome:
    """Charge the payer's method for that invoice, in place of what was planned for it.

    Of two requests at once one pays; the other is told so. Raises DomainError without a payment method, and while the
    location takes no payments.
    """
    look_at_bank(context, invoice_id)
    with context.database.unit_of_work() as session:
        # Locked, so that of two requests at once the second finds the attempt of the first (PostgreSQL).
        invoice = lock_invoice(session, invoice_id)
        planned = live_attempt(session, invoice_id)
        attempt_id = _begin(session, context, invoice, planned)
    if isinstance(attempt_id, PayOutcome):
        return attempt_id
    try:
        report = collect_charge(context, attempt_id, return_url)
    except (DomainError, EdgeError):
        return _unanswered(context, invoice_id, planned)
    return outcome_of(report)


def look_at_bank(context: Context, invoice_id: str) -> None:
    """A payer who comes back without the bank's answer begins anew; one who brought it has paid."""
    with context.database.read() as session:
        attempt = live_attempt(session, invoice_id)
    if attempt is not None and attempt.state is AttemptState.PAYER:
        # What is paid but cannot be recorded just now is no matter of the payer's: it is not asked for again.
        with suppress(DomainError):
            collect_charge(context, attempt.id)


def _begin(session: Session, context: Context, invoice: Invoice, waiting: ChargeAttempt | None) -> str | PayOutcome:
    """Plan the attempt that is made right now; an outcome when the invoice is being paid already, or owes nothing."""
    now = context.clock.now()
    location = session.get_one(Location, invoice.location_id)
    require_active(location)
    if invoice.status not in UNPAID or (waiting is not None and waiting.origin is Origin.PAYER):
        return PayOutcome(_SETTLED.get(invoice.status, Paid.ELSEWHERE))
    usable = select(PaymentMethod.id).where(
        PaymentMethod.member_id == invoice.member_id, PaymentMethod.usable.is_(True)
    )
    method_id = session.scalars(usable).first()
    if method_id is None:
        raise PayerRefusal(NO_METHOD)
    if not withdraw(session, invoice.id, now):
        return PayOutcome(Paid.ELSEWHERE)
    today = business_date(now, location.zone)
    if not plan_again(session, location, invoice, method_id, Origin.PAYER, today, now):
        return PayOutcome(Paid.ELSEWHERE)
    planned = live_attempt(session, invoice.id)
    return planned.id if planned else PayOutcome(Paid.ELSEWHERE)


_SETTLED = {
    InvoiceStatus.COMPLETED: Paid.ALREADY,
    InvoiceStatus.CANCELLED: Paid.OVER,
    InvoiceStatus.EXPIRED: Paid.OVER,
}


def _unanswered(context: Context, invoice_id: str, planned: ChargeAttempt | None) -> PayOutcome:
    """The processor did not answer. What was certainly not sent is called off, so that the payer can try again.

    What was planned before is planned again: whoever does not try again is charged when it was due.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        invoice = lock_invoice(session, invoice_id)
        withdrawn = withdraw(session, invoice_id, now)
        if withdrawn and planned is not None:
            location = session.get_one(Location, invoice.location_id)
            method_id, origin, day = planned.payment_method_id, planned.origin, planned.debit_on
            plan_again(session, location, invoice, method_id, origin, day, now)
    return PayOutcome(Paid.NO, UNREACHABLE) if withdrawn else PayOutcome(Paid.SOON)


def outcome_of(report: ChargeReport | None) -> PayOutcome:
    """The processor's answer as the payer sees it."""
    if report is None:
        return PayOutcome(Paid.SOON)
    match report.status:
        case ChargeStatus.SUCCEEDED:
            return PayOutcome(Paid.YES)
        case ChargeStatus.PROCESSING:
            return PayOutcome(Paid.SOON)
        case ChargeStatus.NEEDS_PAYER if report.payer_url:
            return PayOutcome(Paid.AT_BANK, payer_url=report.payer_url)
    return PayOutcome(Paid.NO, refusal_text(report.failure_code or ""))


def refusal_text(code: str) -> str:
    """Why a payment was not made, for the payer."""
    return {ABANDONED: NOT_FINISHED, METHOD_GONE: METHOD_ENDED, REFUSED: payer_text(REFUSED)}.get(
        code, payer_text(code)
    )
