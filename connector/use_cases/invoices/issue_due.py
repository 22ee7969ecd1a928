"""Issue what is due: an invoice for each due period or instalment, with the attempt to collect it.

Issuing commits invoice, charge and attempt together, before Stripe hears of anything. Running it twice, or in two
processes at once, issues nothing twice: the period is part of a unique key, and the next due date moves with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import BILLABLE, AgreementStatus, Contract
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.clinics import Location
from connector.billing.collecting.catch_up import Release, debit_day
from connector.billing.collecting.catch_up import select as select_releases
from connector.billing.invoices import InvoiceKind, InvoiceStatus
from connector.billing.members import MethodKind
from connector.billing.offers.plan_terms import TaxCode
from connector.billing.prices.platform_fee import Tier
from connector.billing.prices.pricing import LineKind, PricedLine
from connector.clock import business_date
from connector.money import Money
from connector.use_cases.collection.plan_attempts import FirstTry, Payer, busy_days, payers, plan_first
from connector.use_cases.context import Context
from connector.use_cases.invoices.issue import Draft, Issued, issue
from connector.use_cases.invoices.platform_fees import with_platform_fee
from connector.use_cases.invoices.price_periods import Prices
from connector.use_cases.plans.apply_plan_changes import apply_plan_changes
from connector.use_cases.recovery.recover import begin_recovery

BATCH = 500
"""Agreements per unit of work: larger batches gain nothing and hold the write lock longer."""
PERIODS_MAX = 160
"""So many periods of one agreement are issued in one go: three years of weeks."""

A = TypeVar("A", Contract, PaymentPlan)


@dataclass
class IssueTally:
    """What was issued."""

    invoiced: int = 0
    without_method: int = 0
    """Invoices that nobody can be charged for: the payer has no usable payment method."""
    waiting: int = 0
    """Invoices of missed periods that a person must release."""


def issue_due(context: Context, location: Location, tally: IssueTally) -> None:
    """Issue one invoice per due period or instalment of the location, until none is due."""
    while True:
        now = context.clock.now()
        today = business_date(now, location.zone)
        with context.database.unit_of_work() as session:
            # A contract under notice is billed up to its last day.
            going_on = Contract.ends_on.is_(None) | (Contract.next_due <= Contract.ends_on)
            due: list[Contract | PaymentPlan] = [
                *_due(session, Contract, location, today, going_on),
                *_due(session, PaymentPlan, location, today),
            ]
            if due:
                _issue(session, context, location, due, today, tally)
        if not due:
            return


def _due(
    session: Session, kind: type[A], location: Location, today: date, *conditions: ColumnElement[bool]
) -> Sequence[A]:
    query = (
        select(kind)
        .where(kind.location_id == location.id, kind.status.in_(BILLABLE), kind.next_due <= today, *conditions)
        # By date alone, as the index has it: to sort those of one day as well would read all of them for each batch.
        .order_by(kind.next_due)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    return session.scalars(query).all()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A draft with what is to become of it."""

    draft: Draft
    release: Release
    agreement: Contract | PaymentPlan

    def comes_late(self, today: date) -> bool:
        """Whether it is to have a day on which its payer has no other debit: its own has passed, or is another's."""
        return self.draft.due < today or self.release is Release.CHARGE_LATER


def _issue(
    session: Session,
    context: Context,
    location: Location,
    due: Sequence[Contract | PaymentPlan],
    today: date,
    tally: IssueTally,
) -> None:
    now = context.clock.now()
    contracts = [agreement for agreement in due if isinstance(agreement, Contract)]
    if contracts:
        apply_plan_changes(session, contracts, now)
    prices = Prices(session, location, [contract.id for contract in contracts])
    paying = payers(session, {agreement.member_id for agreement in due})
    wanted = [
        _Wanted(_draft(agreement, period, day, prices, release, paying.get(agreement.member_id)), release, agreement)
        for agreement in due
        for period, day, release in _periods(agreement, location, today)
    ]
    session.flush()
    issued = issue(session, location, [item.draft for item in wanted], now, context.tiers)
    _collect(session, location, list(zip(wanted, issued, strict=True)), paying, today, now)
    for item in issued:
        tally.invoiced += 1
        tally.waiting += item.status is InvoiceStatus.WAITING
        tally.without_method += item.status is InvoiceStatus.OVERDUE


def _periods(agreement: Contract | PaymentPlan, location: Location, today: date) -> list[tuple[int, date, Release]]:
    """The due periods, oldest first, and the agreement's step beyond each of them."""
    found: list[tuple[int, date]] = []
    last = today
    if isinstance(agreement, Contract):
        last = min(today, agreement.ends_on or today)
    while agreement.next_due is not None and agreement.next_due <= last and len(found) < PERIODS_MAX:
        number = agreement.next_period if isinstance(agreement, Contract) else agreement.next_number
        found.append((number, agreement.next_due))
        agreement.step()
    releases = dict(select_releases(location.policy.catch_up, found, today))
    return [(period, day, releases[period]) for period, day in found]


def _draft(
    agreement: Contract | PaymentPlan, period: int, due: date, prices: Prices, release: Release, payer: Payer | None
) -> Draft:
    status = InvoiceStatus.OPEN if payer else InvoiceStatus.OVERDUE
    if release is Release.WAIT_FOR_PERSON:
        status = InvoiceStatus.WAITING
    if isinstance(agreement, Contract):
        kind, column, lines = InvoiceKind.MEMBERSHIP, "contract_id", prices.lines(agreement, period, due)
    else:
        kind, column, lines = InvoiceKind.INSTALMENT, "payment_plan_id", instalment_lines(agreement, period)
    of = (column, agreement.id)
    return Draft(kind, agreement.member_id, of, period, due, lines, status, agreement.fee_bearer)


def instalment_lines(plan: PaymentPlan, number: int) -> tuple[PricedLine, ...]:
    """The lines of an instalment; of the deposit (0), with the set-up fee beside it."""
    if number:
        said = f"Instalment {number} of {plan.instalment_count}"
        return (_line(plan, LineKind.INSTALMENT, said, plan.instalment(number).amount.cents),)
    lines = [
        _line(plan, LineKind.DEPOSIT, "Deposit", plan.deposit_cents),
        _line(plan, LineKind.SETUP_FEE, "Set-up fee", plan.setup_fee_cents),
    ]
    return tuple(line for line in lines if line.amount)


def instalment_invoice_lines(
    tiers: Mapping[str, Tier], location: Location, plan: PaymentPlan, number: int
) -> tuple[PricedLine, ...]:
    """All lines that the invoice of an instalment will have, with the platform's fee where the payer bears it."""
    return with_platform_fee(tiers, location, InvoiceKind.INSTALMENT, instalment_lines(plan, number), plan.fee_bearer)


def _line(plan: PaymentPlan, kind: LineKind, said: str, cents: int) -> PricedLine:
    return PricedLine(kind, plan.member_id, said, Money(cents, plan.currency), TaxCode.GST_FREE)


def _collect(
    session: Session,
    location: Location,
    items: Sequence[tuple[_Wanted, Issued]],
    paying: dict[str, Payer],
    today: date,
    now: datetime,
) -> None:
    """Plan the attempts, of what is late on days that are left; whoever cannot be charged is overdue at once."""
    late = {wanted.draft.member_id for wanted, _ in items if wanted.comes_late(today)}
    taken = busy_days(session, location.calendar, late, today) if late else {}
    tries = []
    # What falls due today keeps its day; of the rest the oldest is first.
    for wanted, issued in sorted(items, key=lambda item: (item[0].comes_late(today), item[0].draft.due)):
        if issued.status is InvoiceStatus.OVERDUE:
            if wanted.agreement.status is AgreementStatus.ACTIVE:
                wanted.agreement.status = AgreementStatus.OVERDUE
            begin_recovery(session, location, issued.id, today)
        if issued.status is not InvoiceStatus.OPEN:
            continue
        payer = paying[wanted.draft.member_id]
        busy = taken.setdefault(wanted.draft.member_id, set())
        avoid = busy if wanted.comes_late(today) else set()
        day = debit_day(today, avoid, location.calendar, is_becs=payer.kind is MethodKind.BECS)
        busy.add(day)
        tries.append(FirstTry(issued.id, issued.draft.total, payer.method_id, day))
    plan_first(session, location, tries, now)
