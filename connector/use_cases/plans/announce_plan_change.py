"""Announce a change of one person's plan to the payer, who accepts or declines it on a secure page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import remember
from connector.billing.agreements.contracts import BILLABLE, AgreementStatus, Contract, Cover
from connector.billing.clinics import Location
from connector.billing.offers.plan_changes import PlanChange, PlanChangeStatus
from connector.billing.offers.plans import PlanVersion
from connector.clock import business_date
from connector.messaging.kinds import MessageKind
from connector.money import Money
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.plans.decide_plan_change import offered_with, withdraw_open_change

SIGNED = (*BILLABLE, AgreementStatus.SUSPENDED)
"""Contracts whose people are members now. One that is still to be signed says its terms itself."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to change for one person, and from which due date on."""

    contract: Contract
    cover: Cover
    version: PlanVersion
    price: Money
    """Per period of the contract."""
    effective_on: date


def earliest_day(location: Location, now: datetime) -> date:
    """The first day that leaves the payer the notice of the direct debit request, in the location's time zone."""
    return business_date(now, location.zone) + timedelta(days=location.policy.change_notice_days)


def announce(
    session: Session, location: Location, proposal: Proposal, actor: str, now: datetime, *, accepted: bool = False
) -> str:
    """Record the change in place of any other that is open for the cover; returns its id.

    The payer is asked, once for all people of the contract for whom it is announced in one go, unless it is `accepted`
    on the payer's behalf because nothing gets dearer.
    """
    contract, cover = proposal.contract, proposal.cover
    withdraw_open_change(session, cover.id, now, actor=actor, because="replaced")
    change = PlanChange(
        id=ids.new_id("plc"),
        cover_id=cover.id,
        plan_version_id=proposal.version.id,
        price_cents=proposal.price.cents,
        effective_on=proposal.effective_on,
        status=PlanChangeStatus.ACCEPTED if accepted else PlanChangeStatus.OFFERED,
        actor=actor,
        decided_at=now if accepted else None,
        created_at=now,
    )
    session.add(change)
    session.flush()
    remember(
        session,
        contract.id,
        "Plan Change Accepted" if accepted else "Plan Change Announced",
        now,
        location_id=location.id,
        actor=actor,
        member_id=cover.member_id,
        plan_change_id=change.id,
        old_cents=cover.price_cents,
        price_cents=change.price_cents,
        effective_on=change.effective_on.isoformat(),
    )
    if not accepted and offered_with(session, change)[0][0].id == change.id:
        # What is announced for other people of the household at the same time is told with the first of them.
        queue_message(
            session,
            location,
            MessageKind.PLAN_CHANGE_NOTICE,
            change.id,
            "announced",
            now,
            member_id=contract.member_id,
            effective_on=change.effective_on.isoformat(),
        )
    return change.id
