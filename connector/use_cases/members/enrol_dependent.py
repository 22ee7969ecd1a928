"""Enrol a dependent: one more person on a contract, whose holder pays for all."""

from __future__ import annotations

from datetime import date

from connector.billing.activity import remember
from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.prices.pricing import Position
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.context import Context
from connector.use_cases.members.add_member import Added
from connector.use_cases.members.draft_contract import draft_cover
from connector.use_cases.members.memberships import check_age, contract_for, dependents_of, offer_of, require
from connector.use_cases.members.new_person import PersonDetails, join

PEOPLE_MAX = 20
"""On one contract, the holder included: more is a slip, not a family."""

_ENROLS = (AgreementStatus.PENDING, AgreementStatus.ACTIVE, AgreementStatus.OVERDUE)


def enrol_dependent(context: Context, contract_id: str, plan: str, person: PersonDetails, *, actor: str) -> Added:
    """Add a person with a plan of their own at the contract's frequency. Raises DomainError, and then changes nothing.

    On a running contract the cover starts today; its price and set-up fee are on the next invoice, never on an earlier.
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
        member = join(session, location, person, today, now)
        check_age(offer, member.date_of_birth, starts_on or contract.anchor or today)
        cover = draft_cover(contract, member.id, Position.DEPENDENT, offer, now)
        cover.starts_on = starts_on
        session.add(cover)
        session.flush()
        _extend_lock_in(contract, starts_on, offer[1].terms.lock_in_months)
        detail = {"member_id": member.id, "plan": offer[0].name, "price_cents": cover.price_cents}
        remember(session, contract.id, "Dependent Enrolled", now, location_id=location.id, actor=actor, **detail)
    return Added(member.id, contract.id)


def _extend_lock_in(contract: Contract, starts_on: date | None, months: int) -> None:
    """A further person may bind the contract for longer, and never for shorter. A pending one is bound once signed."""
    if starts_on and months:
        ends = due_date(starts_on, Frequency.MONTHLY, months)
        contract.lock_in_until = max(contract.lock_in_until or ends, ends)
