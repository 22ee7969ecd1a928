"""Price the periods of contracts: who is covered, by which plan, and which discounts count, for a whole batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import BILLABLE, Contract, Cover
from connector.billing.clinics import Location
from connector.billing.offers.plan_terms import TaxCode
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.billing.policy import BillingPolicy
from connector.billing.prices.discounts import PromoCode, PromoRedemption, Referral
from connector.billing.prices.pricing import (
    CoveredPerson,
    Position,
    PricedLine,
    Promo,
    active_referrals,
    price_period,
    promo_applies,
)
from connector.money import Money


class Prices:
    """What pricing needs of a batch of contracts, read with a query for each kind of thing."""

    def __init__(self, session: Session, location: Location, contract_ids: Sequence[str]) -> None:
        self._policy: BillingPolicy = location.policy
        self._covers = _covers(session, contract_ids)
        self._plans = _plans(session, {cover.plan_version_id for covers in self._covers.values() for cover in covers})
        self._referrals = _referrals(session, contract_ids)
        self._referred = set(
            session.scalars(
                select(Referral.referred_contract_id).where(Referral.referred_contract_id.in_(contract_ids))
            )
        )
        self._promos = {
            redemption.contract_id: (redemption, code)
            for redemption, code in session.execute(
                select(PromoRedemption, PromoCode)
                .join(PromoCode, PromoCode.id == PromoRedemption.promo_code_id)
                .where(PromoRedemption.contract_id.in_(contract_ids))
            )
        }

    def lines(self, contract: Contract, period: int, on: date) -> tuple[PricedLine, ...]:
        """The invoice lines of that period, due `on`: prices as signed, discounts as they stand."""
        people = [self._person(cover, contract, period) for cover in self._covers[contract.id] if cover.covers(period)]
        return price_period(
            people,
            active_referrals=active_referrals(self._referrals[contract.id], on, self._policy.referral_months),
            referred=contract.id in self._referred,
            promo=self._promo(contract, period),
            policy=self._policy,
        )

    def _person(self, cover: Cover, contract: Contract, period: int) -> CoveredPerson:
        plan_id, name, tax_code = self._plans[cover.plan_version_id]
        fee = cover.setup_fee_cents if period == cover.from_period else 0
        return CoveredPerson(
            member_id=cover.member_id,
            position=cover.position,
            plan_name=name,
            price=Money(cover.price_cents, contract.currency),
            setup_fee=Money(fee, contract.currency),
            tax_code=tax_code,
            plan_id=plan_id,
        )

    def promo_ends(self, contract: Contract) -> int | None:
        """The first period without the promo code that was entered; None without one, or when it lasts for good."""
        if contract.id not in self._promos:
            return None
        redemption, code = self._promos[contract.id]
        return None if code.periods is None else redemption.from_period + code.periods

    def _promo(self, contract: Contract, period: int) -> Promo | None:
        if contract.id not in self._promos:
            return None
        redemption, code = self._promos[contract.id]
        terms = code.terms
        return terms.promo(contract.currency) if promo_applies(terms, period - redemption.from_period) else None


def _covers(session: Session, contract_ids: Sequence[str]) -> defaultdict[str, list[Cover]]:
    """Covers by contract, the holder's first."""
    found: defaultdict[str, list[Cover]] = defaultdict(list)
    query = select(Cover).where(Cover.contract_id.in_(contract_ids)).order_by(Cover.created_at, Cover.id)
    for cover in session.scalars(query):
        found[cover.contract_id].append(cover)
    for covers in found.values():
        covers.sort(key=lambda cover: cover.position is not Position.HOLDER)
    return found


def _plans(session: Session, version_ids: set[str]) -> dict[str, tuple[str, str, TaxCode]]:
    """Id and name of the plan and its tax code, by version."""
    query = (
        select(PlanVersion, MembershipPlan.name)
        .join(MembershipPlan, MembershipPlan.id == PlanVersion.plan_id)
        .where(PlanVersion.id.in_(version_ids))
    )
    return {version.id: (version.plan_id, name, version.terms.tax_code) for version, name in session.execute(query)}


def _referrals(session: Session, contract_ids: Sequence[str]) -> defaultdict[str, list[tuple[date, bool]]]:
    """By referrer: when each contract that came of a referral began, and whether it is active."""
    found: defaultdict[str, list[tuple[date, bool]]] = defaultdict(list)
    query = (
        select(Referral.referrer_contract_id, Contract.anchor, Contract.status)
        .join(Contract, Contract.id == Referral.referred_contract_id)
        .where(Referral.referrer_contract_id.in_(contract_ids), Contract.anchor.is_not(None))
    )
    for referrer, start, status in session.execute(query):
        if start is not None:
            found[referrer].append((start, status in BILLABLE))
    return found
