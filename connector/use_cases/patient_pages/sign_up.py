"""Sign up: what the payer has chosen and accepted is put on the pending contract; the payment method comes next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.intake.card_numbers import holds_card_number
from connector.billing.intake.member_cells import BadCell, phone_number
from connector.billing.members import Member
from connector.billing.offers.plans import MembershipPlan, PlanVersion, price_of
from connector.billing.prices.discounts import PromoCode, PromoRedemption
from connector.billing.prices.pricing import Position
from connector.messaging.sms import is_service_number
from connector.use_cases.context import Context
from connector.use_cases.patient_pages.link_history import ACCEPTED, gave_phone, remember_once
from connector.use_cases.patient_pages.promo_tries import redeem_typed
from connector.use_cases.patient_pages.refusals import PayerRefusal
from connector.use_cases.patient_pages.show_signup import (
    Dues,
    SignupPage,
    dues,
    offer_key,
    offers,
    promo_of,
    signup_page,
)
from connector.use_cases.plans.decide_plan_change import PAYER, withdraw_open_change
from connector.use_cases.practice.location_settings import require_active


@dataclass(frozen=True, slots=True, repr=False)
class SignupForm:
    """What the payer has filled in. Has no repr: it is personal."""

    chosen: str = ""
    """As `offer_key` writes it; empty: what the invitation says."""
    promo: str = ""
    phone: str = ""
    agreed: bool = False
    shown: str = ""
    """The amounts that the page showed, as `amounts` writes them."""


def sign_up(context: Context, session: Session, location: Location, contract: Contract, form: SignupForm) -> None:
    """Store the choice and the acceptance, in the caller's unit of work.

    Raises DomainError, after which the caller keeps nothing: for a number that cannot be one, a promo code that cannot
    be redeemed, amounts other than those that were shown, or a location that takes no sign-ups.
    """
    require_active(location)
    if not form.agreed:
        raise PayerRefusal("Please read the terms and tick the box to accept them.")
    now = context.clock.now()
    phone_given = _take_phone(session, contract, form.phone)
    choose(session, location, contract, form, now)
    found = dues(context, session, location, contract)
    if form.shown != amounts(found):
        raise PayerRefusal("The price has changed: please check it below, and continue if you agree.")
    remember_once(
        session,
        contract.id,
        ACCEPTED,
        now,
        location_id=location.id,
        member_id=contract.member_id,
        plan_version_ids=sorted(_versions(session, contract)),
        first_cents=found.first.cents,
        later_cents=found.later.cents,
        afterwards_cents=found.afterwards.cents,
        frequency=contract.frequency.value,
        **({"phone_given": True} if phone_given else {}),
    )


def preview(context: Context, session: Session, location: Location, contract: Contract, form: SignupForm) -> SignupPage:
    """The page with that choice on it, in a unit of work that the caller undoes. Raises DomainError as above.

    A code that is only looked at does not count yet: the page asks for it again, as the form has it.
    """
    counting = promo_of(session, contract)
    choose(session, location, contract, form, context.clock.now())
    page = signup_page(context, session, location, contract)
    if page is None:
        raise PayerRefusal("There is nothing to sign any more.")
    return replace(page, promo=counting)


def choose(session: Session, location: Location, contract: Contract, form: SignupForm, now: datetime) -> None:
    """Put plan, frequency and promo code on a pending contract."""
    if contract.status is AgreementStatus.PENDING:
        _choose_plan(session, location, contract, form.chosen, now)
        session.flush()
        if code := form.promo.strip():
            redeem_typed(session, location, contract, code, now)
        _check_promo(session, contract)


def amounts(found: Dues) -> str:
    """What the payer agrees to, as a form carries it back: 'first/later/afterwards/frequency' in cents."""
    return f"{found.first.cents}/{found.later.cents}/{found.afterwards.cents}/{found.frequency}"


def _take_phone(session: Session, contract: Contract, typed: str) -> bool:
    """Fill in a phone number that the practice lacks, or correct one that was given here; whether that was done.

    A link changes neither a name nor a number that is known: names decide to which patient's file the money goes, and
    to known numbers go the links themselves.
    """
    member = session.get_one(Member, contract.member_id)
    if not typed.strip() or (member.phone and not gave_phone(session, contract.id)):
        return False
    no_card = PayerRefusal("Please enter no card number on this page: the page for your card comes next.")
    if holds_card_number(typed):
        raise no_card
    try:
        number = phone_number(typed)
    except BadCell:
        raise PayerRefusal("This cannot be a telephone number: please correct it.") from None
    if holds_card_number(number):
        raise no_card
    if is_service_number(number):
        raise PayerRefusal("This is the number of a service, or too short: please enter the number of your own phone.")
    is_new, member.phone = member.phone != number, number
    return is_new


def _choose_plan(session: Session, location: Location, contract: Contract, chosen: str, now: datetime) -> None:
    """Give each person the price of their plan at the chosen frequency, and the holder the chosen plan."""
    version_id, _, name = chosen.partition(":")
    covers = session.scalars(select(Cover).where(Cover.contract_id == contract.id, Cover.until_period.is_(None))).all()
    holder = next((cover for cover in covers if cover.position is Position.HOLDER), None)
    if not chosen or chosen == offer_key(holder.plan_version_id if holder else "", contract.frequency):
        return
    possible = {offer.version_id: offer for offer in offers(session, location, contract, now)}
    offer = possible.get(version_id)
    if holder is None or offer is None or name not in {key.value for key, _ in offer.prices}:
        raise PayerRefusal("This plan is not offered any more: please choose another one.")
    contract.frequency = Frequency(name)
    if holder.plan_version_id != version_id:
        holder.plan_version_id = version_id
        holder.setup_fee_cents = 0 if contract.adopted else offer.terms.setup_fee_cents
    for cover in covers:
        # A change that was accepted before is of a plan, or at a price, that was not chosen now.
        withdraw_open_change(session, cover.id, now, actor=PAYER, because="replaced")
        version = session.get_one(PlanVersion, cover.plan_version_id)
        plan = session.get_one(MembershipPlan, version.plan_id)
        cover.price_cents = price_of(version.terms, plan.name, contract.frequency, contract.currency).cents


def _check_promo(session: Session, contract: Contract) -> None:
    """A code that was redeemed before may be for the plan that was chosen then only."""
    redemption = session.get(PromoRedemption, contract.id)
    allowed = session.get_one(PromoCode, redemption.promo_code_id).plan_ids if redemption else None
    plans = select(PlanVersion.plan_id).where(PlanVersion.id.in_(_versions(session, contract)))
    if allowed and not set(allowed) & set(session.scalars(plans)):
        raise PayerRefusal("Your promo code is not for this plan: please choose another plan.")


def _versions(session: Session, contract: Contract) -> set[str]:
    return set(session.scalars(select(Cover.plan_version_id).where(Cover.contract_id == contract.id)))
