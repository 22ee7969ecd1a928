"""End the billing of locations that are handed over to another installation, in the caller's unit of work."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import ColumnElement, Update, case, func, insert, select, update
from sqlalchemy.orm import Session

from connector.billing.activity import Activity
from connector.billing.agreements.contracts import BILLABLE, AgreementStatus, Contract
from connector.billing.agreements.instalment_progress import resumed_dates
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import InstantPayment
from connector.billing.clinics import Location
from connector.billing.collecting.charges import LIVE_ATTEMPT, AttemptState, Charge, ChargeAttempt
from connector.billing.collecting.recovery import Recovery
from connector.billing.invoices import UNPAID, Invoice, InvoiceStatus
from connector.billing.links import SecureLink
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.members.memberships import NOT_BEGUN

EXPORTED = "Exported"
_GOES_ON_HERE = (EXPORTED, "Membership Reactivated", "Payment Plan Resumed")
"""The latest of these says where an agreement goes on."""
NEVER = date(2999, 12, 31)
"""The end of a payment plan's pause that ends only when a person resumes it."""
BATCH = 1_000


def standing(session: Session, location_ids: Collection[str]) -> str:
    """A digest of all that billing would still do: the same as long as nothing of it was done."""
    queries: list[Any] = [
        select(Contract.id, Contract.status, Contract.next_due).where(Contract.location_id.in_(location_ids)),
        select(PaymentPlan.id, PaymentPlan.status, PaymentPlan.next_number).where(
            PaymentPlan.location_id.in_(location_ids)
        ),
        select(Invoice.id, Invoice.status).where(
            Invoice.location_id.in_(location_ids), Invoice.status.in_((*UNPAID, InvoiceStatus.PROCESSING))
        ),
        select(ChargeAttempt.id, ChargeAttempt.state).where(
            ChargeAttempt.location_id.in_(location_ids), ChargeAttempt.state.in_(LIVE_ATTEMPT)
        ),
    ]
    digest = blake2b()
    for query in queries:
        for row in session.execute(query.order_by(query.selected_columns[0]).execution_options(yield_per=BATCH)):
            digest.update(repr(tuple(map(str, row))).encode())
    return digest.hexdigest()


def refuse_behind(session: Session, locations: Sequence[Location], now: datetime) -> None:
    """Raise DomainError while something that has fallen due is not invoiced."""
    for location in locations:
        today = business_date(now, location.zone)
        for kind in (Contract, PaymentPlan):
            behind = select(kind.id).where(
                kind.location_id == location.id, kind.status.in_(BILLABLE), kind.next_due < today
            )
            if session.scalars(behind.limit(1)).first():
                raise DomainError("Something that fell due is not invoiced yet: run `connector run-due` first.")


def exported(session: Session, location_ids: Collection[str]) -> frozenset[str]:
    """Agreements whose latest news is that they were exported: they go on elsewhere, as they were."""
    latest = (
        select(func.max(Activity.sequence)).where(Activity.location_id.in_(location_ids)).group_by(Activity.subject_id)
    )
    query = select(Activity.subject_id).where(Activity.sequence.in_(latest), Activity.action == EXPORTED)
    return frozenset(session.scalars(query))


def refuse_exported(session: Session, subject_id: str, kind: str, instead: str = "") -> None:
    """Raise DomainError for an agreement that was exported and stopped here: two installations would charge for it.

    `kind`: what it is called; `instead`: how a person insists, where that is possible.
    """
    latest = (
        select(Activity.action)
        .where(Activity.subject_id == subject_id, Activity.action.in_(_GOES_ON_HERE))
        .order_by(Activity.sequence.desc())
        .limit(1)
    )
    if session.scalar(latest) == EXPORTED:
        raise _handed_over(f"The {kind} {subject_id}", instead)


def refuse_exported_location(session: Session, location: Location) -> None:
    """Raise DomainError for a location with agreements that were exported and have not gone on here since."""
    if exported(session, [location.id]):
        raise _handed_over(f"The location {location.slug!r}", "if it is to go on here after all, add --override")


def _handed_over(what: str, instead: str) -> DomainError:
    return DomainError(
        f"{what} was handed over by `connector export --and-stop`, and the new installation charges for it now: "
        f"look there first{'; ' + instead if instead else ', and change it there'}."
    )


def stop_billing(session: Session, location_ids: Collection[str], now: datetime, actor: str) -> int:
    """Suspend every agreement that runs, and cancel those that nobody has accepted; returns how many.

    What is planned is called off; what was sent, what a payer has accepted by link and holds come to their end here.
    """
    stopped = 0
    for kind in (Contract, PaymentPlan):
        here = kind.location_id.in_(location_ids)
        runs = here & kind.status.in_(BILLABLE)
        values: dict[str, object] = {"status": AgreementStatus.SUSPENDED}
        if kind is Contract:
            values["frozen_at"] = func.coalesce(Contract.frozen_at, now)
        else:
            _keep_paydays(session, location_ids)
            runs |= here & paused()
            values["next_due"] = case((PaymentPlan.next_due.is_not(None), NEVER))
        running = session.execute(select(kind.id, kind.location_id).where(runs)).all()
        waiting = session.execute(select(kind.id, kind.location_id).where(here, kind.status.in_(NOT_BEGUN))).all()
        _update(session, update(kind).where(runs).values(values))
        # What nobody has accepted must not be accepted in two places; it could not be continued here either.
        _update(session, update(kind).where(here, kind.status.in_(NOT_BEGUN)).values(status=AgreementStatus.CANCELLED))
        news = [
            {"at": now, "location_id": at, "subject_id": subject, "action": EXPORTED, "detail": {}, "actor": actor}
            for subject, at in (*running, *waiting)
        ]
        if news:
            session.execute(insert(Activity), news)
        stopped += len(news)
    _call_off(session, location_ids, now)
    _end_links(session, location_ids, now)
    return stopped


def paused() -> ColumnElement[bool]:
    """Payment plans that staff have paused until a day, on which they go on by themselves."""
    waits = PaymentPlan.next_due.is_not(None) & (PaymentPlan.next_due != NEVER)
    return (PaymentPlan.status == AgreementStatus.SUSPENDED) & waits


def _keep_paydays(session: Session, location_ids: Collection[str]) -> None:
    """Before the end of a pause is overwritten, the next instalment of the plan moves to where it would be then."""
    plans = session.scalars(select(PaymentPlan).where(PaymentPlan.location_id.in_(location_ids), paused())).all()
    for plan in plans:
        if plan.next_due and plan.next_number:
            plan.anchor_number, _ = resumed_dates(plan, plan.next_due)
    session.flush()


def _call_off(session: Session, location_ids: Collection[str], now: datetime) -> None:
    agreements = Invoice.contract_id.is_not(None) | Invoice.payment_plan_id.is_not(None)
    invoices = select(Invoice.id).where(Invoice.location_id.in_(location_ids), agreements)
    planned = update(ChargeAttempt).where(
        ChargeAttempt.state == AttemptState.PLANNED,
        ChargeAttempt.charge_id.in_(select(Charge.id).where(Charge.invoice_id.in_(invoices))),
    )
    _update(session, planned.values(state=AttemptState.WITHDRAWN, decided_at=now))
    recovering = select(Recovery.invoice_id).where(Recovery.ended_at.is_(None))
    overdue = update(Invoice).where(
        Invoice.id.in_(invoices), Invoice.id.in_(recovering), Invoice.status == InvoiceStatus.OPEN
    )
    _update(session, overdue.values(status=InvoiceStatus.OVERDUE))
    _update(session, update(Recovery).where(Recovery.invoice_id.in_(invoices)).values(paused=True))


def _end_links(session: Session, location_ids: Collection[str], now: datetime) -> None:
    """What is asked for elsewhere from now on must not be paid or accepted here as well."""
    unaccepted = select(InstantPayment.id).where(InstantPayment.accepted_at.is_(None))
    taken_over = Invoice.instant_payment_id.is_(None) | Invoice.instant_payment_id.in_(unaccepted)
    subjects = [
        select(Contract.id).where(Contract.location_id.in_(location_ids)),
        select(PaymentPlan.id).where(PaymentPlan.location_id.in_(location_ids)),
        unaccepted.where(InstantPayment.location_id.in_(location_ids)),
        select(Invoice.id).where(Invoice.location_id.in_(location_ids), taken_over),
    ]
    for ids in subjects:
        live = update(SecureLink).where(SecureLink.ended_at.is_(None), SecureLink.subject_id.in_(ids))
        _update(session, live.values(ended_at=now, ended_because="exported"))


def _update(session: Session, statement: Update) -> None:
    session.execute(statement.execution_options(synchronize_session=False))
