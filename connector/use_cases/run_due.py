"""Charge what is due: issue the invoices of due periods and instalments, then collect them through Stripe.

Issuing commits the invoice, the charge and the attempt together, before Stripe hears of anything. Running it twice, or
in two processes at once, issues nothing twice: the period is part of a unique key, and the due date moves with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from threading import Lock
from typing import Any, TypeVar

import structlog
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.charges import AttemptState, Charge, ChargeAttempt
from connector.billing.clinics import Location
from connector.billing.contracts import BILLABLE, AgreementStatus, Contract, PaymentPlan
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import PaymentMethod
from connector.clock import business_date
from connector.errors import EdgeError, InvariantBroken, OutcomeUnknown
from connector.ledger import recipes
from connector.ledger.accounts import Account
from connector.ledger.journal import Booking, post
from connector.use_cases.collect_charge import collect_charge
from connector.use_cases.context import Context

log = structlog.get_logger()

BATCH = 500
"""Agreements per unit of work: larger batches gain nothing and hold the write lock longer."""

UNCLEAR_MAX = 3
"""So many unclear answers in one run mean that Stripe is in trouble, and each may have taken a full time-out."""

A = TypeVar("A", Contract, PaymentPlan)
Mapper = Callable[[Callable[[str], None], Sequence[str]], Iterable[None]]


@dataclass
class DueReport:
    """What a run did."""

    invoiced: int = 0
    charged: int = 0
    without_method: int = 0
    """Invoices that nobody can be charged for: the member has no usable payment method."""
    problems: list[str] = field(default_factory=list)
    stopped: bool = False
    _unclear: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def count_charge(self) -> None:
        with self._lock:
            self.charged += 1

    def problem(self, sentence: str, *, stop: bool) -> None:
        with self._lock:
            self._unclear += 1
            self.stopped = self.stopped or stop or self._unclear >= UNCLEAR_MAX
            if sentence not in self.problems:
                self.problems.append(sentence)


def run_due(context: Context, location_id: str | None = None, mapper: Mapper = map) -> DueReport:
    """Issue and collect all that is due now, at one location or all. `mapper` may run the charges in threads."""
    report = DueReport()
    with context.database.read() as session:
        locations = session.scalars(select(Location).order_by(Location.slug)).all()
    for location in locations:
        if location_id in (None, location.id):
            issue_due(context, location, report)
    collect_open(context, report, location_id, mapper)
    log.info("run_due.done", invoiced=report.invoiced, charged=report.charged, problems=len(report.problems))
    return report


def issue_due(context: Context, location: Location, report: DueReport) -> None:
    """Issue one invoice per due period or instalment of the location, oldest first, until none is due."""
    while True:
        now = context.clock.now()
        today = business_date(now, location.zone)
        with context.database.unit_of_work() as session:
            due: list[Contract | PaymentPlan] = [
                *_due(session, Contract, location, today),
                *_due(session, PaymentPlan, location, today),
            ]
            _issue(session, location, due, now, report)
        if not due:
            return


def collect_open(context: Context, report: DueReport, location_id: str | None = None, mapper: Mapper = map) -> None:
    """Work off all attempts whose time has come, at one location or all.

    A single unclear answer is asked again later; a connection that is down, or unclear several times, ends the run.
    """

    def collect(attempt_id: str) -> None:
        if report.stopped:
            return
        try:
            collect_charge(context, attempt_id)
        except (OutcomeUnknown, InvariantBroken) as error:
            report.problem(str(error), stop=False)
        except EdgeError as error:
            report.problem(str(error), stop=True)
        else:
            report.count_charge()

    while not report.stopped and (attempts := _open_attempts(context, location_id)):
        list(mapper(collect, attempts))


def _open_attempts(context: Context, location_id: str | None) -> list[str]:
    work = (AttemptState.PLANNED, AttemptState.SENDING, AttemptState.PROCESSING)
    query = (
        select(ChargeAttempt.id)
        .where(ChargeAttempt.state.in_(work), ChargeAttempt.next_check_at <= context.clock.now())
        .order_by(ChargeAttempt.next_check_at, ChargeAttempt.id)
        .limit(BATCH)
    )
    if location_id is not None:
        query = query.where(ChargeAttempt.location_id == location_id)
    with context.database.read() as session:
        return list(session.scalars(query))


def _due(session: Session, kind: type[A], location: Location, today: date) -> Sequence[A]:
    query = (
        select(kind)
        .where(kind.location_id == location.id, kind.status.in_(BILLABLE), kind.next_due <= today)
        # By date alone, as the index has it: to sort those of one day as well would read all of them for each batch.
        .order_by(kind.next_due)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    return session.scalars(query).all()


def _issue(
    session: Session, location: Location, due: Sequence[Contract | PaymentPlan], now: datetime, report: DueReport
) -> None:
    """Invoice, charge and attempt of each agreement's next period, and the step to the period after it."""
    if not due:
        return
    methods = _methods(session, {agreement.member_id for agreement in due})
    invoices, charges, attempts, bookings = [], [], [], []
    for agreement in due:
        method_id = methods.get(agreement.member_id)
        invoice = _invoice(agreement, method_id is not None, now)
        income = Account.MEMBERSHIP_INCOME if isinstance(agreement, Contract) else Account.INSTALMENT_INCOME
        amount = (
            agreement.price if isinstance(agreement, Contract) else agreement.instalment(agreement.next_number).amount
        )
        invoices.append(invoice)
        bookings.append(
            Booking(recipes.invoice_issued(invoice["id"], amount, income), location.id, invoice["due_date"])
        )
        if method_id:
            charge = _charge(invoice, now)
            charges.append(charge)
            attempts.append(_attempt(charge, method_id, now))
        elif agreement.status is AgreementStatus.ACTIVE:
            agreement.status = AgreementStatus.OVERDUE
        _advance(agreement)
    session.flush()
    session.execute(insert(Invoice), invoices)
    if charges:
        session.execute(insert(Charge), charges)
        session.execute(insert(ChargeAttempt), attempts)
    post(session, bookings, now)
    report.invoiced += len(invoices)
    report.without_method += len(invoices) - len(charges)


def _methods(session: Session, member_ids: set[str]) -> dict[str, str]:
    query = select(PaymentMethod.member_id, PaymentMethod.id).where(
        PaymentMethod.member_id.in_(member_ids), PaymentMethod.usable.is_(True)
    )
    return dict(session.execute(query).all())


def _invoice(agreement: Contract | PaymentPlan, collectable: bool, now: datetime) -> dict[str, Any]:
    contract = isinstance(agreement, Contract)
    if isinstance(agreement, Contract):
        period, amount = agreement.next_period, agreement.price
    else:
        period, amount = agreement.next_number, agreement.instalment(agreement.next_number).amount
    return {
        "id": ids.new_id("inv"),
        "location_id": agreement.location_id,
        "member_id": agreement.member_id,
        "contract_id": agreement.id if contract else None,
        "payment_plan_id": None if contract else agreement.id,
        "period": period,
        "due_date": agreement.next_due,
        "amount_cents": amount.cents,
        "currency": amount.currency,
        "status": InvoiceStatus.OPEN if collectable else InvoiceStatus.OVERDUE,
        "issued_at": now,
    }


def _charge(invoice: dict[str, Any], now: datetime) -> dict[str, Any]:
    shared = {key: invoice[key] for key in ("location_id", "amount_cents", "currency")}
    return {"id": ids.new_id("ch"), "invoice_id": invoice["id"], "generation": 1, "created_at": now, **shared}


def _attempt(charge: dict[str, Any], method_id: str, now: datetime) -> dict[str, Any]:
    return {
        "id": ids.new_id("att"),
        "location_id": charge["location_id"],
        "charge_id": charge["id"],
        "payment_method_id": method_id,
        "state": AttemptState.PLANNED,
        "created_at": now,
        "next_check_at": now,
    }


def _advance(agreement: Contract | PaymentPlan) -> None:
    if isinstance(agreement, Contract):
        agreement.next_period += 1
        agreement.next_due = agreement.due_date(agreement.next_period)
    else:
        agreement.next_number += 1
        finished = agreement.next_number > agreement.instalment_count
        agreement.next_due = None if finished else agreement.instalment(agreement.next_number).due
