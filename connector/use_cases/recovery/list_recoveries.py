"""Show the recoveries of unpaid invoices to staff, and let a person stop one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.activity import remember
from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.clinics import Location
from connector.billing.collecting.charges import AttemptState, Charge, ChargeAttempt
from connector.billing.collecting.dunning import RecoveryState, plan_next
from connector.billing.collecting.recovery import Recovery
from connector.billing.invoices import UNPAID, Invoice
from connector.billing.members import PaymentMethod
from connector.clock import business_date
from connector.database.row_locks import ROW_LOCK
from connector.errors import DomainError
from connector.use_cases.collection.plan_attempts import withdraw
from connector.use_cases.context import Context
from connector.use_cases.invoices.lock_invoice import lock_invoice
from connector.use_cases.recovery.heed_failure import verdict_of
from connector.use_cases.recovery.read_failures import Unpaid, read_unpaid, under_way

STOPPED = "stopped"
"""Why a recovery has ended: staff have taken it over."""
UNDER_WAY = "attempt under way"
PAUSED = "paused"
NONE_LEFT = "none"
INVITE_AGAIN = "invite_again"
"""The very first charge failed, so nothing has begun: a person sends the link again, or lets it be."""


@dataclass(frozen=True, slots=True)
class RecoveryLine:
    """One unpaid invoice with what comes next for it."""

    invoice_id: str
    agreement_id: str
    member_id: str
    amount_cents: int
    due_on: date
    since: date
    failure: str
    """How it stands: the class of the latest refusal."""
    next_step: str
    """The step's name, or why there is none now."""
    next_on: date | None


def list_recoveries(context: Context, location: Location) -> list[RecoveryLine]:
    """Every unpaid invoice of the location that has had a failure, the oldest first; failed first charges come last."""
    query = (
        select(Recovery, Invoice)
        .join(Invoice, Invoice.id == Recovery.invoice_id)
        .where(Recovery.location_id == location.id, Invoice.status.in_(UNPAID))
        .order_by(Recovery.started_on, Invoice.number)
    )
    today = business_date(context.clock.now(), location.zone)
    with context.database.read() as session:
        rows = [(recovery, invoice) for recovery, invoice in session.execute(query)]
        live = under_way(session, [invoice.id for _, invoice in rows])
        lines = [_line(location, unpaid, today, live) for unpaid in read_unpaid(session, location, rows)]
        return lines + _first_charges(session, location)


def _first_charges(session: Session, location: Location) -> list[RecoveryLine]:
    """Memberships whose first charge failed: there is no recovery, because nothing was owed before."""
    query = (
        select(Invoice, ChargeAttempt, PaymentMethod.kind)
        .join(Contract, Contract.id == Invoice.contract_id)
        .join(Charge, Charge.invoice_id == Invoice.id)
        .join(ChargeAttempt, ChargeAttempt.charge_id == Charge.id)
        .join(PaymentMethod, PaymentMethod.id == ChargeAttempt.payment_method_id)
        .where(Invoice.location_id == location.id, Contract.status == AgreementStatus.FAILED)
        .where(Invoice.status.in_(UNPAID), Invoice.id.not_in(select(Recovery.invoice_id)))
        .where(ChargeAttempt.state == AttemptState.FAILED)
        .order_by(Invoice.number, ChargeAttempt.decided_at, ChargeAttempt.id)
    )
    # The latest failure of each says how it stands.
    latest = {invoice.id: (invoice, attempt, kind) for invoice, attempt, kind in session.execute(query)}
    live = under_way(session, latest)
    return [
        RecoveryLine(
            invoice_id=invoice.id,
            agreement_id=invoice.contract_id or "",
            member_id=invoice.member_id,
            amount_cents=invoice.amount_cents,
            due_on=invoice.due_date,
            since=business_date(attempt.decided_at or attempt.created_at, location.zone),
            failure=verdict_of(attempt, kind).decline_class.value,
            next_step=UNDER_WAY if invoice.id in live else INVITE_AGAIN,
            next_on=None,
        )
        for invoice, attempt, kind in latest.values()
    ]


def stop_recovery(context: Context, invoice_id: str, actor: str) -> None:
    """Make no further step for an invoice; its links stay good. Raises DomainError when there is nothing to stop."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        recovery = session.get(Recovery, invoice_id)
        if recovery is not None:
            lock_invoice(session, invoice_id)
            session.refresh(recovery, with_for_update=ROW_LOCK)
        if recovery is None or recovery.ended_at is not None:
            raise DomainError(
                f"There is no recovery of {invoice_id!r} under way: see `connector recoveries list --location SLUG`."
            )
        if not withdraw(session, invoice_id, now):
            raise DomainError(
                f"A payment of {invoice_id} is under way and cannot be called off: wait for its result, and try again."
            )
        recovery.ended_at, recovery.ended_because, recovery.next_on = now, STOPPED, None
        remember(session, invoice_id, "Recovery Stopped", now, location_id=recovery.location_id, actor=actor)


def _line(location: Location, unpaid: Unpaid, today: date, live: set[str]) -> RecoveryLine:
    recovery, invoice = unpaid.recovery, unpaid.invoice
    step, on = _next(location, unpaid, today, live)
    return RecoveryLine(
        invoice_id=invoice.id,
        agreement_id=invoice.contract_id or invoice.payment_plan_id or invoice.instant_payment_id or "",
        member_id=invoice.member_id,
        amount_cents=invoice.amount_cents,
        due_on=invoice.due_date,
        since=recovery.started_on,
        failure=unpaid.failure.verdict.decline_class.value,
        next_step=step,
        next_on=on,
    )


def _next(location: Location, unpaid: Unpaid, today: date, live: set[str]) -> tuple[str, date | None]:
    recovery = unpaid.recovery
    if recovery.ended_at is not None:
        return recovery.ended_because or "", None
    if recovery.invoice_id in live:
        return UNDER_WAY, None
    if recovery.paused:
        return PAUSED, None
    if unpaid.repeat_at is not None:
        return "repeat", business_date(unpaid.repeat_at, location.zone)
    state = RecoveryState(recovery.started_on, recovery.step, recovery.shifted_days, recovery.done_on)
    planned = plan_next(state, location.policy, unpaid.failure, location.calendar, today)
    return (planned.step.kind.value, planned.on) if planned else (NONE_LEFT, None)
