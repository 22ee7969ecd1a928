"""Price the periods of contracts: who is covered, by which plan, and which discounts count, for a whole batch.

Whatever says what a period costs, before it is invoiced or when it is, asks here: what is announced is what is charged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import BILLABLE, Contract, Cover
from connector.billing.clinics import Location
from connector.billing.invoices import InvoiceKind
from connector.billing.offers.plan_terms import TaxCode
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.billing.policy import BillingPolicy
from connector.billing.prices.discounts import PromoCode, PromoRedemption, Referral
from connector.billing.prices.platform_fee import Tier
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
from connector.use_cases.invoices.platform_fees import with_platform_fee
from connector.use_cases.plans.apply_plan_changes import accepted_changes


class Prices:
    """What pricing needs of a batch of contracts, read with a query for each kind of thing.

    `begins` is the day from which one counts that is to be signed, `as_if_accepted` names plan changes that are only
    offered, to say what they would come to.
    """

    def __init__(
        self,
        session: Session,
        location: Location,
        contract_ids: Sequence[str],
        begins: date | None = None,
        as_if_accepted: Collection[str] = (),
    ) -> None:
        self._location = location
        self._policy: BillingPolicy = location.policy
        self._covers = _covers(session, contract_ids)
        self._changes = accepted_changes(session, contract_ids, begins, as_if_accepted)
        versions = {cover.plan_version_id for covers in self._covers.values() for cover in covers}
        self._plans = _plans(session, versions | {change.plan_version_id for _, change in self._changes.values()})
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

    def invoice_lines(
        self, tiers: Mapping[str, Tier], contract: Contract, period: int, on: date, *, skipped: int = 0
    ) -> tuple[PricedLine, ...]:
        """All lines that the invoice of that period will have, with the platform's fee where the payer bears it."""
        lines = self.lines(contract, period, on, skipped=skipped)
        return with_platform_fee(tiers, self._location, InvoiceKind.MEMBERSHIP, lines, contract.fee_bearer)

    def lines(self, contract: Contract, period: int, on: date, *, skipped: int = 0) -> tuple[PricedLine, ...]:
        """What that period costs, due `on`: prices as signed, or as accepted by then; discounts as they stand.

        `skipped`: how many periods a pause passes over before it. They use up nothing: a fee that was to come with
        the first of them, and a promo code, come with those that are billed instead.
        """
        covers = [cover for cover in self._covers[contract.id] if cover.covers(period)]
        people = [self._person(cover, contract, period, skipped) for cover in covers]
        return price_period(
            people,
            active_referrals=active_referrals(self._referrals[contract.id], on, self._policy.referral_months),
            referred=contract.id in self._referred,
            promo=self._promo(contract, period - skipped),
            policy=self._policy,
        )

    def _person(self, cover: Cover, contract: Contract, period: int, skipped: int) -> CoveredPerson:
        begins, change = self._changes.get(cover.id, (0, None))
        signed = change if change and period >= begins else cover
        plan_id, name, tax_code = self._plans[signed.plan_version_id]
        fee = cover.setup_fee_cents if period - skipped == cover.from_period else 0
        return CoveredPerson(
            member_id=cover.member_id,
            position=cover.position,
            plan_name=name,
            price=Money(signed.price_cents, contract.currency),
            setup_fee=Money(fee, contract.currency),
            tax_code=tax_code,
            plan_id=plan_id,
        )

    def settled_from(self, contract: Contract) -> int:
        """The first period without a promo code that ends some day, and with every change of plan that was accepted."""
        periods = [0, *(self._changes[c.id][0] for c in self._covers[contract.id] if c.id in self._changes)]
        if contract.id in self._promos:
            redemption, code = self._promos[contract.id]
            periods.append(0 if code.periods is None else redemption.from_period + code.periods)
        return max(periods)

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
