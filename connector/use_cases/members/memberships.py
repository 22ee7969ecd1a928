"""What the verbs about memberships share: finding a contract and its people, and calling off what is planned for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.clinics import Location
from connector.billing.invoices import UNPAID, Invoice
from connector.billing.offers.plan_terms import admits, offered_on
from connector.billing.offers.plans import MembershipPlan, PlanVersion, offered_version, plan_by_name
from connector.billing.prices.pricing import Position
from connector.errors import DomainError
from connector.use_cases.collection.plan_attempts import withdraw

Offer = tuple[MembershipPlan, PlanVersion]

NOT_BEGUN = (AgreementStatus.PENDING, AgreementStatus.FAILED)
"""Nothing was paid yet."""


def contract_for(session: Session, contract_id: str) -> tuple[Contract, Location]:
    """The contract, locked until the unit of work ends, and its location. Raises DomainError when there is none."""
    contract = session.get(Contract, contract_id, with_for_update=True)
    if contract is None:
        raise no_contract(contract_id)
    return contract, session.get_one(Location, contract.location_id)


def no_contract(contract_id: str) -> DomainError:
    return DomainError(f"There is no contract {contract_id!r}: see `connector members list --location SLUG`.")


def require(contract: Contract, allowed: Collection[AgreementStatus], verb: str) -> None:
    """Raise DomainError unless the contract is in one of these states, and not under notice."""
    if contract.status is AgreementStatus.CANCELLED:
        raise DomainError(f"The contract {contract.id} is cancelled, which is final: add the member anew instead.")
    if contract.status not in allowed:
        raise DomainError(
            f"The contract {contract.id} is {contract.status}: only one that is {' or '.join(allowed)} can be {verb}."
        )
    if contract.ends_on is not None:
        raise DomainError(f"The contract {contract.id} ends on {contract.ends_on:%d/%m/%Y}: it cannot be {verb}.")


def offer_of(session: Session, location: Location, plan_name: str, today: date) -> Offer:
    """The plan with the version that is signed today. Raises DomainError when nobody can join it now."""
    plan = plan_by_name(session, location, plan_name)
    version = offered_version(session, plan)
    if plan.archived_at is not None or not offered_on(version.terms, today):
        raise DomainError(f"The plan {plan_name!r} is not open for sign-ups today: choose another plan.")
    return plan, version


def check_age(offer: Offer, born: date | None, on: date) -> None:
    """Raise DomainError when the plan is not for somebody of that age."""
    admits(offer[1].terms, born, on)


def dependents_of(session: Session, contract: Contract) -> Sequence[Cover]:
    """The covers of the people who depend on the account holder and have not been given an end, oldest first."""
    query = (
        select(Cover)
        .where(Cover.contract_id == contract.id, Cover.position == Position.DEPENDENT, Cover.until_period.is_(None))
        .order_by(Cover.created_at, Cover.id)
    )
    return session.scalars(query).all()


def dependent_cover(session: Session, contract: Contract, member_id: str) -> Cover:
    """The cover of one dependent. Raises DomainError when the member is none on this contract."""
    for cover in dependents_of(session, contract):
        if cover.member_id == member_id:
            return cover
    raise DomainError(f"The member {member_id!r} is no dependent on the contract {contract.id}: see `members show`.")


def unpaid_invoices(session: Session, contract: Contract) -> Sequence[Invoice]:
    """What is owed with no money under way, oldest first."""
    query = select(Invoice).where(Invoice.contract_id == contract.id, Invoice.status.in_(UNPAID))
    return session.scalars(query.order_by(Invoice.due_date, Invoice.number)).all()


def call_off(session: Session, contract: Contract, now: datetime) -> list[Invoice]:
    """Withdraw all planned attempts of the contract; returns its unpaid invoices for which nothing is under way."""
    return [invoice for invoice in unpaid_invoices(session, contract) if withdraw(session, invoice.id, now)]
