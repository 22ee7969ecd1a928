"""Suspend a membership and let it go on: a pause asked for by staff.

While it lasts there are no new invoices, nothing is retried and benefits are frozen; what is overdue can still be paid,
and waiting times go on. What fell due meanwhile is never billed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.activity import remember
from connector.billing.agreements.contracts import BILLABLE, AgreementStatus, Contract
from connector.billing.clinics import Location
from connector.billing.collecting.catch_up import debit_day
from connector.billing.collecting.charges import AttemptState, Charge, ChargeAttempt, Origin
from connector.billing.collecting.dunning import Step, StepKind
from connector.billing.collecting.recovery import Recovery
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import MethodKind
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.collection.plan_attempts import payers, plan_again
from connector.use_cases.context import Context
from connector.use_cases.members.memberships import call_off, contract_for, require, unpaid_invoices
from connector.use_cases.members.skip_periods import skip_periods
from connector.use_cases.recovery.recover import FINISHED, begin_recovery, left_to_a_person
from connector.use_cases.transfer.stop_billing import refuse_exported


def suspend_member(context: Context, contract_id: str, *, actor: str) -> None:
    """Pause a contract that is active or overdue. Raises DomainError for any other, and while billing is behind."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        contract, location = contract_for(session, contract_id)
        require(contract, BILLABLE, "suspended")
        if contract.next_due is not None and contract.next_due < business_date(now, location.zone):
            raise DomainError("A period before the pause is not invoiced yet: run `connector run-due` first.")
        suspend(session, contract, now, actor)


def suspend(session: Session, contract: Contract, now: datetime, actor: str) -> None:
    """Pause a contract, in the caller's unit of work."""
    recovering = {recovery.invoice_id for recovery in _recoveries(session, contract)}
    for invoice in call_off(session, contract, now):
        if invoice.id in recovering:
            invoice.status = InvoiceStatus.OVERDUE
    _pause(session, contract, resume_on=None)
    contract.status, contract.frozen_at = AgreementStatus.SUSPENDED, contract.frozen_at or now
    remember(session, contract.id, "Membership Suspended", now, location_id=contract.location_id, actor=actor)


def reactivate_member(context: Context, contract_id: str, *, actor: str, override: bool = False) -> None:
    """Let a suspended contract go on with its first due date from today on. Raises DomainError for any other.

    One that was exported needs `override`: the other installation must not charge for it any more.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        contract, location = contract_for(session, contract_id)
        require(contract, (AgreementStatus.SUSPENDED,), "reactivated")
        if not override:
            refuse_exported(session, contract_id, "contract", "if it is to go on here after all, add --override")
        today = business_date(now, location.zone)
        recoveries = _recoveries(session, contract)
        # What a final notice has frozen stays so until it is paid.
        final = Step(location.policy.final_notice_day, StepKind.FINAL_NOTICE)
        if not any(recovery.step > final.position for recovery in recoveries):
            contract.frozen_at = None
        owes = recoveries or any(one.status is InvoiceStatus.OVERDUE for one in unpaid_invoices(session, contract))
        contract.status = AgreementStatus.OVERDUE if owes else AgreementStatus.ACTIVE
        skip_periods(session, contract, today)
        _pause(session, contract, resume_on=today)
        _plan_again(session, location, contract, now)
        remember(session, contract.id, "Membership Reactivated", now, location_id=location.id, actor=actor)


def _recoveries(session: Session, contract: Contract) -> Sequence[Recovery]:
    """Those of invoices that are still owed."""
    owed = select(Invoice.id).where(Invoice.contract_id == contract.id, Invoice.status != InvoiceStatus.COMPLETED)
    return session.scalars(
        select(Recovery)
        .where(Recovery.invoice_id.in_(owed))
        .where(Recovery.ended_at.is_(None) | (Recovery.ended_because == FINISHED))
    ).all()


def _pause(session: Session, contract: Contract, *, resume_on: date | None) -> None:
    """Let the recoveries of the contract rest, or go on from a day."""
    invoices = select(Invoice.id).where(Invoice.contract_id == contract.id)
    for recovery in session.scalars(select(Recovery).where(Recovery.invoice_id.in_(invoices))):
        recovery.paused = resume_on is None
        if resume_on and recovery.ended_at is None:
            recovery.next_on = recovery.next_on or resume_on
    session.flush()


def _plan_again(session: Session, location: Location, contract: Contract, now: datetime) -> None:
    """Plan anew what the pause has called off; what a person is to release or to decide about stays as it is."""
    today = business_date(now, location.zone)
    payer = payers(session, [contract.member_id]).get(contract.member_id)
    disputed = set(session.scalars(left_to_a_person()))
    for invoice in unpaid_invoices(session, contract):
        if invoice.status is InvoiceStatus.WAITING or invoice.id in disputed:
            continue
        newest = session.scalars(
            select(ChargeAttempt)
            .join(Charge, Charge.id == ChargeAttempt.charge_id)
            .where(Charge.invoice_id == invoice.id)
            .order_by(ChargeAttempt.created_at.desc(), ChargeAttempt.id.desc())
        ).first()
        if newest is None or newest.state is not AttemptState.WITHDRAWN:
            continue
        if payer is None:
            invoice.status, contract.status = InvoiceStatus.OVERDUE, AgreementStatus.OVERDUE
            begin_recovery(session, location, invoice.id, today)
        else:
            day = debit_day(today, (), location.calendar, is_becs=payer.kind is MethodKind.BECS)
            # The payer, who had begun it on a page, is not present now.
            origin = Origin.STAFF if newest.origin is Origin.PAYER else newest.origin
            plan_again(session, location, invoice, payer.method_id, origin, day, now)
            invoice.status = InvoiceStatus.OPEN
