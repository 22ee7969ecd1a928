"""Tell what the files for another installation cannot carry: a person settles it there by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from connector.billing.agreements.contracts import BILLABLE, AgreementStatus, Contract, Cover
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import HoldStatus, PaymentHold
from connector.billing.invoices import UNPAID, Invoice
from connector.billing.members import PaymentMethod
from connector.billing.offers.plan_changes import PlanChange, PlanChangeStatus
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.billing.prices.discounts import PromoCode, PromoRedemption, Referral
from connector.billing.prices.pricing import Position
from connector.database.sums import summed
from connector.money import Money
from connector.use_cases.members.memberships import NOT_BEGUN
from connector.use_cases.transfer.export_members import Snapshot, accepted_by_link, is_askable, owed_now, under_way

BY_HAND = ("member_id", "agreement_id", "what")

Row = dict[str, Any]

_INVITE = (
    "ask the payer to sign up there with `connector patient-links send CONTRACT`, whose id "
    "`connector members list --location SLUG` shows there"
)

_OVER = (HoldStatus.CAPTURED, HoldStatus.RELEASED, HoldStatus.EXPIRED, HoldStatus.FAILED)


def by_hand(snapshot: Snapshot) -> Iterator[Row]:
    """The rows of by-hand.csv, by kind."""
    yield from _contracts(snapshot)
    yield from _covers(snapshot)
    yield from _discounts(snapshot)
    yield from _plans(snapshot)
    yield from _money(snapshot)


def _contracts(snapshot: Snapshot) -> Iterator[Row]:
    here = Contract.location_id == snapshot.location.id
    methods = select(PaymentMethod.member_id).where(PaymentMethod.usable.is_(True))
    held = select(Cover.contract_id).where(Cover.position == Position.HOLDER, Cover.until_period.is_(None))
    # What nobody had accepted is cancelled by the stop.
    cancelled = (Contract.status == AgreementStatus.CANCELLED) & Contract.id.in_(snapshot.exported)
    waits = Contract.status.in_(NOT_BEGUN) | cancelled
    is_live = (Contract.status.in_(BILLABLE) | Contract.id.in_(snapshot.exported)) & ~waits
    paused = (Contract.status == AgreementStatus.SUSPENDED) & Contract.id.not_in(snapshot.exported)
    for condition, what in (
        (is_live & Contract.ends_on.is_not(None), "under notice, so it is not in members.csv"),
        (paused, "suspended by staff, so it is not in members.csv"),
        (waits, f"not signed yet: {_INVITE}"),
        (is_live & Contract.member_id.not_in(methods), f"no payment method that can be charged: {_INVITE}"),
        (is_live & Contract.id.not_in(held), "the account holder is not covered, so it is not in members.csv"),
    ):
        for contract in snapshot.session.scalars(
            select(Contract).where(here, condition).order_by(Contract.id).execution_options(yield_per=500)
        ):
            yield _row(contract.member_id, contract.id, what)


def _covers(snapshot: Snapshot) -> Iterator[Row]:
    query = (
        select(Cover, Contract, MembershipPlan, PlanVersion, PlanChange.id)
        .join(Contract, Contract.id == Cover.contract_id)
        .join(PlanVersion, PlanVersion.id == Cover.plan_version_id)
        .join(MembershipPlan, MembershipPlan.id == PlanVersion.plan_id)
        .outerjoin(
            PlanChange,
            (PlanChange.cover_id == Cover.id)
            & PlanChange.status.in_((PlanChangeStatus.OFFERED, PlanChangeStatus.ACCEPTED)),
        )
        .where(Contract.location_id == snapshot.location.id)
        .where(Contract.status.in_(BILLABLE) | Contract.id.in_(snapshot.exported))
        .where(Cover.until_period.is_(None) | (Cover.until_period > Contract.next_period))
        .order_by(Cover.id)
    )
    for cover, contract, plan, version, change_id in snapshot.session.execute(query.execution_options(yield_per=500)):
        if version.number != plan.version:
            what = f"signed version {version.number} of the plan, which is at version {plan.version}"
            yield _row(cover.member_id, contract.id, what)
        if change_id:
            yield _row(cover.member_id, contract.id, "a change of the plan is announced")
        if cover.until_period is not None:
            yield _row(cover.member_id, contract.id, "the cover has an end")
        if cover.from_period > contract.next_period:
            yield _row(cover.member_id, contract.id, "the cover begins later, so it is not in members.csv")
        if cover.setup_fee_cents and cover.from_period >= contract.next_period:
            yield _row(
                cover.member_id, contract.id, f"a set-up fee of {cover.setup_fee_cents} cents is not charged yet"
            )


def _discounts(snapshot: Snapshot) -> Iterator[Row]:
    here = (Contract.location_id == snapshot.location.id) & (
        Contract.status.in_(BILLABLE) | Contract.id.in_(snapshot.exported)
    )
    promos = (
        select(Contract.member_id, Contract.id, PromoCode.code)
        .join(PromoRedemption, PromoRedemption.contract_id == Contract.id)
        .join(PromoCode, PromoCode.id == PromoRedemption.promo_code_id)
    )
    for member_id, contract_id, code in snapshot.session.execute(promos.where(here)):
        yield _row(member_id, contract_id, f"the promo code {code} was entered")
    for side in (Referral.referred_contract_id, Referral.referrer_contract_id):
        query = select(Contract.member_id, Contract.id).join(Referral, side == Contract.id).where(here).distinct()
        for member_id, contract_id in snapshot.session.execute(query):
            yield _row(member_id, contract_id, "takes part in a referral")


def _plans(snapshot: Snapshot) -> Iterator[Row]:
    """Payment plans that are not in payment-plans.csv, or whose payer cannot be charged there."""
    query = select(PaymentPlan).where(PaymentPlan.location_id == snapshot.location.id)
    dependents = set(
        snapshot.session.scalars(
            select(Cover.member_id)
            .join(Contract, Contract.id == Cover.contract_id)
            .where(Contract.location_id == snapshot.location.id, Contract.member_id != Cover.member_id)
            .where(Cover.until_period.is_(None))
        )
    )
    for plan in snapshot.session.scalars(query.order_by(PaymentPlan.id).execution_options(yield_per=500)):
        live = snapshot.live(PaymentPlan, plan)
        if plan.status is AgreementStatus.PENDING:
            yield _row(plan.member_id, plan.id, "a payment plan that waits for acceptance")
        elif live and not plan.next_number:
            yield _row(plan.member_id, plan.id, "a payment plan whose deposit is not charged yet")
        if live and plan.member_id in dependents:
            yield _row(plan.member_id, plan.id, "a payment plan of a dependent, whose payment method is not exported")


def _money(snapshot: Snapshot) -> Iterator[Row]:
    """What comes to its end in this installation, or cannot be asked for by the balance."""
    here = Invoice.location_id == snapshot.location.id
    unpaid = Invoice.status.in_(UNPAID) & ~under_way()
    for condition, what in (
        (under_way(), "a payment is under way, and its result comes here only"),
        (unpaid & accepted_by_link(), "the payer has accepted it by link, so it is still charged here"),
        (
            unpaid & ~accepted_by_link() & (Invoice.due_date > snapshot.today),
            "an amount is asked for that is due later",
        ),
    ):
        for invoice in snapshot.session.scalars(
            select(Invoice).where(here, condition).order_by(Invoice.number).execution_options(yield_per=500)
        ):
            agreement = invoice.contract_id or invoice.payment_plan_id or invoice.instant_payment_id
            yield _row(invoice.member_id, agreement or invoice.id, f"invoice {invoice.number}: {what}")
    yield from _balances(snapshot)
    holds = select(PaymentHold).where(PaymentHold.location_id == snapshot.location.id, PaymentHold.status.not_in(_OVER))
    for hold in snapshot.session.scalars(holds.order_by(PaymentHold.id)):
        yield _row(hold.member_id, hold.id, "a hold on a card, which ends here only")


def _balances(snapshot: Snapshot) -> Iterator[Row]:
    """Those that are too small or too large for the one request that the import makes of a balance."""
    owed = select(Invoice.member_id, summed(Invoice.amount_cents)).where(owed_now(snapshot))
    for member_id, cents in snapshot.session.execute(owed.group_by(Invoice.member_id).order_by(Invoice.member_id)):
        if not is_askable(cents):
            amount = Money(cents, snapshot.location.currency)
            yield _row(
                member_id, member_id, f"a balance of {amount} cannot be asked for as one: it is not in members.csv"
            )


def _row(member_id: str, agreement_id: str, what: str) -> Row:
    return {"member_id": member_id, "agreement_id": agreement_id, "what": what}
