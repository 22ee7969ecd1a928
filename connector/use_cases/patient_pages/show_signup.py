"""Show what somebody signs: the plans to choose from, and what is due first and then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.clinics import Location
from connector.billing.members import Member
from connector.billing.offers.plan_terms import PlanTerms, admits, offered_on
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.billing.policy import FutureStart
from connector.billing.prices.discounts import PromoCode, PromoRedemption
from connector.billing.prices.pricing import Position, PricedLine, amount_of
from connector.clock import business_date
from connector.errors import DomainError
from connector.money import Money
from connector.use_cases.context import Context
from connector.use_cases.invoices.price_periods import Prices
from connector.use_cases.patient_pages.link_history import gave_phone

SIGNABLE = (AgreementStatus.PENDING, AgreementStatus.FAILED)
"""Contracts that wait for their payer. One that failed was signed, and only wants another payment method."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One plan with its prices."""

    version_id: str
    name: str
    terms: PlanTerms
    prices: tuple[tuple[Frequency, Money], ...]
    join_fee: Money


@dataclass(frozen=True, slots=True, repr=False)
class NamedLine:
    """A line of a price with the given name of the person it is for. Has no repr: it is personal."""

    person: str
    line: PricedLine


@dataclass(frozen=True, slots=True, repr=False)
class Dues:
    """What a contract comes to when it is signed now. Has no repr: it is personal."""

    lines: tuple[NamedLine, ...]
    first: Money
    first_due: date
    is_today: bool
    later: Money
    later_due: date
    frequency: Frequency
    afterwards: Money
    """Once a promo code has ended, and changes of plan that were accepted count; else the same as `later`."""
    afterwards_due: date

    @property
    def changes(self) -> bool:
        """Whether the price of each time changes some day."""
        return self.afterwards != self.later


@dataclass(frozen=True, slots=True, repr=False)
class SignupPage:
    """All that the page of an invitation shows. Has no repr: it is personal."""

    given_name: str
    asks_phone: bool
    """The practice has no phone number of the payer but one that was given here. A number is never shown, and one that
    the practice knows is not changed by a link."""
    phone_given: bool
    """A number was given here already; another one corrects it."""
    offers: tuple[Offer, ...]
    """None when the plan cannot be chosen any more."""
    chosen: str
    """Of the offers: the plan's version and the frequency, as `offer_key` writes them."""
    dues: Dues
    plans: tuple[Offer, ...]
    """What the people on the contract have now, for their terms."""
    promo: str
    """The code that counts already."""
    signed: bool
    """It was signed before, and its first payment was declined."""


def signup_page(context: Context, session: Session, location: Location, contract: Contract) -> SignupPage | None:
    """The page for a contract that waits for its payer; None when there is nothing to sign."""
    if contract.status not in SIGNABLE:
        return None
    member = session.get_one(Member, contract.member_id)
    held = _holder_cover(session, contract)
    pending = contract.status is AgreementStatus.PENDING
    phone_given = bool(member.phone) and gave_phone(session, contract.id)
    return SignupPage(
        given_name=member.given_name,
        asks_phone=not member.phone or phone_given,
        phone_given=phone_given,
        offers=offers(session, location, contract, context.clock.now()) if pending else (),
        chosen=offer_key(held.plan_version_id if held else "", contract.frequency),
        dues=dues(context, session, location, contract),
        plans=tuple(_plans_held(session, contract)),
        promo=promo_of(session, contract),
        signed=not pending,
    )


def offer_key(version_id: str, frequency: Frequency) -> str:
    """How a form names one plan at one frequency. Without a version: the frequency alone is chosen."""
    return f"{version_id}:{frequency}"


def offers(session: Session, location: Location, contract: Contract, now: datetime) -> tuple[Offer, ...]:
    """The plans that the holder may choose, that of the invitation first, at frequencies that all people can have."""
    others = [session.get_one(PlanVersion, cover.plan_version_id).terms for cover in _dependents(session, contract)]
    common = [frequency for frequency in Frequency if all(frequency in terms.prices for terms in others)]
    held = _holder_cover(session, contract)
    if held is None:
        return ()
    invited = session.get_one(PlanVersion, held.plan_version_id)
    found = [_offer(session, invited, contract.currency, common)]
    today = business_date(now, location.zone)
    born = session.get_one(Member, contract.member_id).date_of_birth
    for plan, version in _offered(session, location):
        if plan.id != invited.plan_id and offered_on(version.terms, today) and _admitted(version.terms, born, today):
            found.append(_offer(session, version, contract.currency, common))
    return tuple(offer for offer in found if offer.prices)


def dues(context: Context, session: Session, location: Location, contract: Contract) -> Dues:
    """What is due when the contract is signed now, and each time after that."""
    session.flush()
    today = business_date(context.clock.now(), location.zone)
    anchor = max(today, contract.anchor or today)
    waits = contract.adopted or location.policy.future_start is FutureStart.CHARGE_AT_START
    first_due, later_due = (anchor if waits else today), due_date(anchor, contract.frequency, 1)
    prices = Prices(session, location, [contract.id], anchor)
    last = max(1, prices.settled_from(contract))
    last_due = due_date(anchor, contract.frequency, last)
    first, later, afterwards = (
        prices.invoice_lines(context.tiers, contract, period, due)
        for period, due in ((0, first_due), (1, later_due), (last, last_due))
    )
    return Dues(
        lines=named(session, first),
        first=amount_of(first, contract.currency),
        first_due=first_due,
        is_today=first_due == today,
        later=amount_of(later, contract.currency),
        later_due=later_due,
        frequency=contract.frequency,
        afterwards=amount_of(afterwards, contract.currency),
        afterwards_due=last_due,
    )


def named(session: Session, lines: Sequence[PricedLine]) -> tuple[NamedLine, ...]:
    """The lines with the people whom they are for."""
    ids = {line.member_id for line in lines}
    names = {member.id: member.given_name for member in session.scalars(select(Member).where(Member.id.in_(ids)))}
    return tuple(NamedLine(names.get(line.member_id or "", ""), line) for line in lines)


def _plans_held(session: Session, contract: Contract) -> Iterator[Offer]:
    query = select(Cover.plan_version_id).where(Cover.contract_id == contract.id).order_by(Cover.created_at, Cover.id)
    for version_id in dict.fromkeys(session.scalars(query)):
        yield _offer(session, session.get_one(PlanVersion, version_id), contract.currency, list(Frequency))


def _offer(session: Session, version: PlanVersion, currency: str, frequencies: Sequence[Frequency]) -> Offer:
    terms = version.terms
    return Offer(
        version_id=version.id,
        name=session.get_one(MembershipPlan, version.plan_id).name,
        terms=terms,
        prices=tuple((key, Money(cents, currency)) for key, cents in terms.prices.items() if key in frequencies),
        join_fee=Money(terms.setup_fee_cents, currency),
    )


def _offered(session: Session, location: Location) -> list[tuple[MembershipPlan, PlanVersion]]:
    query = (
        select(MembershipPlan, PlanVersion)
        .join(PlanVersion, PlanVersion.plan_id == MembershipPlan.id)
        .where(MembershipPlan.location_id == location.id, MembershipPlan.archived_at.is_(None))
        .where(PlanVersion.number == MembershipPlan.version)
        .order_by(MembershipPlan.name)
    )
    return [(plan, version) for plan, version in session.execute(query)]


def _admitted(terms: PlanTerms, born: date | None, today: date) -> bool:
    try:
        admits(terms, born, today)
    except DomainError:
        return False
    return True


def _holder_cover(session: Session, contract: Contract) -> Cover | None:
    """The payer's own; None of somebody who pays for others only."""
    query = select(Cover).where(Cover.contract_id == contract.id, Cover.position == Position.HOLDER)
    return session.scalar(query.where(Cover.until_period.is_(None)))


def _dependents(session: Session, contract: Contract) -> Sequence[Cover]:
    query = select(Cover).where(Cover.contract_id == contract.id, Cover.position == Position.DEPENDENT)
    return session.scalars(query.where(Cover.until_period.is_(None)).order_by(Cover.created_at, Cover.id)).all()


def promo_of(session: Session, contract: Contract) -> str:
    """The promo code that the contract has; empty for none."""
    query = select(PromoCode.code).join(PromoRedemption, PromoRedemption.promo_code_id == PromoCode.id)
    return session.scalar(query.where(PromoRedemption.contract_id == contract.id)) or ""
