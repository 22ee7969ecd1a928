"""Sees what the product tells people, and keeps the chronicle's agreements in step with it: begun, paused, ended.

Whether an action of staff took place, after a kill or a lost answer, is seen as staff see it: by the history.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import httpx
from sqlalchemy import func, select

from connector.billing.activity import Activity
from connector.billing.agreements.contracts import BILLABLE, AgreementStatus, Contract
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.clinics import Location
from connector.billing.inbox import InboxEvent
from connector.billing.invoices import VOID, Invoice, InvoiceKind, InvoiceStatus
from connector.clock import business_date
from connector.errors import DomainError, EdgeError
from connector.ledger.write_back.models import Leg, WriteBack
from connector.simulation.agreed import Instalments, Membership, Pause
from connector.simulation.auditor import UNSETTLED, Books, Claim, Demand, Verdict, judge
from connector.simulation.chronicle import Chronicle
from connector.simulation.stage import Stage
from connector.use_cases.books.verify_ledger import verify_ledger

DAY = timedelta(days=1)
EVENTS_KEPT = timedelta(days=29)
"""A day less than Stripe lists its events."""
NOT_BILLED = (AgreementStatus.FAILED, AgreementStatus.SUSPENDED)


@dataclass
class Witness:
    """Looks over the shoulders of staff at one location."""

    stage: Stage
    location: Location
    chronicle: Chronicle

    @property
    def today(self) -> date:
        """By our clock, which may be wrong."""
        return business_date(self.stage.clock.now(), self.location.zone)

    def look(self) -> None:
        """Note which memberships have begun, rest, go on or are over since the last look."""
        with self.stage.database.read() as session:
            contracts = session.scalars(select(Contract).order_by(Contract.id)).all()
        for contract in contracts:
            agreed = self.chronicle.agreed.get(contract.id)
            if isinstance(agreed, Membership) and contract.status is not AgreementStatus.PENDING:
                self._follow(contract, agreed)
        with self.stage.database.read() as session:
            plans = session.scalars(select(PaymentPlan).where(PaymentPlan.status.in_(BILLABLE))).all()
        for plan in plans:
            in_parts = self.chronicle.agreed.get(plan.id)
            if isinstance(in_parts, Instalments) and in_parts.rests_until:
                in_parts.go_on(self.parts_invoiced(plan.id), max(in_parts.rests_until, self.today))

    def _follow(self, contract: Contract, agreed: Membership) -> None:
        agreed.start = agreed.start or contract.anchor
        if agreed.start is None:
            # Cancelled before it was signed.
            return
        pause = agreed.pauses[-1] if agreed.pauses else None
        resting = pause is not None and not pause.over
        if contract.status in NOT_BILLED and not resting:
            agreed.pauses.append(Pause(self.next_day(contract.id)))
        elif contract.status in BILLABLE and pause and resting:
            pause.until = self.today
        elif contract.status is AgreementStatus.CANCELLED and agreed.end == date.max:
            agreed.end = self.next_day(contract.id)

    def next_day(self, contract_id: str, since: date = date.min) -> date:
        """The next day that is not invoiced yet, and not before `since`, on which something falls due as agreed."""
        before = since - DAY if since > date.min else since
        return self.membership(contract_id).next_day(max(self.invoiced_until(contract_id), before))

    def invoiced_until(self, contract_id: str) -> date:
        """The last due date of a membership that is invoiced; the beginning of time before the first."""
        newest = select(func.max(Invoice.due_date)).where(
            Invoice.contract_id == contract_id, Invoice.kind == InvoiceKind.MEMBERSHIP
        )
        with self.stage.database.read() as session:
            return session.scalar(newest) or date.min

    def membership(self, contract_id: str) -> Membership:
        """What was agreed with that contract. Raises TypeError for anything else."""
        agreed = self.chronicle.agreed[contract_id]
        if not isinstance(agreed, Membership):
            raise TypeError(f"{contract_id} is no membership.")
        return agreed

    def parts_invoiced(self, plan_id: str) -> int:
        """How many parts of a payment plan are invoiced, each on its own."""
        with self.stage.database.read() as session:
            return session.scalar(select(func.count()).where(Invoice.payment_plan_id == plan_id)) or 0

    def plan_changed(self, contract_id: str, member_id: str, cents: int, do: Callable[[], object]) -> bool:
        """Change a plan, and note the new price if it does not rise: then it counts without a word of the payer."""
        agreed = self.membership(contract_id)
        invoiced_until, comes_next = self.invoiced_until(contract_id), self.next_day(contract_id, self.today)
        dearer = cents > agreed.present_cents(member_id, invoiced_until)
        told = self.took_place(contract_id, "Plan Change Announced" if dearer else "Plan Change Accepted", do)
        if told:
            agreed.forget_change(member_id, invoiced_until)
            if not dearer:
                agreed.change(member_id, cents, comes_next)
        return told

    def took_place(self, subject_id: str, action: str, do: Callable[[], object]) -> bool:
        """Do something that may be refused, killed or left without an answer; tells whether the history has it now."""
        before = self._told(subject_id, action)
        with self.stage.may_be_killed(), suppress(DomainError, EdgeError, httpx.HTTPError):
            do()
        return self._told(subject_id, action) > before

    def _told(self, subject_id: str, action: str) -> int:
        told = select(func.count()).where(Activity.subject_id == subject_id, Activity.action == action)
        with self.stage.database.read() as session:
            return session.scalar(told) or 0

    def unclear(self) -> bool:
        """Whether anything waits to be looked up in the practice system."""
        here = WriteBack.location_id == self.location.id
        query = select(WriteBack.id).where(here, WriteBack.state.in_(UNSETTLED)).limit(1)
        with self.stage.database.read() as session:
            return session.execute(query).first() is not None

    def judged(self, books: Books) -> Verdict:
        """What the judge says of the books, with what only the product itself can tell."""
        verdict = judge(books, self.chronicle)
        if calls := self.stage.calls_in_transactions:
            verdict.accuse("transaction", "calls", f"{calls} outside calls were made within a unit of work.")
        for fault in verify_ledger(self.stage.context).faults:
            verdict.accuse("book", "book", fault)
        return verdict

    def books(self, now: datetime) -> Books:
        """All books as they stand; `now` in the practice's zone."""
        stripe = self.stage.around.stripe
        with self.stage.database.read() as session:
            claims = [_claim(row) for row in session.scalars(select(WriteBack).order_by(WriteBack.reference))]
            demands = [_demand(row) for row in session.scalars(select(Invoice).order_by(Invoice.id))]
            inbox = session.scalars(select(InboxEvent.id).where(InboxEvent.created >= now - EVENTS_KEPT)).all()
        return Books(
            list(stripe.listed("charges")),
            list(stripe.listed("refunds")),
            list(stripe.listed("disputes")),
            list(stripe.listed("payment_intents")),
            frozenset(event["id"] for event in stripe.listed("events")),
            inbox,
            self.stage.around.office.entries(),
            claims,
            demands,
            now,
        )


def _claim(row: WriteBack) -> Claim:
    touched_at = row.sent_at or row.created_at
    reversal = row.leg is Leg.REVERSAL
    patient_id = row.sent_to_patient_id or row.pms_patient_id
    return Claim(row.reference, row.member_id, patient_id, reversal, row.amount_cents, row.state.value, touched_at)


def _demand(row: Invoice) -> Demand:
    agreement = row.contract_id or row.payment_plan_id or row.instant_payment_id or row.payment_hold_id or ""
    settled = row.status is InvoiceStatus.COMPLETED
    return Demand(row.id, agreement, row.due_date, row.amount_cents, settled=settled, void=row.status in VOID)
