"""Add a member: a person with a pending contract, who is invited to sign it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from connector.billing.activity import remember
from connector.billing.agreements.contracts import Contract
from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.clinics import Location, LocationStatus, location_by_slug
from connector.billing.members import Member
from connector.clock import business_date
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.use_cases.context import Context
from connector.use_cases.members.draft_contract import draft_contract
from connector.use_cases.members.memberships import check_age, offer_of
from connector.use_cases.members.new_person import PersonDetails, join, require_email
from connector.use_cases.members.refer_member import record_referral
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.plans.promo_codes import redeem

START_YEARS_AHEAD = 10
"""A later start is a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Joining:
    """What is agreed with a new member, besides who it is."""

    plan: str
    frequency: Frequency
    start: date | None = None
    """None: the day on which the member signs."""
    promo: str = ""
    referred_by: str = ""
    """Contract of the member who brought this one."""
    invite: bool = True


@dataclass(frozen=True, slots=True)
class Added:
    """Ids of what came of it."""

    member_id: str
    contract_id: str


def add_member(context: Context, location_slug: str, person: PersonDetails, joining: Joining, *, actor: str) -> Added:
    """Add a member with a pending contract and queue the invitation. Raises DomainError, and then changes nothing."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        location = location_by_slug(session, location_slug)
        today = business_date(now, location.zone)
        _check_start(joining.start, today)
        offer = offer_of(session, location, joining.plan, today)
        member = join(session, location, person, today, now, actor)
        check_age(offer, member.date_of_birth, joining.start or today)
        contract, cover = draft_contract(location, member.id, offer, joining.frequency, now, start=joining.start)
        for row in (contract, cover):
            session.add(row)
            session.flush()
        if joining.promo:
            redeem(session, location, contract, joining.promo, now, actor=actor)
        if joining.referred_by:
            record_referral(session, joining.referred_by, contract.id, "", now, actor)
        detail = {"plan": offer[0].name, "frequency": joining.frequency.value, "price_cents": cover.price_cents}
        remember(session, contract.id, "Membership Created", now, location_id=location.id, actor=actor, **detail)
        if joining.invite:
            queue_invitation(session, location, contract, member, "added", now)
    return Added(member.id, contract.id)


def queue_invitation(
    session: Session, location: Location, contract: Contract, member: Member, occasion: str, now: datetime
) -> None:
    """Let the member be sent the link to sign up. Raises DomainError when that cannot be."""
    require_email(member)
    if location.status is not LocationStatus.ACTIVE:
        raise DomainError(
            f"Location {location.slug!r} cannot take payments yet, so nobody can sign up: add the member with "
            "--no-invite, or finish its Stripe account first."
        )
    queue_message(
        session, location, MessageKind.INVITATION, contract.id, occasion, now, member_id=member.id, urgent=True
    )


def _check_start(start: date | None, today: date) -> None:
    if start is not None and start < today:
        raise DomainError("The membership cannot start in the past: choose today or a later day.")
    if start is not None and start > due_date(today, Frequency.ANNUALLY, START_YEARS_AHEAD):
        raise DomainError(f"The start is more than {START_YEARS_AHEAD} years ahead: correct it.")
