"""Accept, decline or withdraw an announced change of plan. Until it is accepted, everything stays as it was signed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing import links
from connector.billing.activity import remember
from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.links import LinkKind
from connector.billing.offers.plan_changes import PlanChange, PlanChangeStatus
from connector.errors import DomainError

PAYER = "payer"
"""The actor of what was done on the page of a secure link."""
OPEN = (PlanChangeStatus.OFFERED, PlanChangeStatus.ACCEPTED)


def accept_plan_change(session: Session, change_id: str, now: datetime, *, actor: str = PAYER) -> None:
    """Accept a change, and those told with it, for their day; once more changes nothing.

    Raises DomainError when it is not offered any more.
    """
    change, cover, contract = _found(session, change_id)
    if change.status in (PlanChangeStatus.ACCEPTED, PlanChangeStatus.APPLIED):
        return
    ended = contract.status is AgreementStatus.CANCELLED or cover.until_period is not None
    if change.status is PlanChangeStatus.WITHDRAWN or ended:
        raise DomainError("This change is not offered any more: plan and price stay as they are.")
    _decide_together(session, change, contract, PlanChangeStatus.ACCEPTED, now, actor)


def decline_plan_change(session: Session, change_id: str, now: datetime, *, actor: str = PAYER) -> None:
    """Decline an offered change, and those told with it; once more changes nothing.

    Raises DomainError when it was accepted.
    """
    change, _, contract = _found(session, change_id)
    if change.status in (PlanChangeStatus.ACCEPTED, PlanChangeStatus.APPLIED):
        raise DomainError("This change was accepted already: ask the practice to change the plan back.")
    if change.status is PlanChangeStatus.OFFERED:
        _decide_together(session, change, contract, PlanChangeStatus.WITHDRAWN, now, actor)


def offered_with(session: Session, change: PlanChange) -> Sequence[tuple[PlanChange, Cover]]:
    """What the payer was told in one message, and has not decided yet: one change for each person, that one included.

    Nothing that is announced later joins them, so that nobody accepts what they have not seen.
    """
    contract_id = session.get_one(Cover, change.cover_id).contract_id
    together = (
        select(PlanChange, Cover)
        .join(Cover, Cover.id == PlanChange.cover_id)
        .where(Cover.contract_id == contract_id, Cover.until_period.is_(None))
        .where(PlanChange.created_at == change.created_at, PlanChange.effective_on == change.effective_on)
        .where(PlanChange.status == PlanChangeStatus.OFFERED)
    )
    return [(one, cover) for one, cover in session.execute(together.order_by(Cover.created_at, Cover.id))]


def _decide_together(
    session: Session, change: PlanChange, contract: Contract, status: PlanChangeStatus, now: datetime, actor: str
) -> None:
    """The payer's one answer to all that they were told together."""
    for one, _ in offered_with(session, change):
        if one.id != change.id:
            links.end(session, LinkKind.PLAN_CHANGE, one.id, "answered", now)
        _decide(session, one, contract, status, now, actor)


def withdraw_open_change(session: Session, cover_id: str, now: datetime, *, actor: str, because: str) -> None:
    """Withdraw what is offered or accepted for a cover, and its link: it is replaced, or the cover or contract ends."""
    query = (
        select(PlanChange, Contract)
        .join(Cover, Cover.id == PlanChange.cover_id)
        .join(Contract, Contract.id == Cover.contract_id)
        .where(PlanChange.cover_id == cover_id, PlanChange.status.in_(OPEN))
    )
    for change, contract in session.execute(query):
        links.end(session, LinkKind.PLAN_CHANGE, change.id, because, now)
        _decide(session, change, contract, PlanChangeStatus.WITHDRAWN, now, actor, because=because)


def _found(session: Session, change_id: str) -> tuple[PlanChange, Cover, Contract]:
    change = session.get(PlanChange, change_id, with_for_update=True)
    if change is None:
        raise DomainError("There is no such change of a plan: ask the practice for a new link.")
    cover = session.get_one(Cover, change.cover_id)
    return change, cover, session.get_one(Contract, cover.contract_id)


_ACTIONS = {PlanChangeStatus.ACCEPTED: "Plan Change Accepted", PlanChangeStatus.WITHDRAWN: "Plan Change Withdrawn"}


def _decide(
    session: Session,
    change: PlanChange,
    contract: Contract,
    status: PlanChangeStatus,
    now: datetime,
    actor: str,
    **detail: str,
) -> None:
    change.status, change.decided_at = status, now
    session.flush()
    location_id = contract.location_id
    remember(
        session,
        contract.id,
        _ACTIONS[status],
        now,
        location_id=location_id,
        actor=actor,
        plan_change_id=change.id,
        **detail,
    )
