"""Give up what is owed on an agreement that ends, in the caller's unit of work. Money under way is not called off."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.collecting.charges import LIVE_ATTEMPT, AttemptState, Charge, ChargeAttempt
from connector.billing.invoices import UNPAID, Invoice, InvoiceStatus
from connector.use_cases.collection.plan_attempts import withdraw
from connector.use_cases.invoices.lock_invoice import lock_invoices
from connector.use_cases.invoices.take_back import give_up
from connector.use_cases.recovery.recover import end_recovery

_SENT = [state for state in LIVE_ATTEMPT if state is not AttemptState.PLANNED]


def money_under_way(session: Session, invoices: Sequence[Invoice]) -> Invoice | None:
    """An invoice for which something was sent that has no answer yet, such as a bank debit that takes days.

    They are locked by that, so that what was not sent by now is not sent before the caller has decided.
    """
    lock_invoices(session, invoices)
    sent = (
        select(Charge.invoice_id)
        .join(ChargeAttempt, ChargeAttempt.charge_id == Charge.id)
        .where(Charge.invoice_id.in_([invoice.id for invoice in invoices]), ChargeAttempt.state.in_(_SENT))
    )
    busy = set(session.scalars(sent))
    return next((row for row in invoices if row.id in busy or row.status is InvoiceStatus.PROCESSING), None)


def give_up_unpaid(
    session: Session, invoices: Sequence[Invoice], status: InvoiceStatus, today: date, now: datetime
) -> int:
    """Ask no longer for the unpaid ones of these; returns how many. None may have money under way."""
    unpaid = [invoice for invoice in invoices if invoice.status in UNPAID]
    for invoice in unpaid:
        withdraw(session, invoice.id, now)
        give_up(session, invoice, status, today, now)
        end_recovery(session, invoice.id, status.value, now)
    return len(unpaid)
