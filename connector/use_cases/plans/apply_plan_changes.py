"""Apply accepted changes of plan: the old cover ends before the period from which the change counts, a new one begins.

Called for contracts that are due, before their periods are priced, so that each missed period has the price of its day.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import remember
from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.agreements.schedule import Frequency, due_date, first_due_from
from connector.billing.clinics import Location
from connector.billing.offers.plan_changes import PlanChange, PlanChangeStatus
from connector.billing.offers.plans import PlanVersion
from connector.clock import business_date

Accepted = dict[str, tuple[int, PlanChange]]
"""Accepted changes that have not taken effect yet, by cover, each with the first period that it counts for."""


def first_period(contract: Contract, day: date) -> tuple[int, date]:
    """Number and due date of the contract's first period that is not invoiced yet and falls due on `day` or later."""
    if contract.anchor is None or contract.next_due is None:
        raise ValueError("A contract that has not started has no due dates.")
    if day <= contract.next_due:
        return contract.next_period, contract.next_due
    period, _ = first_due_from(contract.anchor, contract.frequency, day)
    # The first period may have been charged at sign-up, before the day that the cycle gives it.
    period = max(period, contract.next_period + 1)
    return period, contract.due_date(period)


def takes_effect(contract: Contract, cover: Cover, change: PlanChange) -> tuple[int, date]:
    """Number and due date of the first period that an accepted change of the cover counts for."""
    period, due = first_period(contract, change.effective_on)
    if period < cover.from_period:
        return cover.from_period, contract.due_date(cover.from_period)
    return period, due


def accepted_changes(
    session: Session,
    contract_ids: Collection[str],
    begins: date | None = None,
    as_if_accepted: Collection[str] = (),
) -> Accepted:
    """Of contracts that run, and of those that are to be signed if it is said from which day they would count.

    Those of `as_if_accepted` are only offered, and count as well.
    """
    query = (
        select(PlanChange, Cover, Contract)
        .join(Cover, Cover.id == PlanChange.cover_id)
        .join(Contract, Contract.id == Cover.contract_id)
        .where(Contract.id.in_(contract_ids))
        .where((PlanChange.status == PlanChangeStatus.ACCEPTED) | PlanChange.id.in_(as_if_accepted))
    )
    found: Accepted = {}
    for change, cover, contract in session.execute(query):
        if contract.anchor and contract.next_due:
            found[cover.id] = takes_effect(contract, cover, change)[0], change
        elif begins:
            found[cover.id] = first_due_from(begins, contract.frequency, change.effective_on)[0], change
    return found


def apply_plan_changes(session: Session, contracts: Sequence[Contract], now: datetime) -> None:
    """Apply what was accepted and counts from a period of these contracts of one location that is due by now.

    Two queries for the batch, whatever its size; one when nothing was accepted. The session is flushed.
    """
    due = {contract.id: contract for contract in contracts}
    accepted = session.execute(
        select(PlanChange, Cover, PlanVersion)
        .join(Cover, Cover.id == PlanChange.cover_id)
        .join(PlanVersion, PlanVersion.id == PlanChange.plan_version_id)
        .where(Cover.contract_id.in_(due), PlanChange.status == PlanChangeStatus.ACCEPTED)
    ).all()
    if not accepted:
        return
    location = session.get_one(Location, contracts[0].location_id)
    today = business_date(now, location.zone)
    begun = []
    for change, cover, version in accepted:
        new = _change(session, due[cover.contract_id], cover, change, today, now)
        if new is not None:
            _keep_lock_in(due[cover.contract_id], new, version)
            begun.append(new)
    # The old covers end first: two that begin with the same period must never be live together.
    session.flush()
    session.add_all(begun)
    session.flush()


def _change(
    session: Session, contract: Contract, old: Cover, change: PlanChange, today: date, now: datetime
) -> Cover | None:
    """The cover that takes the old one's place; None while the change has to wait, or when the person leaves before."""
    period, due = takes_effect(contract, old, change)
    if old.until_period is not None and old.until_period <= period:
        change.status = PlanChangeStatus.WITHDRAWN
        _remember(session, contract, old, change, "Plan Change Withdrawn", now)
        return None
    if due > today:
        return None
    new = Cover(
        id=ids.new_id("cov"),
        contract_id=contract.id,
        member_id=old.member_id,
        position=old.position,
        plan_version_id=change.plan_version_id,
        price_cents=change.price_cents,
        # Whoever has not been billed yet still owes the fee for joining; nobody owes one for the change.
        setup_fee_cents=old.setup_fee_cents if period == old.from_period else 0,
        from_period=period,
        until_period=old.until_period,
        starts_on=old.starts_on,
        created_at=now,
    )
    old.until_period = period
    change.status = PlanChangeStatus.APPLIED
    _remember(session, contract, old, change, "Plan Changed", now, from_period=period)
    return new


def _keep_lock_in(contract: Contract, cover: Cover, version: PlanVersion) -> None:
    """The new plan may bind for longer, counted from the person's own start; a change never shortens the lock-in."""
    months = version.terms.lock_in_months
    if cover.starts_on and months:
        ends = due_date(cover.starts_on, Frequency.MONTHLY, months)
        contract.lock_in_until = max(contract.lock_in_until or ends, ends)


def _remember(
    session: Session, contract: Contract, old: Cover, change: PlanChange, action: str, now: datetime, **detail: Any
) -> None:
    remember(
        session,
        contract.id,
        action,
        now,
        location_id=contract.location_id,
        member_id=old.member_id,
        plan_change_id=change.id,
        old_cents=old.price_cents,
        price_cents=change.price_cents,
        **detail,
    )
