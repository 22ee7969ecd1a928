"""Promo codes: add, list and end them; redeem one for a contract that is being signed, and give its use back.

A code is a secret between the practice and whom it was given to, so it stands in no log, history or error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import remember
from connector.billing.agreements.asking import askable_day
from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.clinics import Location, location_by_slug
from connector.billing.intake.card_numbers import without_card_number
from connector.billing.intake.cells import FORMULA
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.offers.plans import MembershipPlan, PlanVersion, plan_by_name
from connector.billing.prices.discounts import PromoCode, PromoRedemption
from connector.billing.prices.pricing import CodeOfNoUse, Position, PromoTerms, redeemable
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.context import Context
from connector.use_cases.plans.decide_plan_change import PAYER

CAMPAIGN_MAX = 100
"""Characters."""


class PromoState(StrEnum):
    """Whether a code can be redeemed on a day."""

    OPEN = "open"
    NOT_YET = "not yet"
    CLOSED = "closed"
    USED_UP = "used up"
    ENDED = "ended"
    """By a person."""


@dataclass(frozen=True, slots=True, repr=False)
class PromoLine:
    """One code, for staff. Has no repr: codes are not for logs."""

    terms: PromoTerms
    plans: list[str]
    """Names of the plans that it is for; empty: all."""
    campaign: str
    used: int
    state: PromoState


def normal_code(text: str) -> str:
    """A code as it is stored, however it was typed."""
    return text.strip().upper()


def add_promo_code(
    context: Context,
    *,
    location_slug: str,
    terms: PromoTerms,
    actor: str,
    plans: Sequence[str] = (),
    campaign: str = "",
) -> str:
    """Add a code, for the named plans or for all; returns its id. Raises DomainError, and then adds nothing."""
    if len(campaign) > CAMPAIGN_MAX or (campaign and not campaign.isprintable()):
        raise DomainError(f"A campaign is one line of at most {CAMPAIGN_MAX} printable characters: shorten it.")
    if terms.code.startswith(FORMULA) or campaign.startswith(FORMULA):
        raise DomainError(
            "A code and a campaign do not start like a formula of a spreadsheet (=, +, -, @): correct it."
        )
    without_card_number(terms.code, campaign)
    now = context.clock.now()
    try:
        with context.database.unit_of_work() as session:
            location = location_by_slug(session, location_slug)
            _check_days(terms, business_date(now, location.zone))
            promo = PromoCode(
                id=ids.new_id("prm"),
                location_id=location.id,
                code=normal_code(terms.code),
                percent=None if terms.percent is None else f"{terms.percent.normalize():f}",
                amount_cents=terms.amount_cents,
                scope=terms.scope,
                periods=terms.periods,
                opens=terms.opens,
                closes=terms.closes,
                max_uses=terms.max_uses,
                plan_ids=[plan_by_name(session, location, name).id for name in plans] or None,
                campaign=campaign,
                created_at=now,
            )
            session.add(promo)
            session.flush()
            remember(session, promo.id, "Promo Code Added", now, location_id=location.id, actor=actor)
    except IntegrityError:
        raise DomainError("The location has this promo code already: choose another one.") from None
    return promo.id


def _check_days(terms: PromoTerms, today: date) -> None:
    for what, day in (("first", terms.opens), ("last", terms.closes)):
        if day is not None:
            askable_day(f"The {what} day of a promo code", day, today)


def end_promo_code(context: Context, *, location_slug: str, code: str, actor: str) -> None:
    """Let nobody redeem the code any more; whoever has redeemed it keeps it. Raises DomainError when it cannot end."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        location = location_by_slug(session, location_slug)
        promo = _found(session, location, code)
        if promo is None:
            raise DomainError("The location has no such promo code: see `connector promo-codes list --location SLUG`.")
        if promo.ended_at is not None:
            raise DomainError("This promo code has ended already: nothing is left to do.")
        promo.ended_at = now
        remember(session, promo.id, "Promo Code Ended", now, location_id=location.id, actor=actor, used=promo.used)


def list_promo_codes(context: Context, location: Location) -> list[PromoLine]:
    """The location's codes, the newest first."""
    today = business_date(context.clock.now(), location.zone)
    plans = select(MembershipPlan.id, MembershipPlan.name).where(MembershipPlan.location_id == location.id)
    codes = (
        select(PromoCode)
        .where(PromoCode.location_id == location.id)
        .order_by(PromoCode.created_at.desc(), PromoCode.id)
    )
    with context.database.read() as session:
        names = dict(session.execute(plans).all())
        return [
            PromoLine(
                promo.terms,
                sorted(names[plan_id] for plan_id in promo.plan_ids or ()),
                promo.campaign,
                promo.used,
                _state(promo, today),
            )
            for promo in session.scalars(codes)
        ]


def redeem(
    session: Session, location: Location, contract: Contract, code: str, now: datetime, *, actor: str = PAYER
) -> None:
    """Redeem a code for a contract from its next period on, in any case of letters; the same once more changes nothing.

    Raises DomainError when the code cannot be used, or the contract has another; then the session is as it was before.
    """
    promo = _found(session, location, code)
    redeemed = session.get(PromoRedemption, contract.id)
    if promo is not None and redeemed is not None and redeemed.promo_code_id == promo.id:
        return
    if redeemed is not None:
        raise DomainError("This membership has a promo code already, and only one counts: continue without this one.")
    if promo is not None and promo.ended_at is not None:
        raise CodeOfNoUse("This promo code has ended: continue without it.")
    today = business_date(now, location.zone)
    try:
        with session.begin_nested():
            used = 0 if promo is None else _count_use(session, promo)
            redeemable(None if promo is None else promo.terms, today, used, _plan_id(session, contract))
            if promo is not None:
                _keep(session, location, contract, promo, now, actor)
    except IntegrityError:
        raise DomainError("This membership got a promo code just now: look at it again.") from None


def give_back(session: Session, location: Location, contract: Contract, now: datetime, actor: str) -> None:
    """Free the use that a contract took which never began, so that somebody else can have it.

    As long as an invoice of the contract may still be paid, the use is not free.
    """
    redeemed = session.get(PromoRedemption, contract.id)
    payable = select(Invoice.id).where(Invoice.contract_id == contract.id, Invoice.status != InvoiceStatus.CANCELLED)
    if redeemed is None or session.scalars(payable).first():
        return
    promo_id = redeemed.promo_code_id
    session.delete(redeemed)
    session.execute(
        update(PromoCode)
        .where(PromoCode.id == promo_id)
        .values(used=PromoCode.used - 1)
        .execution_options(synchronize_session="fetch")
    )
    detail = {"promo_code_id": promo_id}
    remember(session, contract.id, "Promo Code Given Back", now, location_id=location.id, actor=actor, **detail)


def _keep(
    session: Session, location: Location, contract: Contract, promo: PromoCode, now: datetime, actor: str
) -> None:
    session.add(
        PromoRedemption(
            contract_id=contract.id, promo_code_id=promo.id, from_period=contract.next_period, redeemed_at=now
        )
    )
    session.flush()
    remember(
        session,
        contract.id,
        "Promo Code Redeemed",
        now,
        location_id=location.id,
        actor=actor,
        promo_code_id=promo.id,
        from_period=contract.next_period,
    )


def _count_use(session: Session, promo: PromoCode) -> int:
    """Take one use; returns how many were taken before. Of two who ask for the last one, the second finds none left."""
    statement = (
        update(PromoCode)
        .where(PromoCode.id == promo.id, or_(PromoCode.max_uses.is_(None), PromoCode.used < PromoCode.max_uses))
        .values(used=PromoCode.used + 1)
        .returning(PromoCode.used)
        .execution_options(synchronize_session=False)
    )
    counted = session.scalar(statement)
    return (promo.max_uses or 0) if counted is None else counted - 1


def _found(session: Session, location: Location, code: str) -> PromoCode | None:
    return session.scalar(
        select(PromoCode).where(PromoCode.location_id == location.id, PromoCode.code == normal_code(code))
    )


def _plan_id(session: Session, contract: Contract) -> str:
    """The plan that a code must be for: the account holder's, or that of the first person if the holder only pays."""
    query = (
        select(Cover.position, PlanVersion.plan_id)
        .join(PlanVersion, PlanVersion.id == Cover.plan_version_id)
        .where(Cover.contract_id == contract.id, Cover.until_period.is_(None))
        .order_by(Cover.created_at, Cover.id)
    )
    found = session.execute(query).all()
    return min(found, key=lambda row: row.position is not Position.HOLDER).plan_id if found else ""


def _state(promo: PromoCode, today: date) -> PromoState:
    if promo.ended_at is not None:
        return PromoState.ENDED
    if promo.max_uses is not None and promo.used >= promo.max_uses:
        return PromoState.USED_UP
    if promo.closes is not None and promo.closes < today:
        return PromoState.CLOSED
    if promo.opens is not None and promo.opens > today:
        return PromoState.NOT_YET
    return PromoState.OPEN
