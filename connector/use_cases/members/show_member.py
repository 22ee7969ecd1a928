"""Show a member as the front desk sees one: the contract, its people, its money, the benefits, and what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.clinics import Location
from connector.billing.invoices import Invoice
from connector.billing.members import Member, PaymentMethod
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.billing.prices.pricing import LineKind, PricedLine, amount_of
from connector.clock import business_date
from connector.errors import DomainError
from connector.matching.models import PatientLink
from connector.use_cases.context import Context
from connector.use_cases.members.benefit_standing import cover_on, standings
from connector.use_cases.members.member_money import (
    Coming,
    Entry,
    coming_payments,
    history,
    next_lines,
    open_invoices,
)
from connector.use_cases.members.show_benefits import BenefitLine, benefit_line


@dataclass(frozen=True, slots=True, repr=False)
class CoveredLine:
    """One person on a contract; cents per period, `discount_cents` as the next one is priced. Names are personal."""

    member_id: str
    name: str
    position: str
    plan: str
    price_cents: int
    discount_cents: int
    setup_fee_cents: int
    """Still to come with the next period."""
    leaves_on: date | None


@dataclass(frozen=True, slots=True, repr=False)
class MemberSheet:
    """Everything about one person and the contract that matters for them now. Has no repr: it is personal."""

    member: Member
    pms_patient_id: str | None
    contract: Contract
    other_contract_ids: tuple[str, ...]
    """Earlier ones, and those that are being moved to, newest first."""
    people: tuple[CoveredLine, ...]
    next_amount_cents: int | None
    """Of this contract. None when nothing more is to come; of a pending one, what is charged first."""
    coming: tuple[Coming, ...]
    """Payments that are to come under all agreements of the account holder, the earliest first."""
    benefits: tuple[BenefitLine, ...]
    """Of this person."""
    open_invoices: tuple[Invoice, ...]
    """Of the contract, and of this person under any agreement."""
    method: PaymentMethod | None
    """Of the account holder."""
    history: tuple[Entry, ...]
    """Of the person, the contract and the money, newest first."""


def show_member(context: Context, any_id: str) -> MemberSheet:
    """The sheet of a member, or of a contract with its account holder. Raises DomainError for an unknown id."""
    now = context.clock.now()
    with context.database.read() as session:
        member, contracts = _find(session, any_id)
        contract = contracts[0]
        location = session.get_one(Location, contract.location_id)
        today = business_date(now, location.zone)
        live = cover_on(session, member.id, today)
        lines = next_lines(session, context.tiers, location, contract, today)
        return MemberSheet(
            member=member,
            pms_patient_id=session.scalar(
                select(PatientLink.pms_patient_id).where(
                    PatientLink.member_id == member.id, PatientLink.ended_at.is_(None)
                )
            ),
            contract=contract,
            other_contract_ids=tuple(other.id for other in contracts[1:]),
            people=tuple(_line(contract, row, lines or ()) for row in _covers(session, contract)),
            next_amount_cents=None if lines is None else amount_of(lines, contract.currency).cents,
            coming=coming_payments(session, context.tiers, location, contract.member_id),
            benefits=tuple(benefit_line(*item) for item in standings(session, live, member.id, today)) if live else (),
            open_invoices=open_invoices(session, contract.id, member.id),
            method=session.scalars(
                select(PaymentMethod)
                .where(PaymentMethod.member_id == contract.member_id, PaymentMethod.usable.is_(True))
                .order_by(PaymentMethod.created_at.desc())
            ).first(),
            history=history(session, contract.id, (member.id, contract.id), member.id),
        )


def _find(session: Session, any_id: str) -> tuple[Member, list[Contract]]:
    """The person, and their contracts: the asked one, or else the newest that is not cancelled, comes first."""
    asked = session.get(Contract, any_id)
    member = session.get(Member, asked.member_id if asked else any_id)
    if member is None:
        raise DomainError(
            f"There is no member and no contract {any_id!r}: see `connector members list --location SLUG`."
        )
    theirs = select(Cover.contract_id).where(Cover.member_id == member.id)
    contracts = list(
        session.scalars(select(Contract).where(Contract.id.in_(theirs)).order_by(Contract.created_at.desc()))
    )
    if not contracts:
        raise DomainError(f"The member {any_id} has no contract.")
    contracts.sort(key=lambda one: (one is not asked, one.status is AgreementStatus.CANCELLED))
    return member, contracts


def _covers(session: Session, contract: Contract) -> list[tuple[Cover, Member, str]]:
    """The people now on the contract, also those who leave with the next period, in the order in which they came."""
    query = (
        select(Cover, Member, MembershipPlan.name)
        .join(Member, Member.id == Cover.member_id)
        .join(PlanVersion, PlanVersion.id == Cover.plan_version_id)
        .join(MembershipPlan, MembershipPlan.id == PlanVersion.plan_id)
        .where(Cover.contract_id == contract.id)
        .where(Cover.until_period.is_(None) | (Cover.until_period >= max(contract.next_period, 1)))
        .order_by(Cover.position.desc(), Cover.created_at, Cover.id)
    )
    return [(cover, member, plan) for cover, member, plan in session.execute(query)]


def _line(contract: Contract, row: tuple[Cover, Member, str], lines: Sequence[PricedLine]) -> CoveredLine:
    cover, member, plan = row
    own = [line for line in lines if line.member_id == member.id]
    leaves = contract.due_date(cover.until_period) if cover.until_period is not None and contract.anchor else None
    return CoveredLine(
        member_id=member.id,
        name=f"{member.given_name} {member.family_name}",
        position=cover.position.value,
        plan=plan,
        price_cents=cover.price_cents,
        discount_cents=-sum(line.amount.cents for line in own if line.amount.cents < 0),
        setup_fee_cents=sum(line.amount.cents for line in own if line.kind is LineKind.SETUP_FEE),
        leaves_on=leaves,
    )
