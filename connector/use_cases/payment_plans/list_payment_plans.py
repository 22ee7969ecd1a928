"""Payment plans with their schedules, for lists and for one plan's page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.agreements.instalment_progress import Progress, ScheduleRow, progress_of, schedule_of
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.clinics import Location
from connector.billing.invoices import Invoice
from connector.errors import DomainError
from connector.use_cases.context import Context


@dataclass(frozen=True, slots=True)
class PaymentPlanView:
    """One plan as it stands; amounts in cents."""

    id: str
    member_id: str
    description: str
    status: str
    total_cents: int
    deposit_cents: int
    setup_fee_cents: int
    frequency: str
    next_due: date | None
    """Of a paused plan, the day on which it goes on."""
    progress: Progress
    schedule: Sequence[ScheduleRow]

    def document(self, *, schedule: bool = False) -> dict[str, Any]:
        """For machines."""
        names = ("id", "member_id", "description", "status", "total_cents", "deposit_cents", "setup_fee_cents")
        document = {name: getattr(self, name) for name in (*names, "frequency", "next_due")}
        progress = self.progress
        document |= {
            "paid": progress.paid,
            "instalments": progress.count,
            "progress": str(progress),
            "balance_cents": progress.balance.cents,
        }
        if schedule:
            document["schedule"] = [
                {
                    "number": row.number,
                    "due": row.due,
                    "amount_cents": row.amount.cents,
                    "invoice": row.invoice_number,
                    "status": row.status,
                }
                for row in self.schedule
            ]
        return document


def list_payment_plans(
    context: Context, location: Location, status: AgreementStatus | None = None, *, archived: bool = False
) -> list[PaymentPlanView]:
    """The plans of a location, oldest first, without those that were put away, or only them."""
    query = select(PaymentPlan).where(PaymentPlan.location_id == location.id)
    put_away = PaymentPlan.archived_at
    query = query.where(put_away.is_not(None) if archived else put_away.is_(None))
    if status is not None:
        query = query.where(PaymentPlan.status == status)
    with context.database.read() as session:
        return _views(session, session.scalars(query.order_by(PaymentPlan.created_at, PaymentPlan.id)).all())


def show_payment_plan(context: Context, plan_id: str) -> PaymentPlanView:
    """One plan. Raises DomainError when there is none."""
    with context.database.read() as session:
        plan = session.get(PaymentPlan, plan_id)
        if plan is None:
            raise DomainError(
                f"There is no payment plan {plan_id!r}: see `connector payment-plans list --location SLUG`."
            )
        return _views(session, [plan])[0]


def _views(session: Session, plans: Sequence[PaymentPlan]) -> list[PaymentPlanView]:
    invoices: defaultdict[str | None, list[Invoice]] = defaultdict(list)
    for row in session.scalars(select(Invoice).where(Invoice.payment_plan_id.in_([plan.id for plan in plans]))):
        invoices[row.payment_plan_id].append(row)
    return [_view(plan, schedule_of(plan, invoices[plan.id])) for plan in plans]


def _view(plan: PaymentPlan, rows: Sequence[ScheduleRow]) -> PaymentPlanView:
    return PaymentPlanView(
        id=plan.id,
        member_id=plan.member_id,
        description=plan.description,
        status=plan.status.value,
        total_cents=plan.total_cents,
        deposit_cents=plan.deposit_cents,
        setup_fee_cents=plan.setup_fee_cents,
        frequency=plan.frequency.value,
        next_due=plan.next_due,
        progress=progress_of(plan, rows),
        schedule=rows,
    )
