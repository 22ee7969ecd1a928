"""Make a member of a row of a file: the person with a pending contract, or a cover on the account holder's contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import remember
from connector.billing.agreements.asking import last_askable
from connector.billing.agreements.contracts import BILLABLE, AgreementStatus, Contract, Cover
from connector.billing.agreements.payment_requests import InstantPayment, RequestStatus
from connector.billing.agreements.schedule import first_due_from
from connector.billing.clinics import Location
from connector.billing.intake.cells import BadCell
from connector.billing.intake.member_cells import MemberRow
from connector.billing.invoices import InvoiceKind, InvoiceStatus
from connector.billing.members import Member
from connector.billing.offers.plan_terms import TaxCode
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.billing.policy import FeeBearer
from connector.billing.prices.pricing import LineKind, Position, PricedLine
from connector.clock import day_bounds
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.money import Money
from connector.use_cases.invoices.issue import Draft, issue
from connector.use_cases.members.draft_contract import draft_contract, draft_cover
from connector.use_cases.members.enrol_dependent import PEOPLE_MAX
from connector.use_cases.messages.queue_message import queue_message

BALANCE = "Balance brought forward"
NO_HOLDER = "The account holder is not among the members: correct the id, or the holder's own row."
HOLDER_DEPENDS = "The holder is a dependent: name the account holder who pays for both."


@dataclass(frozen=True, slots=True)
class Offer:
    """Where the members go, and what they may sign."""

    location: Location
    plans: Mapping[str, tuple[MembershipPlan, PlanVersion]]
    """By name; under '' the plan of rows that name none."""
    today: date
    now: datetime


@dataclass(frozen=True, slots=True)
class Household:
    """The contract that dependents are added to, and how many people it has."""

    contract: Contract
    people: int


@dataclass
class NewRows:
    """What a batch adds, in the order in which it must be stored."""

    members: list[Member] = field(default_factory=list)
    contracts: list[Contract] = field(default_factory=list)
    covers: list[Cover] = field(default_factory=list)
    balances: list[tuple[str, int]] = field(default_factory=list)
    """Who owes how many cents."""
    requests: list[InstantPayment] = field(default_factory=list)
    """By which the balances are asked for, once they are stored."""
    _joined: dict[str, int] = field(default_factory=dict)

    def add(self, offer: Offer, row: MemberRow, household: Household | None) -> str | None:
        """Draft what the row asks for; returns its contract, of account holders. Raises BadCell."""
        if row.must_be_ahead and row.start_date and row.start_date < offer.today:
            raise BadCell("next_due", "The next debit lies in the past: take over what is due there first.")
        member = _member(offer, row)
        contract = None
        if household:
            self.covers.append(self._dependent(offer, row, member, household))
        elif row.is_member:
            contract, cover = _contract(offer, row, member)
            self.contracts.append(contract)
            self.covers.append(cover)
        self.members.append(member)
        if row.balance_cents:
            self.balances.append((member.id, row.balance_cents))
        return contract.id if contract else None

    def store(self, session: Session, offer: Offer, *, ask: bool) -> None:
        """Write it all, in the caller's unit of work, and where wanted `ask` by message for what is owed."""
        for rows in (self.members, self.contracts, self.covers):
            session.add_all(rows)
            session.flush()
        self.requests = [_request(offer, member_id) for member_id, _ in self.balances]
        session.add_all(self.requests)
        session.flush()
        owed = list(zip(self.requests, self.balances, strict=True))
        drafts = [_draft(offer, request, cents) for request, (_, cents) in owed]
        issue(session, offer.location, drafts, offer.now)
        for request, (member_id, cents) in owed:
            if ask:
                _ask(session, offer, request, cents)
            remember(
                session, member_id, "Balance Brought Forward", offer.now, location_id=offer.location.id, cents=cents
            )

    def _dependent(self, offer: Offer, row: MemberRow, member: Member, household: Household) -> Cover:
        contract = household.contract
        joined = self._joined.get(contract.id, 0)
        if household.people + joined >= PEOPLE_MAX:
            raise BadCell("holder", f"A contract has at most {PEOPLE_MAX} people.")
        if row.names_frequency and row.frequency is not contract.frequency:
            raise BadCell("frequency", f"The account holder pays {contract.frequency}, for all: leave the cell blank.")
        fee = not (contract.adopted or row.was_member)
        try:
            cover = draft_cover(
                contract, member.id, Position.DEPENDENT, offer.plans[row.plan], offer.now, setup_fee=fee
            )
        except DomainError as error:
            raise BadCell("frequency", str(error)) from None
        cover.price_cents = row.price_cents or cover.price_cents
        cover.starts_on = row.member_since
        if cover.starts_on is None and contract.status in BILLABLE:
            cover.starts_on = max(offer.today, contract.anchor or offer.today)
        self._joined[contract.id] = joined + 1
        return cover


def households(session: Session, location: Location, holders: list[str]) -> dict[str, Household | str]:
    """By the id of the account holder in the file or here: their household, or why nobody can be added to it."""
    wanted = Member.external_id.in_(holders) | Member.id.in_(holders)
    people = {
        member.id: member for member in session.scalars(select(Member).where(Member.location_id == location.id, wanted))
    }
    takes = (AgreementStatus.PENDING, *BILLABLE)
    contracts = select(Contract).where(
        Contract.member_id.in_(people), Contract.status.in_(takes), Contract.ends_on.is_(None)
    )
    found: dict[str, Household | str] = {}
    by_holder = {contract.member_id: contract for contract in session.scalars(contracts.order_by(Contract.created_at))}
    live = (Cover.until_period.is_(None), Cover.member_id.in_(people), Cover.position == Position.DEPENDENT)
    dependents = set(session.scalars(select(Cover.member_id).where(*live)))
    counts = select(Cover.contract_id, func.count()).where(
        Cover.contract_id.in_([contract.id for contract in by_holder.values()]), Cover.until_period.is_(None)
    )
    sizes: dict[str, int] = dict(session.execute(counts.group_by(Cover.contract_id)).all())
    for member in people.values():
        household: Household | str = HOLDER_DEPENDS if member.id in dependents else NO_HOLDER
        if contract := by_holder.get(member.id):
            household = Household(contract, sizes.get(contract.id, 0))
        found[member.external_id] = found[member.id] = household
    return found


def _member(offer: Offer, row: MemberRow) -> Member:
    return Member(
        id=ids.new_id("mem"),
        location_id=offer.location.id,
        external_id=row.external_id,
        given_name=row.given_name,
        family_name=row.family_name,
        date_of_birth=row.date_of_birth,
        gender=row.gender,
        email=row.email,
        phone=row.phone,
        address=row.address,
        suburb=row.suburb,
        state=row.state,
        postcode=row.postcode,
        processor_customer_id=row.processor_customer_id or None,
        created_at=offer.now,
    )


def _contract(offer: Offer, row: MemberRow, member: Member) -> tuple[Contract, Cover]:
    contract, cover = draft_contract(
        offer.location,
        member.id,
        offer.plans[row.plan],
        row.frequency,
        offer.now,
        start=row.start_date,
        adopted=row.was_member,
    )
    if row.cycle_from and row.start_date:
        contract.anchor = row.cycle_from
        contract.next_period, contract.next_due = first_due_from(row.cycle_from, row.frequency, row.start_date)
    contract.lock_in_until = row.lock_in_until
    # What was agreed elsewhere does not become dearer here; whoever joins agrees to what the page says.
    contract.fee_bearer = row.fee_bearer or (FeeBearer.PRACTICE if row.was_member else None)
    cover.price_cents = row.price_cents or cover.price_cents
    cover.starts_on = row.member_since
    return contract, cover


def _request(offer: Offer, member_id: str) -> InstantPayment:
    # A debt does not lapse like an offer: it is asked for until it is paid or cancelled.
    until = day_bounds(last_askable(offer.today), offer.location.zone)[0]
    return InstantPayment(
        id=ids.new_id("ip"),
        location_id=offer.location.id,
        member_id=member_id,
        description=BALANCE,
        status=RequestStatus.ACTIVE,
        expires_at=until,
        created_at=offer.now,
    )


def _ask(session: Session, offer: Offer, request: InstantPayment, cents: int) -> None:
    queue_message(
        session,
        offer.location,
        MessageKind.PAYMENT_REQUEST,
        request.id,
        "imported",
        offer.now,
        member_id=request.member_id,
        urgent=True,
        is_plan=False,
        amount_cents=cents,
        due_on=offer.today.isoformat(),
    )


def _draft(offer: Offer, request: InstantPayment, cents: int) -> Draft:
    line = PricedLine(
        LineKind.INSTANT, request.member_id, BALANCE, Money(cents, offer.location.currency), TaxCode.GST_FREE
    )
    agreement = ("instant_payment_id", request.id)
    return Draft(InvoiceKind.INSTANT, request.member_id, agreement, 1, offer.today, (line,), InvoiceStatus.OVERDUE)
