"""A person's money, for the front desk: what is asked for next under any agreement, and what was taken or refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from connector.billing.activity import CONNECTOR, Activity
from connector.billing.agreements.contracts import BILLABLE, AgreementStatus, Contract
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.clinics import Location
from connector.billing.collecting.charges import LIVE_ATTEMPT, AttemptState, Charge, ChargeAttempt, Payment
from connector.billing.collecting.charges import ReturnedPayment as Returned
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.prices.platform_fee import Tier
from connector.billing.prices.pricing import PricedLine, amount_of
from connector.money import Money
from connector.use_cases.invoices.invoice_document import invoice_number
from connector.use_cases.invoices.issue_due import instalment_invoice_lines
from connector.use_cases.invoices.price_periods import Prices
from connector.use_cases.members.memberships import NOT_BEGUN

HISTORY = 50
"""Entries of the timeline."""

_OWED = (InvoiceStatus.OPEN, InvoiceStatus.WAITING, InvoiceStatus.OVERDUE, InvoiceStatus.PROCESSING)
_PAYS = (*BILLABLE, AgreementStatus.SUSPENDED)
"""A paused payment plan goes on by itself on its next due date."""


@dataclass(frozen=True, slots=True, order=True)
class Coming:
    """One payment that is to come, in cents; `subject` is the contract, payment plan or invoice it is for."""

    on: date
    subject: str
    cents: int


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened to a person, their contract or their money; an actor is a person or the connector."""

    at: datetime
    action: str
    detail: dict[str, Any]
    actor: str


def open_invoices(session: Session, contract_id: str, member_id: str) -> tuple[Invoice, ...]:
    """What is owed on the contract, and by this person under any agreement, the oldest first."""
    whose = or_(Invoice.contract_id == contract_id, Invoice.member_id == member_id)
    query = select(Invoice).where(whose, Invoice.status.in_(_OWED))
    return tuple(session.scalars(query.order_by(Invoice.due_date, Invoice.number)))


def coming_payments(
    session: Session, tiers: Mapping[str, Tier], location: Location, payer_id: str
) -> tuple[Coming, ...]:
    """The next payment of each agreement of the payer, and each that is planned for an invoice; the earliest first."""
    found = []
    for contract in session.scalars(select(Contract).where(Contract.member_id == payer_id)):
        due = contract.next_due
        if due is None or contract.status in NOT_BEGUN:
            continue
        lines = next_lines(session, tiers, location, contract, due)
        if lines is not None:
            found.append(Coming(due, contract.id, amount_of(lines, contract.currency).cents))
    plans = select(PaymentPlan).where(PaymentPlan.member_id == payer_id, PaymentPlan.status.in_(_PAYS))
    found += [
        Coming(plan.next_due, plan.id, _instalment(tiers, location, plan).cents)
        for plan in session.scalars(plans)
        if plan.next_due and plan.next_number <= plan.instalment_count
    ]
    tries = (
        select(ChargeAttempt.debit_on, Invoice)
        .join(Charge, Charge.id == ChargeAttempt.charge_id)
        .join(Invoice, Invoice.id == Charge.invoice_id)
        .where(Invoice.member_id == payer_id, ChargeAttempt.state.in_(LIVE_ATTEMPT))
    )
    found += [Coming(on, invoice_number(invoice), invoice.amount_cents) for on, invoice in session.execute(tries)]
    return tuple(sorted(found))


def _instalment(tiers: Mapping[str, Tier], location: Location, plan: PaymentPlan) -> Money:
    return amount_of(instalment_invoice_lines(tiers, location, plan, plan.next_number), plan.currency)


def next_lines(
    session: Session, tiers: Mapping[str, Tier], location: Location, contract: Contract, today: date
) -> tuple[PricedLine, ...] | None:
    """What a contract is charged next; None when it is paused, has ended, or ends before."""
    prices = Prices(session, location, [contract.id])
    if contract.status in NOT_BEGUN:
        return prices.invoice_lines(tiers, contract, contract.next_period, contract.anchor or today)
    due = contract.next_due
    if contract.status not in BILLABLE or due is None or (contract.ends_on and contract.ends_on < due):
        return None
    return prices.invoice_lines(tiers, contract, contract.next_period, due)


def history(session: Session, contract_id: str, people: Collection[str], member_id: str) -> tuple[Entry, ...]:
    """What people did to these subjects, and what became of the person's money, the newest first."""
    query = select(Activity).where(Activity.subject_id.in_(people)).order_by(Activity.sequence.desc()).limit(HISTORY)
    entries = [Entry(row.at, row.action, row.detail, row.actor) for row in session.scalars(query)]
    entries += _payments(session, contract_id, member_id)
    # The sort is stable: what happened at one instant stays in the order in which it was noted.
    return tuple(sorted(entries, key=lambda entry: entry.at, reverse=True)[:HISTORY])


def _payments(session: Session, contract_id: str, member_id: str) -> list[Entry]:
    """Payments, refused charges and returns of the contract's invoices and of this person's others."""
    whose = or_(Invoice.contract_id == contract_id, Invoice.member_id == member_id)
    paid = select(Payment, Invoice).join(Invoice, Invoice.id == Payment.invoice_id).where(whose)
    entries = [
        _entry(row.recorded_at, "Payment Taken", invoice, row.amount_cents, payment=row.id, by=row.method_kind.value)
        for row, invoice in session.execute(paid.order_by(Payment.recorded_at.desc()).limit(HISTORY))
    ]
    back = (
        select(Returned, Payment.id, Invoice)
        .join(Payment, Payment.id == Returned.payment_id)
        .join(Invoice, Invoice.id == Payment.invoice_id)
    )
    entries += [
        _entry(row.recorded_at, "Payment Returned", invoice, row.amount_cents, payment=paid_id, by=row.kind.value)
        for row, paid_id, invoice in session.execute(
            back.where(whose).order_by(Returned.recorded_at.desc()).limit(HISTORY)
        )
    ]
    failed = (
        select(ChargeAttempt, Invoice)
        .join(Charge, Charge.id == ChargeAttempt.charge_id)
        .join(Invoice, Invoice.id == Charge.invoice_id)
        .where(whose, ChargeAttempt.state == AttemptState.FAILED, ChargeAttempt.decided_at.is_not(None))
    )
    return entries + [
        _entry(row.decided_at, "Charge Failed", invoice, invoice.amount_cents, code=row.failure_code or "")
        for row, invoice in session.execute(failed.order_by(ChargeAttempt.decided_at.desc()).limit(HISTORY))
        if row.decided_at
    ]


def _entry(at: datetime, action: str, invoice: Invoice, cents: int, **detail: str) -> Entry:
    return Entry(at, action, {"invoice": invoice_number(invoice), "amount_cents": cents, **detail}, CONNECTOR)
