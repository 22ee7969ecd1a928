"""How far a payment plan has come: its whole schedule, what is paid, and what is outstanding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.schedule import first_due_from
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.money import Money, total

PLANNED = "planned"
"""Not invoiced yet."""
_SETTLED = (InvoiceStatus.COMPLETED, InvoiceStatus.CANCELLED, InvoiceStatus.EXPIRED)


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """The deposit (0) or an instalment, with its invoice where it has one."""

    number: int
    due: date
    amount: Money
    invoice_number: int | None
    status: str
    """The invoice's, or 'planned'; 'cancelled' for what will never be invoiced."""

    @property
    def owed(self) -> bool:
        return self.status not in _SETTLED


@dataclass(frozen=True, slots=True)
class Progress:
    """Instalments paid of all, and what is outstanding, whether invoiced or not; e.g. 4/12."""

    paid: int
    count: int
    balance: Money

    def __str__(self) -> str:
        return f"{self.paid}/{self.count}"


def schedule_of(plan: PaymentPlan, invoices: Sequence[Invoice]) -> list[ScheduleRow]:
    """Every part of the plan, in order. `invoices` are all invoices of the plan.

    Instalments are invoiced in order, so an invoice holds those from its own number up to that of the next invoice.
    """
    first = 0 if plan.deposit_cents + plan.setup_fee_cents else 1
    newest_first = sorted(invoices, key=lambda invoice: -invoice.period)
    dates = plan if plan.status is not AgreementStatus.SUSPENDED else _as_resumed(plan)
    rows = []
    for number in range(first, plan.instalment_count + 1):
        amount = plan.instalment(number).amount
        invoice = next((row for row in newest_first if row.period <= number < plan.next_number), None)
        if invoice is not None:
            rows.append(ScheduleRow(number, invoice.due_date, amount, invoice.number, invoice.status.value))
        else:
            status = "cancelled" if plan.status is AgreementStatus.CANCELLED else PLANNED
            due = plan.next_due if number == plan.next_number and dates is plan else None
            rows.append(ScheduleRow(number, due or dates.instalment(number).due, amount, None, status))
    return rows


def progress_of(plan: PaymentPlan, rows: Sequence[ScheduleRow]) -> Progress:
    """The sum over a plan's schedule; the deposit is no instalment, and owed all the same."""
    paid = sum(row.number > 0 and row.status == InvoiceStatus.COMPLETED for row in rows)
    return Progress(paid, plan.instalment_count, total((row.amount for row in rows if row.owed), plan.currency))


def resumed_dates(plan: PaymentPlan, day: date) -> tuple[int, date]:
    """Anchor number and due date of the next instalment of a paused plan that goes on from `day`.

    An agreed day that has not passed stays; otherwise it is the next one of the plan's own cycle, so that a payday
    stays a payday.
    """
    agreed = plan.instalment(plan.next_number).due
    if agreed >= day:
        return plan.anchor_number, agreed
    period, due = first_due_from(plan.anchor, plan.frequency, day)
    return plan.next_number - period, due


def _as_resumed(plan: PaymentPlan) -> PaymentPlan:
    """A copy of a paused plan as it will be when it goes on by itself."""
    number, _ = resumed_dates(plan, plan.next_due or plan.anchor)
    return PaymentPlan(
        anchor=plan.anchor,
        anchor_number=number,
        frequency=plan.frequency,
        total_cents=plan.total_cents,
        deposit_cents=plan.deposit_cents,
        setup_fee_cents=plan.setup_fee_cents,
        currency=plan.currency,
        instalment_count=plan.instalment_count,
    )
