"""End a payment plan before its time, and put away one that is over."""

from __future__ import annotations

from sqlalchemy import select

from connector.billing.activity import remember
from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.clinics import Location
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.links import LinkKind, end
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.context import Context
from connector.use_cases.invoices.give_up_unpaid import give_up_unpaid, money_under_way
from connector.use_cases.payment_plans.agree_payment_plan import find_plan

_OVER = (AgreementStatus.COMPLETED, AgreementStatus.CANCELLED)


def cancel_payment_plan(context: Context, plan_id: str, actor: str) -> int:
    """Charge nothing more of the plan and give up what is unpaid; returns of how many invoices. What was paid stays so.

    Raises DomainError when the plan is over, or while a debit is under way.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        plan = find_plan(session, plan_id)
        if plan.status in _OVER:
            raise DomainError(f"The payment plan {plan_id} is {plan.status.value} already.")
        invoices = session.scalars(select(Invoice).where(Invoice.payment_plan_id == plan_id)).all()
        if busy := money_under_way(session, invoices):
            raise DomainError(f"A payment of invoice {busy.number} is under way: cancel the plan once it has ended.")
        location = session.get_one(Location, plan.location_id)
        voided = give_up_unpaid(session, invoices, InvoiceStatus.CANCELLED, business_date(now, location.zone), now)
        plan.status, plan.next_due = AgreementStatus.CANCELLED, None
        end(session, LinkKind.PAYMENT, plan_id, "cancelled", now)
        remember(session, plan_id, "Payment Plan Cancelled", now, location_id=location.id, actor=actor)
    return voided


def archive_payment_plan(context: Context, plan_id: str, actor: str) -> None:
    """Show it no longer in lists. Raises DomainError unless it is completed or cancelled."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        plan = find_plan(session, plan_id)
        if plan.status not in _OVER:
            raise DomainError(f"The payment plan {plan_id} is {plan.status.value}: only one that is over is archived.")
        if plan.archived_at is None:
            plan.archived_at = now
            remember(session, plan_id, "Payment Plan Archived", now, location_id=plan.location_id, actor=actor)
