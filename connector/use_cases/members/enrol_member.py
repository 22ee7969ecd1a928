"""Enrol a member: the patient authorises a payment method on Stripe's page, and the contract starts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import remember
from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.clinics import Location
from connector.billing.members import Member, PaymentMethod
from connector.billing.offers.plans import PlanVersion
from connector.billing.policy import FutureStart
from connector.billing.processor import AuthorisedMethod, HostedPage
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.collection.method_page import method_page
from connector.use_cases.collection.retry_overdue import retry_overdue
from connector.use_cases.context import Context


def invite_member(context: Context, contract_id: str) -> HostedPage:
    """Open the hosted page on which the member signs up, or gives another card. Raises DomainError when cancelled."""
    contract, member = _contract_and_member(context, contract_id)
    if contract.status is AgreementStatus.CANCELLED:
        raise DomainError(f"The contract {contract_id} is cancelled: nothing can be authorised for it any more.")
    return method_page(context, member.id, contract_id, contract.currency)


def keep_method(session: Session, location: Location, member_id: str, method: AuthorisedMethod, now: datetime) -> None:
    """Remember a payment method as the member's current one, and retry with it what is overdue."""
    if session.scalar(select(PaymentMethod.id).where(PaymentMethod.processor_id == method.processor_id)):
        return
    session.execute(update(PaymentMethod).where(PaymentMethod.member_id == member_id).values(usable=False))
    kept = _method(member_id, method, now, usable=True)
    session.add(kept)
    session.flush()
    remember(session, member_id, "Payment Method Created", now, location_id=location.id, kind=kept.kind.value)
    retry_overdue(session, location, kept, now)


def shelve_method(session: Session, member_id: str, method: AuthorisedMethod, now: datetime) -> None:
    """Know a payment method without ever charging it: whoever saved it was not to any more."""
    session.add(_method(member_id, method, now, usable=False))


def _method(member_id: str, method: AuthorisedMethod, now: datetime, *, usable: bool) -> PaymentMethod:
    return PaymentMethod(
        id=ids.new_id("pm"),
        member_id=member_id,
        kind=method.kind,
        processor_id=method.processor_id,
        mandate_id=method.mandate_id,
        last4=method.last4,
        brand=method.brand,
        expiry_month=method.exp_month,
        expiry_year=method.exp_year,
        fingerprint=method.fingerprint,
        usable=usable,
        created_at=now,
    )


def activate(session: Session, location: Location, contract: Contract, now: datetime) -> None:
    """Start a pending contract: its cycle counts from the agreed start, never from a day in the past."""
    if contract.status is not AgreementStatus.PENDING:
        return
    today = business_date(now, location.zone)
    anchor = max(today, contract.anchor or today)
    if contract.anchor and contract.next_due and contract.next_due >= today:
        # Taken over within a cycle that runs already: it goes on as it was.
        contract.status, anchor = AgreementStatus.ACTIVE, contract.anchor
    else:
        wait = contract.adopted or location.policy.future_start is FutureStart.CHARGE_AT_START
        contract.activate(anchor, anchor if wait else today)
    contract.signed_at, contract.fee_bearer = now, contract.fee_bearer or location.policy.fee_bearer
    for cover in session.scalars(select(Cover).where(Cover.contract_id == contract.id)):
        cover.starts_on = cover.starts_on or anchor
    if contract.lock_in_until is None:
        lock_in(session, contract)
    remember(session, contract.id, "Membership Activated", now, location_id=location.id)


def lock_in(session: Session, contract: Contract) -> None:
    """The contract is bound for the longest lock-in of the plans that its people have; never for less than agreed."""
    covers = session.execute(
        select(Cover, PlanVersion)
        .join(PlanVersion, PlanVersion.id == Cover.plan_version_id)
        .where(Cover.contract_id == contract.id, Cover.until_period.is_(None))
    )
    ends = [
        due_date(cover.starts_on, Frequency.MONTHLY, version.terms.lock_in_months)
        for cover, version in covers
        if cover.starts_on and version.terms.lock_in_months
    ]
    if contract.lock_in_until:
        ends.append(contract.lock_in_until)
    contract.lock_in_until = max(ends, default=None)


def _contract_and_member(context: Context, contract_id: str) -> tuple[Contract, Member]:
    with context.database.read() as session:
        contract = session.get(Contract, contract_id)
        if contract is None:
            raise DomainError(f"There is no contract {contract_id!r}.")
        return contract, session.get_one(Member, contract.member_id)
