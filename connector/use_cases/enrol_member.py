"""Enrol a member: the patient authorises a payment method on Stripe's page, and the contract starts."""

from __future__ import annotations

from datetime import date

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.clinics import Location
from connector.billing.contracts import AgreementStatus, Contract, PaymentPlan
from connector.billing.members import Member, PaymentMethod
from connector.billing.processor import AuthorisedMethod, HostedPage
from connector.billing.schedule import Frequency
from connector.clock import business_date
from connector.errors import DomainError
from connector.money import Money
from connector.use_cases.context import Context
from connector.use_cases.retry_overdue import retry_overdue


def invite_member(context: Context, contract_id: str) -> HostedPage:
    """Open the hosted page on which the member signs up, or gives another card. Raises DomainError when cancelled."""
    contract, member = _contract_and_member(context, contract_id)
    if contract.status is AgreementStatus.CANCELLED:
        raise DomainError(f"The contract {contract_id} is cancelled: nothing can be authorised for it any more.")
    customer_id = _customer(context, member)
    with context.database.read() as session:
        methods = session.scalar(select(func.count()).where(PaymentMethod.member_id == member.id))
    # A page lives for a day and takes one method, so a repeat is the same page until one of the two is over.
    key = f"enrol:{contract_id}:{context.clock.now():%Y%m%d}:{methods}"
    return context.processor.open_enrolment(key, customer_id, contract_id, contract.currency)


def complete_enrolment(context: Context, session_id: str) -> None:
    """Start the contract of this hosted page once its payment method is authorised. Repeating changes nothing."""
    completed = context.processor.read_enrolment(session_id)
    if completed is None:
        return
    contract_id, method = completed
    with context.database.unit_of_work() as session:
        contract = session.get(Contract, contract_id)
        if contract is not None:
            keep_method(session, context, contract.member_id, method)
            _activate(session, context, contract)


def adopt_method(context: Context, contract_id: str, processor_method_id: str) -> None:
    """Start a contract with a payment method that exists at Stripe already. Repeating changes nothing."""
    contract, member = _contract_and_member(context, contract_id)
    customer_id = _customer(context, member)
    method = context.processor.attach_method(
        f"attach:{member.id}:{processor_method_id}", customer_id, processor_method_id
    )
    with context.database.unit_of_work() as session:
        contract = session.get_one(Contract, contract_id)
        keep_method(session, context, contract.member_id, method)
        _activate(session, context, contract)


def keep_method(session: Session, context: Context, member_id: str, method: AuthorisedMethod) -> None:
    """Remember a payment method as the member's current one, and retry with it what is overdue."""
    if session.scalar(select(PaymentMethod.id).where(PaymentMethod.processor_id == method.processor_id)):
        return
    session.execute(update(PaymentMethod).where(PaymentMethod.member_id == member_id).values(usable=False))
    kept = PaymentMethod(
        id=ids.new_id("pm"),
        member_id=member_id,
        kind=method.kind,
        processor_id=method.processor_id,
        mandate_id=method.mandate_id,
        last4=method.last4,
        usable=True,
        created_at=context.clock.now(),
    )
    session.add(kept)
    session.flush()
    retry_overdue(session, context, member_id, kept.id)


def start_payment_plan(
    context: Context, member_id: str, total: Money, count: int, frequency: Frequency, first_due: date
) -> str:
    """Agree a payment plan with a member; returns its id. Raises DomainError for impossible terms."""
    if count < 1 or total.cents < count:
        raise DomainError("A payment plan needs at least one instalment, and at least one cent in each.")
    with context.database.unit_of_work() as session:
        member = session.get(Member, member_id)
        if member is None:
            raise DomainError(f"There is no member {member_id!r}.")
        location = session.get_one(Location, member.location_id)
        if total.currency != location.currency:
            raise DomainError(
                f"The location {location.slug!r} charges in {location.currency}, not in {total.currency}."
            )
        if first_due < business_date(context.clock.now(), location.zone):
            raise DomainError("The first instalment cannot be due in the past.")
        plan = PaymentPlan(
            id=ids.new_id("pp"),
            location_id=location.id,
            member_id=member_id,
            total_cents=total.cents,
            currency=total.currency,
            instalment_count=count,
            frequency=frequency,
            anchor=first_due,
            next_number=1,
            next_due=first_due,
            status=AgreementStatus.ACTIVE,
            created_at=context.clock.now(),
        )
        session.add(plan)
    return plan.id


def _activate(session: Session, context: Context, contract: Contract) -> None:
    if contract.status is AgreementStatus.PENDING:
        location = session.get_one(Location, contract.location_id)
        today = business_date(context.clock.now(), location.zone)
        # A start that was agreed for later stands; one in the past is not billed backwards.
        contract.activate(max(today, contract.anchor or today))


def _contract_and_member(context: Context, contract_id: str) -> tuple[Contract, Member]:
    with context.database.read() as session:
        contract = session.get(Contract, contract_id)
        if contract is None:
            raise DomainError(f"There is no contract {contract_id!r}.")
        return contract, session.get_one(Member, contract.member_id)


def _customer(context: Context, member: Member) -> str:
    """The member's id at the processor, made on first need with a key that makes a repeat the same customer."""
    if member.processor_customer_id:
        return member.processor_customer_id
    customer_id = context.processor.create_customer(f"cus:{member.id}", member.id)
    with context.database.unit_of_work() as session:
        session.get_one(Member, member.id).processor_customer_id = customer_id
    return customer_id
