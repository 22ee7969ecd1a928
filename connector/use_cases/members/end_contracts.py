"""End contracts for good: at once, or on the day on which a notice has run out."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from connector.billing.activity import CONNECTOR, remember
from connector.billing.agreements.contracts import BILLABLE, AgreementStatus, Contract, Cover
from connector.billing.clinics import Location
from connector.billing.collecting.recovery import Recovery
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.links import LinkKind, end
from connector.messaging.kinds import MessageKind
from connector.use_cases.invoices.take_back import give_up
from connector.use_cases.members.memberships import NOT_BEGUN, call_off, unpaid_invoices
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.plans.decide_plan_change import withdraw_open_change
from connector.use_cases.plans.promo_codes import give_back
from connector.use_cases.recovery.recover import end_recovery
from connector.use_cases.recovery.tell_staff import tell_staff

CANCELLED = "cancelled"
"""Why a recovery or a link has ended."""


def end_contracts(session: Session, location: Location, today: date, now: datetime) -> int:
    """Cancel the contracts whose notice has run out and whose last period was collected, or could not be.

    Returns how many. What falls due within a notice is collected as ever, so nothing of it is called off.
    """
    under_way = (InvoiceStatus.OPEN, InvoiceStatus.PROCESSING)
    query = (
        select(Contract)
        .where(Contract.location_id == location.id, Contract.status.in_(BILLABLE))
        .where(Contract.ends_on < today, Contract.next_due > Contract.ends_on)
        .where(~exists().where(Invoice.contract_id == Contract.id, Invoice.status.in_(under_way)))
        .with_for_update(skip_locked=True)
    )
    over = session.scalars(query).all()
    for contract in over:
        close_contract(session, location, contract, contract.ends_on or today, now, CONNECTOR)
    return len(over)


def close_contract(
    session: Session, location: Location, contract: Contract, last_day: date, now: datetime, actor: str
) -> None:
    """Cancel it in the caller's unit of work: nothing is charged or retried any more, and what is owed stays owed.

    Links to pay what is overdue stay good. What was asked for before the membership began is void,
    and a promo code that was entered for it is free again.
    """
    begun = contract.status not in NOT_BEGUN
    called_off = call_off(session, contract, now)
    for invoice in called_off:
        if not begun:
            end_recovery(session, invoice.id, CANCELLED, now)
            give_up(session, invoice, InvoiceStatus.CANCELLED, last_day, now)
        elif invoice.status is InvoiceStatus.OPEN:
            invoice.status = InvoiceStatus.OVERDUE
            tell_staff(session, location, [invoice.id], now)
    if not begun:
        session.flush()
        give_back(session, location, contract, now, actor)
    owed = [invoice.id for invoice in unpaid_invoices(session, contract)]
    session.execute(
        update(Recovery)
        .where(Recovery.invoice_id.in_(owed), Recovery.ended_at.is_(None))
        .values(ended_at=now, ended_because=CANCELLED, next_on=None)
        .execution_options(synchronize_session="fetch")
    )
    end(session, LinkKind.SIGNUP, contract.id, CANCELLED, now)
    covers = session.scalars(select(Cover.id).where(Cover.contract_id == contract.id)).all()
    for cover_id in covers:
        withdraw_open_change(session, cover_id, now, actor=actor, because=CANCELLED)
    contract.status, contract.ends_on, contract.next_due = AgreementStatus.CANCELLED, last_day, None
    ends_on = last_day.isoformat()
    remember(session, contract.id, "Membership Cancelled", now, location_id=location.id, actor=actor, ends_on=ends_on)
    if begun:
        tell_end(session, location, contract, last_day, now)
    session.flush()


def tell_end(session: Session, location: Location, contract: Contract, last_day: date, now: datetime) -> None:
    """Tell the member the last day, once."""
    queue_message(
        session,
        location,
        MessageKind.MEMBERSHIP_CANCELLED,
        contract.id,
        CANCELLED,
        now,
        member_id=contract.member_id,
        ends_on=last_day.isoformat(),
    )
