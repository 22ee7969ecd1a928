"""Sign up: what the payer has chosen and accepted is put on the pending contract; the payment method comes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.activity import remember
from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.intake.member_cells import BadCell, phone_number
from connector.billing.members import Member
from connector.billing.offers.plans import MembershipPlan, PlanVersion, price_of
from connector.billing.prices.discounts import PromoCode, PromoRedemption
from connector.billing.prices.pricing import Position
from connector.errors import DomainError
from connector.use_cases.context import Context
from connector.use_cases.patient_pages.show_signup import Dues, SignupPage, dues, offer_key, offers, signup_page
from connector.use_cases.plans.promo_codes import redeem

NAME_MAX = 100
"""Characters."""


@dataclass(frozen=True, slots=True, repr=False)
class SignupForm:
    """What the payer has filled in. Has no repr: it is personal."""

    chosen: str = ""
    """As `offer_key` writes it; empty: what the invitation says."""
    promo: str = ""
    given_name: str = ""
    family_name: str = ""
    phone: str = ""
    agreed: bool = False
    shown: str = ""
    """The amounts that the page showed, as `amounts` writes them."""


def sign_up(context: Context, session: Session, location: Location, contract: Contract, form: SignupForm) -> None:
    """Store the choice and the acceptance, in the caller's unit of work.

    Raises DomainError, after which the caller keeps nothing: for details that cannot be used, a promo code that cannot
    be redeemed, or amounts other than those that were shown.
    """
    if not form.agreed:
        raise DomainError("Please read the terms and tick the box to accept them.")
    now = context.clock.now()
    _confirm_details(session.get_one(Member, contract.member_id), form)
    choose(session, location, contract, form, now)
    found = dues(context, session, location, contract)
    if form.shown != amounts(found):
        raise DomainError("The price has changed: please check it below, and continue if you agree.")
    remember(
        session,
        contract.id,
        "Terms Accepted",
        now,
        location_id=location.id,
        actor=f"member:{contract.member_id}",
        plan_version_ids=sorted(_versions(session, contract)),
        first_cents=found.first.cents,
        later_cents=found.later.cents,
        frequency=contract.frequency.value,
    )


def preview(context: Context, session: Session, location: Location, contract: Contract, form: SignupForm) -> SignupPage:
    """The page with that choice on it, in a unit of work that the caller undoes. Raises DomainError as above."""
    choose(session, location, contract, form, context.clock.now())
    page = signup_page(context, session, location, contract)
    if page is None:
        raise DomainError("There is nothing to sign any more.")
    return page


def choose(session: Session, location: Location, contract: Contract, form: SignupForm, now: datetime) -> None:
    """Put plan, frequency and promo code on a pending contract."""
    if contract.status is AgreementStatus.PENDING:
        _choose_plan(session, location, contract, form.chosen, now)
        session.flush()
        if code := form.promo.strip():
            redeem(session, location, contract, code, now)
        _check_promo(session, contract)


def amounts(found: Dues) -> str:
    """What the payer agrees to, as a form carries it back: 'first/later/frequency' in cents."""
    return f"{found.first.cents}/{found.later.cents}/{found.frequency}"


def _confirm_details(member: Member, form: SignupForm) -> None:
    given, family = " ".join(form.given_name.split()), " ".join(form.family_name.split())
    if not given or not family:
        raise DomainError("Please fill in your first and your last name.")
    if max(len(given), len(family)) > NAME_MAX or not (given + family).isprintable():
        raise DomainError(f"A name has at most {NAME_MAX} characters: please shorten it.")
    try:
        phone = phone_number(form.phone) if form.phone.strip() else ""
    except BadCell:
        raise DomainError("This cannot be a telephone number: please correct it.") from None
    member.given_name, member.family_name, member.phone = given, family, phone or member.phone


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
        raise DomainError("This plan is not offered any more: please choose another one.")
    contract.frequency = Frequency(name)
    if holder.plan_version_id != version_id:
        holder.plan_version_id = version_id
        holder.setup_fee_cents = 0 if contract.adopted else offer.terms.setup_fee_cents
    for cover in covers:
        version = session.get_one(PlanVersion, cover.plan_version_id)
        plan = session.get_one(MembershipPlan, version.plan_id)
        cover.price_cents = price_of(version.terms, plan.name, contract.frequency, contract.currency).cents


def _check_promo(session: Session, contract: Contract) -> None:
    """A code that was redeemed before may be for the plan that was chosen then only."""
    redemption = session.get(PromoRedemption, contract.id)
    allowed = session.get_one(PromoCode, redemption.promo_code_id).plan_ids if redemption else None
    plans = select(PlanVersion.plan_id).where(PlanVersion.id.in_(_versions(session, contract)))
    if allowed and not set(allowed) & set(session.scalars(plans)):
        raise DomainError("Your promo code is not for this plan: please choose another plan.")


def _versions(session: Session, contract: Contract) -> set[str]:
    return set(session.scalars(select(Cover.plan_version_id).where(Cover.contract_id == contract.id)))
