"""Adopt a payment method that exists at Stripe already: its payer signs nothing again, and is sent nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import Contract
from connector.billing.clinics import Location
from connector.billing.members import Member, MethodKind, PaymentMethod
from connector.billing.processor import AuthorisedMethod
from connector.errors import Rejected
from connector.use_cases.collection.method_page import processor_customer
from connector.use_cases.context import Context
from connector.use_cases.members.enrol_member import activate, keep_method


@dataclass(frozen=True, slots=True)
class Adoption:
    """A method that is to be charged from now on, and the pending contract that it starts."""

    line: int
    """Of the file that names it."""
    member_id: str
    contract_id: str | None
    """None for somebody who only pays, e.g. for a payment plan."""
    method_id: str
    """At Stripe."""
    mandate_id: str = ""
    """The direct debit request that the payer accepted; bank accounts only."""
    has_customer: bool = False
    """Whether the payer is a customer at Stripe whom the file names, so that the method may be attached already."""


def adopt_method(context: Context, adoption: Adoption) -> None:
    """Keep the method, and start the contract. Repeating changes nothing.

    Raises EdgeError when Stripe does not let it be charged; then the contract stays pending.
    """
    customer_id = processor_customer(context, adoption.member_id)
    method = context.processor.read_method(adoption.method_id) if adoption.has_customer else None
    if method is None:
        key = f"attach:{adoption.member_id}:{adoption.method_id}"
        method = context.processor.attach_method(key, customer_id, adoption.method_id)
    if method.kind is MethodKind.BECS:
        method = _with_mandate(context, method, adoption.mandate_id)
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        _refuse_of_another(session, adoption.member_id, method)
        member = session.get_one(Member, adoption.member_id)
        location = session.get_one(Location, member.location_id)
        keep_method(session, location, member.id, method, now)
        if adoption.contract_id:
            activate(session, location, session.get_one(Contract, adoption.contract_id), now)


def _with_mandate(context: Context, method: AuthorisedMethod, mandate_id: str) -> AuthorisedMethod:
    if not mandate_id:
        raise Rejected("A bank account needs its direct debit request: fill in the column stripe_mandate.")
    if not context.processor.mandate_active(mandate_id):
        raise Rejected("The direct debit request has ended at Stripe: let the payer sign up again.")
    return replace(method, mandate_id=mandate_id)


def _refuse_of_another(session: Session, member_id: str, method: AuthorisedMethod) -> None:
    owner = session.scalar(select(PaymentMethod.member_id).where(PaymentMethod.processor_id == method.processor_id))
    if owner not in (None, member_id):
        raise Rejected(f"The payment method belongs to the member {owner} already: correct the file.")
