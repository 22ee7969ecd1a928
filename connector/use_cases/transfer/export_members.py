"""Export members and payment plans in the form in which another installation imports them, and what it cannot take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from connector.billing.agreements.asking import SMALLEST_CHARGE_CENTS
from connector.billing.agreements.contracts import BILLABLE, AgreementStatus, Contract, Cover
from connector.billing.agreements.instalment_progress import resumed_dates
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import InstantPayment
from connector.billing.agreements.schedule import due_date, first_due_from
from connector.billing.clinics import Location
from connector.billing.collecting.charges import LIVE_ATTEMPT, AttemptState, Charge, ChargeAttempt
from connector.billing.intake.member_cells import NO_PLAN
from connector.billing.invoices import UNPAID, Invoice
from connector.billing.members import Member, PaymentMethod
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.billing.policy import FeeBearer
from connector.billing.prices.pricing import Position
from connector.database.sums import summed
from connector.money import CENTS_MAX, Money, total
from connector.use_cases.members.memberships import NOT_BEGUN

BATCH = 500
PERSON = (
    *("given_name", "family_name", "date_of_birth", "gender", "email", "phone"),
    *("address", "suburb", "state", "postcode"),
)
MEMBERS = (
    *("id", *PERSON, "plan", "frequency", "currency", "price", "next_due", "cycle_from", "member_since"),
    *("lock_in_until", "balance", "fee_bearer", "holder", "stripe_customer", "stripe_payment_method", "stripe_mandate"),
)
PLANS = (
    *("id", "member", "total", "paid", "instalments_left", "frequency", "next_due", "cycle_from"),
    *("currency", "description", "fee_bearer"),
)
_SENT = [state for state in LIVE_ATTEMPT if state is not AttemptState.PLANNED]

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is looked at."""

    session: Session
    location: Location
    today: date
    exported: frozenset[str]
    """Agreements that an earlier export has stopped: they are exported again as they were."""

    def live(self, kind: type[Contract | PaymentPlan], row: Contract | PaymentPlan) -> bool:
        """Whether it goes on elsewhere: contracts also before they are signed, payment plans also after a pause."""
        also = NOT_BEGUN if kind is Contract else (AgreementStatus.SUSPENDED,)
        return row.id in self.exported or row.status in (*BILLABLE, *also)

    def begun(self, contract: Contract) -> bool:
        """Whether the payer has accepted the contract: what an earlier export has cancelled nobody had."""
        cancelled = contract.status is AgreementStatus.CANCELLED and contract.id in self.exported
        return contract.status not in NOT_BEGUN and not cancelled

    def fee_bearer(self, agreement: Contract | PaymentPlan) -> FeeBearer:
        """Who bears the platform's fee of what the payer has accepted; before that was kept, the location decided."""
        return agreement.fee_bearer or self.location.policy.fee_bearer

    def next_due(self, plan: PaymentPlan) -> date | None:
        """When the next instalment of a plan falls due, after a pause, too; None when all are invoiced."""
        if plan.next_due is None or plan.next_number > plan.instalment_count:
            return None
        if plan.id in self.exported:
            return plan.instalment(plan.next_number).due
        return resumed_dates(plan, plan.next_due)[1] if plan.status is AgreementStatus.SUSPENDED else plan.next_due


@dataclass
class _Page:
    """Some contracts with all that their rows need."""

    covers: defaultdict[str, list[tuple[Cover, str]]] = field(default_factory=lambda: defaultdict(list))
    """By contract, each with the name of its plan; the holder's first."""
    members: dict[str, Member] = field(default_factory=dict)
    methods: dict[str, PaymentMethod] = field(default_factory=dict)
    owed: dict[str, int] = field(default_factory=dict)


def member_rows(snapshot: Snapshot) -> Iterator[Row]:
    """The rows of members.csv: account holders with their dependents, then those who only pay."""
    for contracts in pages(snapshot, Contract):
        live = [contract for contract in contracts if snapshot.live(Contract, contract) and not contract.ends_on]
        page = _page(snapshot, live)
        for contract in live:
            covers = page.covers[contract.id]
            # Without the holder's own cover there is nobody to whom the others could be added.
            if covers and covers[0][0].position is Position.HOLDER:
                yield from (_row(snapshot, page, contract, cover, plan) for cover, plan in covers)
        snapshot.session.expunge_all()
    yield from _payers(snapshot)


def plan_rows(snapshot: Snapshot) -> Iterator[Row]:
    """The rows of payment-plans.csv: what is left of each plan that runs and is not invoiced yet."""
    for plans in pages(snapshot, PaymentPlan):
        people = _people(snapshot, [plan.member_id for plan in plans])
        for plan in plans:
            # A deposit that is still to be paid is settled by hand.
            due = snapshot.next_due(plan)
            if snapshot.live(PaymentPlan, plan) and plan.next_number and due:
                fixed = {"member": file_id(people[plan.member_id]), "fee_bearer": snapshot.fee_bearer(plan)}
                yield from (fixed | row for row in _plan_rows(plan, due))
        snapshot.session.expunge_all()


def pages(snapshot: Snapshot, kind: type[Any]) -> Iterator[Sequence[Any]]:
    """All agreements of the location, by id."""
    last = ""
    while True:
        query = select(kind).where(kind.location_id == snapshot.location.id, kind.id > last)
        rows = snapshot.session.scalars(query.order_by(kind.id).limit(BATCH)).all()
        if not rows:
            return
        last = rows[-1].id
        yield rows


def file_id(member: Member) -> str:
    """The member's id in the files: where it came from without one, the id here."""
    return member.id if member.external_id.startswith("person-") else member.external_id


def under_way() -> ColumnElement[bool]:
    """Whether something was sent for an invoice that has no answer yet."""
    sent = select(Charge.invoice_id).join(ChargeAttempt, ChargeAttempt.charge_id == Charge.id)
    return Invoice.id.in_(sent.where(ChargeAttempt.state.in_(_SENT)))


def accepted_by_link() -> ColumnElement[bool]:
    """Whether the payer has agreed to an instant payment, which is charged here until it is paid."""
    accepted = select(InstantPayment.id).where(InstantPayment.accepted_at.is_not(None))
    return Invoice.instant_payment_id.is_not(None) & Invoice.instant_payment_id.in_(accepted)


def is_askable(cents: int) -> bool:
    """Whether so much can be asked for as one balance, as the import does."""
    return SMALLEST_CHARGE_CENTS <= cents <= CENTS_MAX


def owed_now(snapshot: Snapshot) -> ColumnElement[bool]:
    """What is owed today, with no money under way, and is not charged here by itself later."""
    here = Invoice.location_id == snapshot.location.id
    due = Invoice.status.in_(UNPAID) & (Invoice.due_date <= snapshot.today)
    return here & due & ~under_way() & ~accepted_by_link()


def _page(snapshot: Snapshot, contracts: Sequence[Contract]) -> _Page:
    page, session = _Page(), snapshot.session
    periods = {contract.id: contract.next_period for contract in contracts}
    query = (
        select(Cover, MembershipPlan.name)
        .join(PlanVersion, PlanVersion.id == Cover.plan_version_id)
        .join(MembershipPlan, MembershipPlan.id == PlanVersion.plan_id)
        .where(Cover.contract_id.in_(periods))
        .order_by(Cover.created_at, Cover.id)
    )
    for cover, plan in session.execute(query):
        if cover.covers(periods[cover.contract_id]):
            page.covers[cover.contract_id].append((cover, plan))
    for covers in page.covers.values():
        covers.sort(key=lambda item: item[0].position is not Position.HOLDER)
    people = {cover.member_id for covers in page.covers.values() for cover, _ in covers}
    payers = [contract.member_id for contract in contracts]
    page.members = _people(snapshot, people | set(payers))
    _add_money(snapshot, page, payers)
    return page


def _add_money(snapshot: Snapshot, page: _Page, payers: Sequence[str]) -> None:
    usable = select(PaymentMethod).where(PaymentMethod.member_id.in_(payers), PaymentMethod.usable.is_(True))
    page.methods = {method.member_id: method for method in snapshot.session.scalars(usable)}
    owed = select(Invoice.member_id, summed(Invoice.amount_cents)).where(
        owed_now(snapshot), Invoice.member_id.in_(payers)
    )
    page.owed = dict(snapshot.session.execute(owed.group_by(Invoice.member_id)).all())


def _people(snapshot: Snapshot, member_ids: Collection[str]) -> dict[str, Member]:
    query = select(Member).where(Member.id.in_(member_ids))
    return {member.id: member for member in snapshot.session.scalars(query)}


def _row(snapshot: Snapshot, page: _Page, contract: Contract, cover: Cover, plan: str) -> Row:
    member = page.members[cover.member_id]
    # Somebody who has not accepted signs there like anybody who joins, unless they were members before.
    joins = not snapshot.begun(contract) and not contract.adopted
    since = cover.starts_on if cover.starts_on and cover.starts_on <= snapshot.today and not joins else ""
    row = _person(member) | {
        "plan": plan,
        "frequency": contract.frequency,
        "currency": contract.currency,
        "price": Money(cover.price_cents, contract.currency).decimal,
        "member_since": since,
    }
    if cover.member_id != contract.member_id:
        return row | {"holder": file_id(page.members[contract.member_id])}
    money = _money(page, member, contract.currency) | {"fee_bearer": snapshot.fee_bearer(contract)}
    if not snapshot.begun(contract):
        # With a payment method the import would start what was not accepted.
        money |= {"stripe_payment_method": "", "stripe_mandate": "", "fee_bearer": contract.fee_bearer}
    return row | _dates(snapshot, contract) | money


def _dates(snapshot: Snapshot, contract: Contract) -> Row:
    """When the contract goes on; blank for one that was to begin before today, which the import would refuse."""
    next_due, anchor = contract.next_due, contract.anchor
    if not snapshot.begun(contract):
        next_due = next_due if contract.adopted and next_due and next_due >= snapshot.today else None
    if next_due is None:
        ahead = contract.adopted and anchor and anchor >= snapshot.today
        return {"next_due": anchor if ahead else None, "lock_in_until": contract.lock_in_until}
    begins = anchor if anchor and anchor <= next_due else None
    return {"next_due": next_due, "cycle_from": begins, "lock_in_until": contract.lock_in_until}


def _money(page: _Page, member: Member, currency: str) -> Row:
    method, owed = page.methods.get(member.id), page.owed.get(member.id, 0)
    return {
        "balance": Money(owed, currency).decimal if is_askable(owed) else "",
        "stripe_customer": member.processor_customer_id,
        "stripe_payment_method": method.processor_id if method else "",
        "stripe_mandate": method.mandate_id if method else "",
    }


def _person(member: Member) -> Row:
    return {"id": file_id(member), **{column: getattr(member, column) for column in PERSON}}


def _payers(snapshot: Snapshot) -> Iterator[Row]:
    """Those who are on no contract that goes on, and have a payment plan or a balance."""
    session, here = snapshot.session, snapshot.location.id
    live = (*BILLABLE, *NOT_BEGUN)
    running = select(PaymentPlan.member_id).where(
        PaymentPlan.location_id == here,
        PaymentPlan.status.in_((*BILLABLE, AgreementStatus.SUSPENDED)) | PaymentPlan.id.in_(snapshot.exported),
    )
    contracts = select(Contract.id).where(
        Contract.location_id == here,
        Contract.status.in_(live) | Contract.id.in_(snapshot.exported),
        Contract.ends_on.is_(None),
    )
    covered = select(Cover.member_id).where(Cover.contract_id.in_(contracts), Cover.until_period.is_(None))
    owing = select(Invoice.member_id).where(owed_now(snapshot))
    last = ""
    while True:
        query = (
            select(Member)
            .where(Member.location_id == here, Member.id > last, Member.id.not_in(covered))
            .where(Member.id.in_(running) | Member.id.in_(owing))
            .order_by(Member.id)
            .limit(BATCH)
        )
        members = session.scalars(query).all()
        if not members:
            return
        page = _Page()
        _add_money(snapshot, page, [member.id for member in members])
        for member in members:
            row = _person(member) | {"plan": NO_PLAN, "currency": snapshot.location.currency}
            yield row | _money(page, member, snapshot.location.currency)
        last = members[-1].id
        session.expunge_all()


def _plan_rows(plan: PaymentPlan, due: date) -> Iterator[Row]:
    """One row, or two where equal parts of the rest would not be what was agreed: then the last part has its own."""
    amounts = [plan.instalment(number).amount for number in range(plan.next_number, plan.instalment_count + 1)]
    rest = total(amounts, plan.currency)
    paid = Money(plan.total_cents, plan.currency) - rest
    fixed = {"currency": plan.currency, "description": plan.description, "frequency": plan.frequency.value}
    passed, in_cycle = first_due_from(plan.anchor, plan.frequency, due)
    anchor, passed = (plan.anchor, passed) if in_cycle == due else (due, 0)
    cycle = {"next_due": due, "cycle_from": anchor}
    whole = fixed | cycle | {"id": plan.id, "instalments_left": len(amounts)}
    if amounts == rest.split(len(amounts)):
        yield whole | {"total": (paid + rest).decimal, "paid": paid.decimal}
        return
    most = rest - amounts[-1]
    yield whole | {"instalments_left": len(amounts) - 1, "total": (paid + most).decimal, "paid": paid.decimal}
    last = {"id": f"{plan.id}-last", "total": amounts[-1].decimal, "paid": "0.00", "instalments_left": 1}
    yield fixed | last | {"next_due": due_date(anchor, plan.frequency, passed + len(amounts) - 1)}
