"""Agree a payment plan: propose it to a payer by a secure link, and start it once the payer has accepted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import CONNECTOR, remember
from connector.billing.agreements.asking import described
from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.instalment_terms import PlanOffer, checked, fee_warning, first_instalment, offer_from
from connector.billing.agreements.payment_plans import PaymentPlan, PaymentPlanTemplate
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.links import LinkKind, end
from connector.billing.members import Member
from connector.clock import business_date
from connector.database.sums import sum_of
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.money import Money
from connector.use_cases.collection.plan_attempts import payers
from connector.use_cases.context import Context
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.payment_plans.payment_plan_templates import offered_template
from connector.use_cases.practice.location_settings import require_active


@dataclass(frozen=True, slots=True)
class TemplateChoice:
    """A template by its name, and what was chosen within its limits."""

    name: str
    total: Money
    months: int
    frequency: Frequency


@dataclass(frozen=True, slots=True)
class Proposed:
    """A plan that waits for its payer."""

    plan_id: str
    offer: PlanOffer
    warning: str | None
    """For staff; see `fee_warning`."""


def propose_payment_plan(
    context: Context, member_id: str, wanted: TemplateChoice | PlanOffer, actor: str, description: str = ""
) -> Proposed:
    """Ask a member to accept a plan, made of a template or personal. Raises DomainError for impossible terms."""
    now = context.clock.now()
    description = described(description)
    with context.database.unit_of_work() as session:
        member, location = payer_and_location(session, member_id)
        today = business_date(now, location.zone)
        template = None
        if isinstance(wanted, TemplateChoice):
            template = offered_template(session, location, wanted.name)
            if template.only_for_members and not _is_active_member(session, member_id):
                raise DomainError(f"The template {template.name!r} is only for members with an active membership.")
            start = today + timedelta(days=template.start_after_days)
            wanted = offer_from(template, wanted.total, wanted.months, wanted.frequency, start)
        offer = checked(wanted, location.policy, today)
        plan = _plan(location, member, offer, now)
        plan.template_id = template.id if template else None
        plan.description = description or (template.description if template else "")
        session.add(plan)
        session.flush()
        warning = fee_warning(_fees_of_year(session, plan, now), location.policy)
        remember(session, plan.id, "Payment Plan Proposed", now, location_id=location.id, actor=actor)
        _ask(session, location, plan, offer, today, now)
    return Proposed(plan.id, offer, warning)


def accept_payment_plan(session: Session, location: Location, plan: PaymentPlan, now: datetime) -> None:
    """The payer accepts, having given a payment method: the plan runs from today, in the caller's unit of work.

    What is due on acceptance and what falls due today is issued by the next run. Raises DomainError when the plan
    does not wait for acceptance, or nobody could be charged.
    """
    if plan.status is not AgreementStatus.PENDING:
        raise DomainError(f"The payment plan {plan.id} is {plan.status.value}: it cannot be accepted any more.")
    if plan.member_id not in payers(session, {plan.member_id}):
        raise DomainError(f"The member {plan.member_id} has no usable payment method: let them open their link.")
    today = business_date(now, location.zone)
    template = session.get(PaymentPlanTemplate, plan.template_id) if plan.template_id else None
    wanted = today + timedelta(days=template.start_after_days) if template else plan.anchor
    pays_today = plan.deposit_cents + plan.setup_fee_cents > 0
    plan.anchor = first_instalment(today, wanted, plan.frequency, pays_today=pays_today)
    plan.next_number, plan.next_due = (0, today) if pays_today else (1, plan.anchor)
    _agreed(plan, location, now)
    end(session, LinkKind.PAYMENT, plan.id, "accepted", now)
    remember(session, plan.id, "Payment Plan Activated", now, location_id=location.id)


def _agreed(plan: PaymentPlan, location: Location, now: datetime) -> None:
    """The plan runs from now on, with the platform's fee borne as the location says today."""
    plan.status, plan.accepted_at, plan.fee_bearer = AgreementStatus.ACTIVE, now, location.policy.fee_bearer


def accept_for_payer(context: Context, plan_id: str, actor: str) -> PaymentPlan:
    """The payer has accepted at the desk, and pays with the method on file. Raises DomainError as above."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        plan = find_plan(session, plan_id)
        accept_payment_plan(session, session.get_one(Location, plan.location_id), plan, now)
        remember(session, plan.id, "Payment Plan Accepted At The Desk", now, location_id=plan.location_id, actor=actor)
    return plan


def start_payment_plan(
    context: Context, member_id: str, total: Money, count: int, frequency: Frequency, first_due: date
) -> str:
    """Start a plan that was agreed at the desk, without deposit or fee; returns its id. Raises DomainError."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        member, location = payer_and_location(session, member_id)
        if total.currency != location.currency:
            raise DomainError(
                f"The location {location.slug!r} charges in {location.currency}, not in {total.currency}."
            )
        nothing = Money.zero(total.currency)
        offer = PlanOffer(total, nothing, nothing, count, frequency, first_due)
        plan = _plan(location, member, checked(offer, location.policy, business_date(now, location.zone)), now)
        _agreed(plan, location, now)
        plan.next_due = first_due
        session.add(plan)
        remember(session, plan.id, "Payment Plan Activated", now, location_id=location.id, actor=CONNECTOR)
    return plan.id


def find_plan(session: Session, plan_id: str) -> PaymentPlan:
    """The plan, locked for the caller's unit of work. Raises DomainError when there is none."""
    plan = session.get(PaymentPlan, plan_id, with_for_update=True)
    if plan is None:
        raise DomainError(f"There is no payment plan {plan_id!r}: see `connector payment-plans list --location SLUG`.")
    return plan


def payer_and_location(session: Session, member_id: str) -> tuple[Member, Location]:
    """Who is asked for money, and by whom. Raises DomainError for an unknown member or a paused location."""
    member = session.get(Member, member_id)
    if member is None:
        raise DomainError(f"There is no member {member_id!r}: see `connector members list --location SLUG`.")
    location = session.get_one(Location, member.location_id)
    require_active(location)
    return member, location


def _plan(location: Location, member: Member, offer: PlanOffer, now: datetime) -> PaymentPlan:
    return PaymentPlan(
        id=ids.new_id("pp"),
        location_id=location.id,
        member_id=member.id,
        total_cents=offer.total.cents,
        currency=offer.total.currency,
        deposit_cents=offer.deposit.cents,
        setup_fee_cents=offer.setup_fee.cents,
        instalment_count=offer.count,
        frequency=offer.frequency,
        anchor=offer.first_due,
        anchor_number=1,
        next_number=1,
        status=AgreementStatus.PENDING,
        created_at=now,
    )


def _ask(session: Session, location: Location, plan: PaymentPlan, offer: PlanOffer, today: date, now: datetime) -> None:
    ends = business_date(now + timedelta(days=location.policy.payment_link_days), location.zone)
    begins = today if offer.at_acceptance else offer.first_due
    queue_message(
        session,
        location,
        MessageKind.PAYMENT_REQUEST,
        plan.id,
        "proposed",
        now,
        member_id=plan.member_id,
        urgent=True,
        is_plan=True,
        amount_cents=plan.total_cents,
        due_on=begins.isoformat(),
        expires_on=ends.isoformat(),
    )


def _is_active_member(session: Session, member_id: str) -> bool:
    """Whether the person holds, or is covered by, a membership that runs."""
    covered = (
        select(Contract.id)
        .join(Cover, Cover.contract_id == Contract.id, isouter=True)
        .where(Contract.status == AgreementStatus.ACTIVE)
        .where((Contract.member_id == member_id) | ((Cover.member_id == member_id) & Cover.until_period.is_(None)))
    )
    return session.scalars(covered.limit(1)).first() is not None


def _fees_of_year(session: Session, plan: PaymentPlan, now: datetime) -> Money:
    """Set-up fees of all plans that were agreed with the payer within a year, this one included."""
    cents = sum_of(
        session,
        PaymentPlan.setup_fee_cents,
        PaymentPlan.member_id == plan.member_id,
        PaymentPlan.currency == plan.currency,
        PaymentPlan.status != AgreementStatus.CANCELLED,
        PaymentPlan.created_at > now - timedelta(days=365),
    )
    return Money(cents, plan.currency)
