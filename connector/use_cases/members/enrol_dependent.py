"""Enrol a dependent: one more person on a contract, whose holder pays for all."""

from __future__ import annotations

from sqlalchemy.orm import Session

from connector.billing.activity import remember
from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.clinics import Location
from connector.billing.prices.pricing import Position, amount_of
from connector.clock import business_date
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.money import Money
from connector.use_cases.context import Context
from connector.use_cases.invoices.price_periods import Prices
from connector.use_cases.members.add_member import Added
from connector.use_cases.members.draft_contract import draft_cover
from connector.use_cases.members.memberships import check_age, contract_for, dependents_of, offer_of, require
from connector.use_cases.members.new_person import PersonDetails, join
from connector.use_cases.messages.queue_message import queue_message

PEOPLE_MAX = 20
"""On one contract, the holder included: more is a slip, not a family."""

_ENROLS = (AgreementStatus.PENDING, AgreementStatus.ACTIVE, AgreementStatus.OVERDUE)


def enrol_dependent(context: Context, contract_id: str, plan: str, person: PersonDetails, *, actor: str) -> Added:
    """Add a person with a plan of their own at the contract's frequency. Raises DomainError, and then changes nothing.

    On a running contract the cover starts today; its price and set-up fee are on the next invoice, never on an earlier,
    and the payer is told at once what that comes to. It binds nobody for longer than what was signed.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        contract, location = contract_for(session, contract_id)
        require(contract, _ENROLS, "given another dependent")
        if len(dependents_of(session, contract)) + 1 >= PEOPLE_MAX:
            raise DomainError(
                f"The contract {contract_id} has {PEOPLE_MAX} people, which is the most that one can have."
            )
        today = business_date(now, location.zone)
        offer = offer_of(session, location, plan, today)
        starts_on = None
        if contract.status is not AgreementStatus.PENDING:
            starts_on = max(today, contract.anchor or today)
        member = join(session, location, person, today, now, actor)
        check_age(offer, member.date_of_birth, starts_on or contract.anchor or today)
        before = _next_amount(session, context, location, contract)
        cover = draft_cover(contract, member.id, Position.DEPENDENT, offer, now)
        cover.starts_on = starts_on
        session.add(cover)
        session.flush()
        if contract.status is not AgreementStatus.PENDING and contract.next_due:
            after = _next_amount(session, context, location, contract)
            queue_message(
                session,
                location,
                MessageKind.DEPENDENT_ADDED,
                cover.id,
                "enrolled",
                now,
                member_id=contract.member_id,
                old_amount_cents=before.cents,
                amount_cents=after.cents,
                effective_on=contract.next_due.isoformat(),
            )
        detail = {"member_id": member.id, "plan": offer[0].name, "price_cents": cover.price_cents}
        remember(session, contract.id, "Dependent Enrolled", now, location_id=location.id, actor=actor, **detail)
    return Added(member.id, contract.id)


def _next_amount(session: Session, context: Context, location: Location, contract: Contract) -> Money:
    """What the next invoice comes to as things stand; nothing of a contract that is still to be signed."""
    if contract.next_due is None:
        return Money.zero(contract.currency)
    prices = Prices(session, location, [contract.id])
    lines = prices.invoice_lines(context.tiers, contract, contract.next_period, contract.next_due)
    return amount_of(lines, contract.currency)
