"""Work on unpaid invoices: make the steps of their recoveries that are due, and plan the next ones.

A step and the plan for what follows are committed together, so a crash neither repeats nor loses one. Nothing is sent
from here: retries are attempts for the next run of collection, messages are queued.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import structlog
from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from connector.billing.activity import CONNECTOR, remember
from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.clinics import Location
from connector.billing.collecting.business_days import BusinessCalendar
from connector.billing.collecting.catch_up import debit_day
from connector.billing.collecting.charges import LIVE_ATTEMPT, AttemptState, Charge, ChargeAttempt, Origin
from connector.billing.collecting.dunning import RecoveryState, Step, StepKind, after_step, plan_next
from connector.billing.collecting.recovery import Recovery
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.policy import BillingPolicy
from connector.clock import business_date, day_bounds
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.use_cases.collection.plan_attempts import busy_days, plan_again
from connector.use_cases.context import Context
from connector.use_cases.members.end_contracts import close_contract
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.recovery.read_failures import REMINDERS, Unpaid, may_try, read_unpaid, under_way
from connector.use_cases.recovery.recover import FINISHED
from connector.use_cases.recovery.tell_staff import tell_staff

log = structlog.get_logger()

BATCH = 200
"""Invoices per unit of work."""

Agreement = Contract | PaymentPlan
_SETTLED = (InvoiceStatus.COMPLETED, InvoiceStatus.CANCELLED, InvoiceStatus.EXPIRED)


@dataclass
class RecoveryTally:
    """What was done."""

    repeats: int = 0
    """Attempts that failed for technical reasons, planned once more."""
    retries: int = 0
    messages: int = 0
    staff_notices: int = 0
    final_notices: int = 0
    cancelled: int = 0
    ended: int = 0
    """Recoveries without any step left, or with nothing to recover."""


def work_recoveries(context: Context, location: Location) -> RecoveryTally:
    """Make all steps that are due at the location. Running it again at once does nothing more."""
    tally = RecoveryTally()
    after = ""
    while True:
        now = context.clock.now()
        today = business_date(now, location.zone)
        with context.database.unit_of_work() as session:
            rows = _due(session, location, today, after)
            if rows:
                _Round(session, location, today, now, tally).work(rows)
        if not rows:
            break
        after = rows[-1][0].invoice_id
    if vars(tally) != vars(RecoveryTally()):
        log.info("recoveries.worked", location_id=location.id, **vars(tally))
    return tally


def _due(session: Session, location: Location, today: date, after: str) -> list[tuple[Recovery, Invoice]]:
    """The next batch whose time has come. While an attempt is under way there is nothing to decide."""
    live = (
        exists()
        .where(Charge.invoice_id == Recovery.invoice_id, ChargeAttempt.charge_id == Charge.id)
        .where(ChargeAttempt.state.in_(LIVE_ATTEMPT))
    )
    query = (
        select(Recovery, Invoice)
        .join(Invoice, Invoice.id == Recovery.invoice_id)
        .where(Recovery.location_id == location.id, Recovery.ended_at.is_(None), Recovery.paused.is_(False))
        .where(Recovery.next_on <= today, Recovery.invoice_id > after, ~live)
        .order_by(Recovery.invoice_id)
        .limit(BATCH)
        .with_for_update(of=Recovery, skip_locked=True)
    )
    return [(recovery, invoice) for recovery, invoice in session.execute(query)]


@dataclass
class _Round:
    """One batch in one unit of work."""

    session: Session
    location: Location
    today: date
    now: datetime
    tally: RecoveryTally
    _policy: BillingPolicy = field(init=False)
    _calendar: BusinessCalendar = field(init=False)
    _agreements: dict[str, Agreement] = field(init=False)
    _debits: defaultdict[str, set[date]] = field(init=False)
    """Days on which each payer is debited anyhow."""
    _reminded: set[str] = field(init=False)
    """Payers who have had their reminder for today: it is one a day, however many invoices are unpaid."""
    _for_staff: list[str] = field(default_factory=list)

    def work(self, rows: Sequence[tuple[Recovery, Invoice]]) -> None:
        self._policy, self._calendar = self.location.policy, self.location.calendar
        self._agreements = _agreements(self.session, [invoice for _, invoice in rows])
        self._read_payers(sorted({invoice.member_id for _, invoice in rows}))
        # Asked again under the lock: another worker may have planned an attempt while this one waited for it.
        busy = under_way(self.session, [invoice.id for _, invoice in rows])
        rows = [(recovery, invoice) for recovery, invoice in rows if invoice.id not in busy]
        for unpaid in read_unpaid(self.session, self.location, rows):
            self._work_one(unpaid)
        tell_staff(self.session, self.location, self._for_staff, self.now)

    def _read_payers(self, member_ids: list[str]) -> None:
        self._debits = defaultdict(set, busy_days(self.session, self._calendar, member_ids, self.today))
        since = day_bounds(self.today, self.location.zone)[0]
        told = select(Message.member_id).where(
            Message.member_id.in_(member_ids), Message.kind.in_(REMINDERS), Message.created_at >= since
        )
        self._reminded = {member_id for member_id in self.session.scalars(told) if member_id}

    def _work_one(self, unpaid: Unpaid) -> None:
        recovery, invoice = unpaid.recovery, unpaid.invoice
        agreement = self._agreements.get(invoice.contract_id or invoice.payment_plan_id or "")
        if invoice.status in _SETTLED:
            self._end(recovery, invoice.status.value)
            return
        if invoice.status is not InvoiceStatus.OVERDUE:
            return
        if agreement is not None and agreement.status is AgreementStatus.SUSPENDED:
            return
        if unpaid.repeat_at and self._repeat(unpaid, unpaid.repeat_at):
            return
        while recovery.ended_at is None:
            state = RecoveryState(recovery.started_on, recovery.step, recovery.shifted_days, recovery.done_on)
            planned = plan_next(state, self._policy, unpaid.failure, self._calendar, self.today)
            if planned is None:
                self._end(recovery, FINISHED)
                return
            recovery.next_on = planned.on
            if planned.on > self.today:
                return
            after = after_step(state, planned.step, self._calendar, self.today)
            if not self._make(planned.step, unpaid, agreement, after):
                return
            recovery.step, recovery.shifted_days, recovery.done_on = after.step, after.shifted_days, after.done_on

    def _make(self, step: Step, unpaid: Unpaid, agreement: Agreement | None, after: RecoveryState) -> bool:
        """Make one step. False when it has to wait for another day; a retry also ends the round of its invoice."""
        invoice = unpaid.invoice
        match step.kind:
            case StepKind.RETRY:
                return self._retry(unpaid, after)
            case StepKind.MESSAGE | StepKind.FINAL_NOTICE if invoice.member_id in self._reminded:
                unpaid.recovery.next_on = self._calendar.add_business_days(self.today, 1)
                return False
            case StepKind.MESSAGE:
                self._remind(unpaid, step, after)
            case StepKind.STAFF_NOTICE:
                self._for_staff.append(invoice.id)
                self.tally.staff_notices += 1
            case StepKind.FINAL_NOTICE:
                self._give_up(unpaid, step, agreement)
            case StepKind.AUTO_CANCEL:
                if isinstance(agreement, Contract) and agreement.status is not AgreementStatus.CANCELLED:
                    close_contract(self.session, self.location, agreement, self.today, self.now, CONNECTOR)
                    self.tally.cancelled += 1
        return True

    def _repeat(self, unpaid: Unpaid, at: datetime) -> bool:
        """Repeat what failed for technical reasons; this is no step."""
        if unpaid.method is None or not may_try(self.session, unpaid.method, unpaid.invoice.amount_cents, self.now):
            return False
        day = business_date(at, self.location.zone)
        if not self._plan(unpaid, unpaid.method.id, Origin.TECHNICAL, day):
            return False
        of_invoice = select(Charge.id).where(Charge.invoice_id == unpaid.invoice.id)
        self.session.execute(
            update(ChargeAttempt)
            .where(ChargeAttempt.charge_id.in_(of_invoice), ChargeAttempt.state == AttemptState.PLANNED)
            .values(next_check_at=at)
            .execution_options(synchronize_session=False)
        )
        self.tally.repeats += 1
        return True

    def _retry(self, unpaid: Unpaid, after: RecoveryState) -> bool:
        """Plan another attempt, on a day on which nothing else is taken from the payer."""
        method, recovery = unpaid.method, unpaid.recovery
        if method is None or not may_try(self.session, method, unpaid.invoice.amount_cents, self.now):
            log.info("recovery.retry_passed_over", invoice_id=unpaid.invoice.id)
            return True
        # Also a card is retried on business days only: that is when somebody can be asked about it.
        taken = self._debits[unpaid.invoice.member_id]
        day = debit_day(self.today, taken, self._calendar, is_becs=True)
        if self._plan(unpaid, method.id, Origin.RETRY, day):
            taken.add(day)
            recovery.step, recovery.shifted_days, recovery.done_on = after.step, after.shifted_days, after.done_on
            self.tally.retries += 1
        # What comes next depends on how the attempt ends.
        recovery.next_on = self.today
        return False

    def _plan(self, unpaid: Unpaid, method_id: str, origin: Origin, day: date) -> bool:
        return plan_again(self.session, self.location, unpaid.invoice, method_id, origin, day, self.now)

    def _remind(self, unpaid: Unpaid, step: Step, after: RecoveryState) -> None:
        kind = MessageKind.PAYMENT_FAILED_AGAIN if unpaid.tried_again else MessageKind.PAYMENT_FAILED
        self._tell(kind, unpaid, step, self._next_retry(unpaid, after))
        self.tally.messages += 1

    def _next_retry(self, unpaid: Unpaid, state: RecoveryState) -> date | None:
        """The day on which another attempt will be made if nothing else happens."""
        while planned := plan_next(state, self._policy, unpaid.failure, self._calendar, self.today):
            if planned.step.kind is StepKind.RETRY:
                return planned.on
            state = replace(state, step=planned.step.position + 1, done_on=planned.on)
        return None

    def _give_up(self, unpaid: Unpaid, step: Step, agreement: Agreement | None) -> None:
        self._tell(MessageKind.FINAL_NOTICE, unpaid, step)
        self.tally.final_notices += 1
        if isinstance(agreement, Contract) and agreement.frozen_at is None:
            agreement.frozen_at = self.now
            remember(
                self.session,
                agreement.id,
                "Benefits Frozen",
                self.now,
                location_id=self.location.id,
                invoice_id=unpaid.invoice.id,
            )

    def _tell(self, kind: MessageKind, unpaid: Unpaid, step: Step, retry_on: date | None = None) -> None:
        invoice = unpaid.invoice
        # A recovery may begin anew after a return, with the same steps on other days.
        occasion = f"{unpaid.recovery.started_on.isoformat()}:{step.day}"
        self._reminded.add(invoice.member_id)
        queue_message(
            self.session,
            self.location,
            kind,
            invoice.id,
            occasion,
            self.now,
            member_id=invoice.member_id,
            amount_cents=invoice.amount_cents,
            due_on=invoice.due_date.isoformat(),
            retry_on=retry_on.isoformat() if retry_on else None,
        )

    def _end(self, recovery: Recovery, because: str) -> None:
        """No step follows. The links stay good: what is owed can still be paid."""
        recovery.ended_at, recovery.ended_because, recovery.next_on = self.now, because, None
        self.tally.ended += 1


def _agreements(session: Session, invoices: Sequence[Invoice]) -> dict[str, Agreement]:
    contracts = {invoice.contract_id for invoice in invoices if invoice.contract_id}
    plans = {invoice.payment_plan_id for invoice in invoices if invoice.payment_plan_id}
    found: dict[str, Agreement] = {
        row.id: row for row in session.scalars(select(Contract).where(Contract.id.in_(contracts)))
    }
    return found | {row.id: row for row in session.scalars(select(PaymentPlan).where(PaymentPlan.id.in_(plans)))}
