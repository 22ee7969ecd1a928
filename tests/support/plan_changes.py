"""Short ways to edit plans, to sign people up, and to see what they are charged."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, cast

from sqlalchemy import select

from connector import ids
from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import location_by_slug
from connector.billing.invoices import Invoice
from connector.billing.members import Member
from connector.billing.offers.plan_changes import PlanChange
from connector.billing.offers.plan_files import starter
from connector.billing.offers.plan_terms import PlanTerms, terms_of
from connector.billing.prices.pricing import Position
from connector.clock import MovableClock, business_date
from connector.messaging.models import Message
from connector.use_cases.context import Context
from connector.use_cases.members.draft_contract import draft_contract, draft_cover
from connector.use_cases.members.enrol_member import activate
from connector.use_cases.plans.apply_plan_changes import apply_plan_changes
from connector.use_cases.plans.change_plan import change_plan
from connector.use_cases.plans.decide_plan_change import accept_plan_change
from connector.use_cases.plans.edit_plan import PlanEdit, edit_plan
from connector.use_cases.plans.offer_plan import open_offer
from connector.use_cases.practice.set_up_location import add_plan
from tests.support.book import Book
from tests.support.practice import Practice

SLUG = "leura"
STAFF = "person:mia"


def essential(**changes: Any) -> PlanTerms:
    """The starter plan `Essential` with some fields changed; prices in cents by frequency."""
    return terms_of(starter("essential").model_dump(mode="json") | changes)


def monthly(cents: int, **changes: Any) -> PlanTerms:
    """The same at one price a month and nothing else."""
    return essential(prices={"monthly": cents}, **changes)


def edit(context: Context, terms: PlanTerms, name: str = "Essential") -> PlanEdit:
    return edit_plan(context, location_slug=SLUG, name=name, terms=terms, actor=STAFF)


def add(context: Context, name: str, terms: PlanTerms) -> str:
    return add_plan(context, location_slug=SLUG, name=name, terms=terms, actor=STAFF, closed=True)


def sign(
    context: Context,
    plan: str = "Essential",
    frequency: Frequency = Frequency.MONTHLY,
    *,
    born: date | None = date(1980, 5, 17),
    active: bool = True,
    household: int = 1,
    start: date | None = None,
) -> Contract:
    """Somebody signs a contract for a household of so many, without any payment method. Makes no outside call."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        location = location_by_slug(session, SLUG)
        offer = open_offer(session, location, plan, business_date(now, location.zone))
        people = [_member(location.id, born, context) for _ in range(household)]
        contract, cover = draft_contract(location, people[0].id, offer, frequency, now, start=start)
        for row in (*people, contract, cover):
            session.add(row)
            session.flush()
        session.add_all(draft_cover(contract, person.id, Position.DEPENDENT, offer, now) for person in people[1:])
        session.flush()
        if active:
            activate(session, location, contract, now)
    return contract


def _member(location_id: str, born: date | None, context: Context) -> Member:
    member_id = ids.new_id("mem")
    return Member(
        id=member_id,
        location_id=location_id,
        external_id=member_id,
        given_name="Ada",
        family_name="Ferris",
        date_of_birth=born,
        created_at=context.clock.now(),
    )


def covers(context: Context, contract_id: str) -> list[Cover]:
    """All that the contract has ever covered, in the order of periods."""
    query = select(Cover).where(Cover.contract_id == contract_id).order_by(Cover.from_period, Cover.created_at)
    with context.database.read() as session:
        return list(session.scalars(query))


def plan_changes(context: Context) -> list[PlanChange]:
    """All changes, oldest first."""
    with context.database.read() as session:
        return list(session.scalars(select(PlanChange).order_by(PlanChange.created_at, PlanChange.id)))


def notices(context: Context) -> list[Message]:
    """All messages, oldest first."""
    with context.database.read() as session:
        return list(session.scalars(select(Message).order_by(Message.created_at, Message.id)))


def accept(context: Context, change_id: str) -> None:
    """The payer submits the page."""
    with context.database.unit_of_work() as session:
        accept_plan_change(session, change_id, context.clock.now())


def apply(context: Context) -> None:
    """What issuing does first with the contracts that are due."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        location = location_by_slug(session, SLUG)
        today = business_date(now, location.zone)
        due = session.scalars(select(Contract).where(Contract.next_due <= today)).all()
        if due:
            apply_plan_changes(session, due, now)


def bill(practice: Practice) -> list[int]:
    """Issue and charge what is due; returns the amounts of all invoices so far, in cents, by due date."""
    assert practice.charge() == []
    return invoiced(practice.context)


def invoiced(context: Context) -> list[int]:
    with context.database.read() as session:
        return list(session.scalars(select(Invoice.amount_cents).order_by(Invoice.due_date, Invoice.number)))


def advance(book: Book, days: int) -> None:
    """So many days go by."""
    cast("MovableClock", book.context.clock).advance(timedelta(days=days))


def stored(book: Book, contract_id: str = "") -> Contract:
    """A contract as it stands now; by default that of the book's own member."""
    with book.context.database.read() as session:
        return session.get_one(Contract, contract_id or book.contract_id)


def change(book: Book, plan: str, contract: Contract | None = None) -> PlanChange:
    """Staff change the holder's plan; returns the change as it is stored."""
    contract = contract or stored(book)
    change_id = change_plan(book.context, contract.id, contract.member_id, plan, STAFF)
    (found,) = (row for row in plan_changes(book.context) if row.id == change_id)
    return found
