"""Record that one member brought another: both are charged less from their next invoice on."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.activity import remember
from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.intake.card_numbers import without_card_number
from connector.billing.prices.discounts import Referral
from connector.errors import DomainError
from connector.use_cases.context import Context
from connector.use_cases.members.memberships import contract_for

CAMPAIGN_MAX = 100
"""Characters."""


def refer_member(context: Context, referrer_id: str, referred_id: str, *, campaign: str = "", actor: str) -> None:
    """Record a referral between two contracts. Raises DomainError when it cannot be one."""
    with context.database.unit_of_work() as session:
        record_referral(session, referrer_id, referred_id, campaign, context.clock.now(), actor)


def record_referral(
    session: Session, referrer_id: str, referred_id: str, campaign: str, now: datetime, actor: str
) -> None:
    """As `refer_member`, in the caller's unit of work. The discounts follow from it when a period is priced."""
    referrer, location = contract_for(session, referrer_id)
    referred, _ = contract_for(session, referred_id)
    if len(campaign) > CAMPAIGN_MAX or not campaign.isprintable():
        raise DomainError(f"The name of a campaign is one line of at most {CAMPAIGN_MAX} characters: shorten it.")
    without_card_number(campaign)
    _check(session, referrer, referred)
    session.add(
        Referral(referred_contract_id=referred_id, referrer_contract_id=referrer_id, campaign=campaign, created_at=now)
    )
    session.flush()
    for subject, other in ((referrer_id, referred_id), (referred_id, referrer_id)):
        remember(session, subject, "Referral Recorded", now, location_id=location.id, actor=actor, contract_id=other)


def _check(session: Session, referrer: Contract, referred: Contract) -> None:
    people = set(session.scalars(select(Cover.member_id).where(Cover.contract_id == referrer.id)))
    if referrer.id == referred.id or referred.member_id in people:
        raise DomainError("Nobody can refer themselves or somebody of their own household: choose another contract.")
    if referrer.location_id != referred.location_id:
        raise DomainError("The two contracts are at different locations: a referral counts within one location.")
    for contract in (referrer, referred):
        if contract.status is AgreementStatus.CANCELLED:
            raise DomainError(f"The contract {contract.id} is cancelled: it cannot take part in a referral any more.")
    if referred.created_at < referrer.created_at:
        raise DomainError(
            f"The contract {referred.id} is older than that of the referrer: who came first cannot have been brought."
        )
    if session.get(Referral, referred.id) is not None:
        raise DomainError(f"The contract {referred.id} has a referrer already: a member can be referred only once.")
    back = session.get(Referral, referrer.id)
    if back is not None and back.referrer_contract_id == referred.id:
        raise DomainError(f"The contract {referrer.id} was brought by the other one: a referral counts one way only.")
