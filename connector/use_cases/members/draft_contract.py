"""Draft a contract: what somebody is invited to sign, with prices copied from the plan's version of the day."""

from __future__ import annotations

from datetime import date, datetime

from connector import ids
from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.offers.plans import MembershipPlan, PlanVersion, price_of
from connector.billing.prices.pricing import Position


def draft_contract(
    location: Location,
    member_id: str,
    offer: tuple[MembershipPlan, PlanVersion],
    frequency: Frequency,
    now: datetime,
    *,
    start: date | None = None,
    adopted: bool = False,
) -> tuple[Contract, Cover]:
    """A pending contract and its holder's cover, not yet stored.

    Raises DomainError when the plan has no price for that frequency.
    """
    contract = Contract(
        id=ids.new_id("con"),
        location_id=location.id,
        member_id=member_id,
        frequency=frequency,
        currency=location.currency,
        status=AgreementStatus.PENDING,
        anchor=start,
        adopted=adopted,
        next_period=0,
        created_at=now,
    )
    return contract, draft_cover(contract, member_id, Position.HOLDER, offer, now, setup_fee=not adopted)


def draft_cover(
    contract: Contract,
    member_id: str,
    position: Position,
    offer: tuple[MembershipPlan, PlanVersion],
    now: datetime,
    *,
    setup_fee: bool = True,
) -> Cover:
    """One person's part of a contract, from its next period on."""
    plan, version = offer
    terms = version.terms
    return Cover(
        id=ids.new_id("cov"),
        contract_id=contract.id,
        member_id=member_id,
        position=position,
        plan_version_id=version.id,
        price_cents=price_of(terms, plan.name, contract.frequency, contract.currency).cents,
        setup_fee_cents=terms.setup_fee_cents if setup_fee else 0,
        from_period=contract.next_period,
        created_at=now,
    )
