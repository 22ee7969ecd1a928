"""Charge what is due: issue the invoices of due periods and instalments, then collect them through Stripe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock

import structlog
from sqlalchemy import or_, select

from connector.billing.clinics import Location, LocationStatus
from connector.billing.collecting.charges import LIVE_ATTEMPT, AttemptState, ChargeAttempt
from connector.billing.processor import ChargeReport, ChargeStatus
from connector.clock import business_date
from connector.errors import DomainError, EdgeError, InvariantBroken, OutcomeUnknown, UnexpectedResponse
from connector.use_cases.collection.collect_charge import collect_charge
from connector.use_cases.containment import attempted, contained
from connector.use_cases.context import Context
from connector.use_cases.continuity.require_current import require_current, require_unbroken
from connector.use_cases.invoices.issue_due import BATCH, IssueTally, issue_due
from connector.use_cases.members.end_contracts import end_contracts
from connector.use_cases.payment_plans.change_payment_plan import resume_plans
from connector.use_cases.practice.location_settings import open_pending
from connector.use_cases.recovery.work_recoveries import work_recoveries
from connector.use_cases.requests.request_payment import charge_due_requests, expire_requests
from connector.use_cases.requests.work_holds import work_holds
from connector.use_cases.returns.refund_payment import work_refunds

log = structlog.get_logger()

UNCLEAR_MAX = 3
"""So many unclear answers in one run mean that Stripe is in trouble, and each may have taken a full time-out."""

Mapper = Callable[[Callable[[str], None], Sequence[str]], Iterable[None]]


@dataclass
class DueReport(IssueTally):
    """What a run did."""

    charged: int = 0
    declined: int = 0
    """Of those, how many brought no money because they were refused."""
    problems: list[str] = field(default_factory=list)
    stopped: bool = False
    _unclear: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def count_charge(self, charge: ChargeReport | None) -> None:
        """One more was worked on; None when nothing was asked."""
        with self._lock:
            self.charged += 1
            if charge is not None and charge.failure_code and charge.status is ChargeStatus.OPEN:
                self.declined += 1

    def tell(self, sentence: str) -> None:
        """Something to be said that is no reason to stop."""
        with self._lock:
            if sentence not in self.problems:
                self.problems.append(sentence)

    def problem(self, sentence: str, *, stop: bool) -> None:
        self.tell(sentence)
        with self._lock:
            self._unclear += 1
            self.stopped = self.stopped or stop or self._unclear >= UNCLEAR_MAX


def run_due(context: Context, location_id: str | None = None, mapper: Mapper = map) -> DueReport:
    """Issue and collect all that is due now, at one location or all. `mapper` may run the charges in threads."""
    report = DueReport()
    try:
        require_unbroken(context)
    except DomainError as error:
        report.problem(str(error), stop=True)
        return report
    for location in context.locations():
        if location_id in (None, location.id):
            with contained(location, report.tell):
                open_pending(context, location)
    locations = context.locations()
    # A location whose payment account is not ready, or that is paused, takes no money.
    charging = [row for row in locations if location_id in (None, row.id) and row.status is LocationStatus.ACTIVE]
    for location in charging:
        with contained(location, report.tell):
            _prepare(context, location, report)
    for problem in [*work_holds(context).problems, *work_refunds(context)]:
        report.tell(problem)
    collect_open(context, report, location_id, mapper)
    # Where this runs once a day, whoever was refused just now still hears of it today.
    for location in charging:
        with contained(location, report.tell):
            work_recoveries(context, location)
    log.info("run_due.done", invoiced=report.invoiced, charged=report.charged, problems=len(report.problems))
    return report


def _prepare(context: Context, location: Location, report: DueReport) -> None:
    """Decide what is to be collected: new periods, requests that have become due, retries. Nothing is sent here."""
    now = context.clock.now()
    today = business_date(now, location.zone)
    with context.database.unit_of_work() as session:
        resume_plans(session, location, today, now)
    issue_due(context, location, report)
    with context.database.unit_of_work() as session:
        end_contracts(session, location, today, now)
        expire_requests(session, location, today, now)
        charge_due_requests(session, location, today, now)
    work_recoveries(context, location)


def collect_open(context: Context, report: DueReport, location_id: str | None = None, mapper: Mapper = map) -> None:
    """Work off all attempts whose time has come, at one location or all.

    A single unclear answer is asked again later; a connection that is down, or unclear several times, ends the run.
    What is wrong with one attempt alone keeps none of the others.
    """

    def collect(attempt_id: str) -> None:
        if not report.stopped:
            failure = f"The charge attempt {attempt_id} cannot be worked on"
            attempted(partial(_collect, context, report, attempt_id), report.tell, failure, attempt_id=attempt_id)

    while not report.stopped and (attempts := _open_attempts(context, location_id)):
        try:
            require_current(context)
        except (DomainError, EdgeError) as error:
            report.problem(str(error), stop=True)
            return
        list(mapper(collect, attempts))


def _collect(context: Context, report: DueReport, attempt_id: str) -> None:
    try:
        charge = collect_charge(context, attempt_id)
    except (OutcomeUnknown, UnexpectedResponse, InvariantBroken) as error:
        report.problem(str(error), stop=False)
    except EdgeError as error:
        report.problem(str(error), stop=True)
    else:
        report.count_charge(charge)


def _open_attempts(context: Context, location_id: str | None) -> list[str]:
    query = (
        select(ChargeAttempt.id)
        .join(Location, Location.id == ChargeAttempt.location_id)
        .where(ChargeAttempt.state.in_(LIVE_ATTEMPT), ChargeAttempt.next_check_at <= context.clock.now())
        # A paused location begins nothing new; what was sent is followed to its end.
        .where(or_(ChargeAttempt.state != AttemptState.PLANNED, Location.status == LocationStatus.ACTIVE))
        .order_by(ChargeAttempt.next_check_at, ChargeAttempt.id)
        .limit(BATCH)
    )
    if location_id is not None:
        query = query.where(ChargeAttempt.location_id == location_id)
    with context.database.read() as session:
        return list(session.scalars(query))
