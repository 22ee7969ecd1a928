"""How an unpaid invoice is recovered: which steps there are, which comes next, and on which day.

Steps lie on days after the first failure, in local business days. The clock of a recovery runs on days of service: a
step that is late, because the daemon was away, pushes all later ones back by as much, so that nobody is reminded,
debited and cancelled at one go. Nothing here knows what has been paid: the caller ends a recovery by payment, void,
dispute or suspension, makes no step while an attempt is under way, and asks for the next one after every step and
after every failure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from connector.billing.collecting.business_days import BusinessCalendar
from connector.billing.collecting.declines import DeclineClass, Verdict
from connector.billing.policy import BillingPolicy

TECHNICAL_WAITS = (timedelta(hours=1), timedelta(hours=6))
"""When an attempt that failed for technical reasons is repeated, and when that one is."""

NETWORK_ATTEMPTS_MAX = 15
"""Attempts for one card and amount within 30 days, over all invoices (Visa: retry rules)."""

_DAY = timedelta(days=1)


class StepKind(StrEnum):
    """What is done in a step, in the order in which steps of one day follow one another."""

    RETRY = "retry"
    MESSAGE = "message"
    """The payer is told that the charge failed, with a link to pay or to change the method."""
    STAFF_NOTICE = "staff_notice"
    FINAL_NOTICE = "final_notice"
    """The contract is overdue for good and its benefits are frozen."""
    AUTO_CANCEL = "auto_cancel"


_KINDS = tuple(StepKind)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the schedule, so many days after the first failure."""

    day: int
    kind: StepKind

    @property
    def position(self) -> int:
        """Place in every schedule: a recovery finds its way when settings or the kind of method change meanwhile."""
        return self.day * len(_KINDS) + _KINDS.index(self.kind)


@dataclass(frozen=True, slots=True)
class RecoveryState:
    """How far a recovery is: what its row keeps."""

    started_on: date
    """The local day of the first failure."""
    step: int = 0
    """Steps at lower positions are done or passed over."""
    shifted_days: int = 0
    """Days by which steps were late in all."""
    done_on: date | None = None
    """The local day of the latest step."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How the latest attempt of an invoice failed."""

    verdict: Verdict
    is_card: bool
    on: date
    """The local day on which it failed or came back."""
    attempts: int = 1
    """Attempts with this payment method so far that somebody refused: technical failures and limits do not count."""
    by_payer: bool = False
    """The payer tried on the link: nothing is debited without the payer from then on, until the method changes."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The next step and the local day for it."""

    on: date
    step: Step


def steps(policy: BillingPolicy, is_card: bool) -> tuple[Step, ...]:
    """All steps of a recovery, in order. A bank account is debited a second time only after its owner was told."""
    found = {
        Step(0, StepKind.MESSAGE),
        Step(policy.staff_notice_day, StepKind.STAFF_NOTICE),
        Step(policy.final_notice_day, StepKind.FINAL_NOTICE),
    }
    if policy.auto_cancel_day:
        found.add(Step(policy.auto_cancel_day, StepKind.AUTO_CANCEL))
    days = policy.card_retry_days if is_card else policy.becs_retry_days
    found |= {Step(day, StepKind.RETRY) for day in days}
    if is_card:
        found |= {Step(day, StepKind.MESSAGE) for day in days}
    else:
        notice = max(policy.upcoming_notice_days, 1)
        found |= {Step(max(before, day - notice), StepKind.MESSAGE) for before, day in pairwise(days)}
    return tuple(sorted(found, key=lambda step: step.position))


def plan_next(
    state: RecoveryState, policy: BillingPolicy, failure: Failure, calendar: BusinessCalendar, today: date
) -> Planned | None:
    """The next step and its day, today or later; None when nothing is left to be done.

    A retry that makes no sense, or would come too soon after the failure, is passed over and the other steps stay.
    Where the failure says how long to wait to the hour, the caller delays the attempt within the day.
    """
    for step in steps(policy, failure.is_card):
        if step.position < state.step or not _makes_sense(step, failure):
            continue
        on = calendar.roll_forward(max(_planned(state, step), _earliest(state, step)))
        if step.kind is StepKind.RETRY and on < _retry_from(failure):
            continue
        return Planned(max(on, calendar.roll_forward(today)), step)
    return None


def is_due(on: date, calendar: BusinessCalendar, today: date) -> bool:
    """Whether a step planned for that day can be made now: also late, but on a business day."""
    return on <= today and calendar.is_business_day(today)


def after_step(state: RecoveryState, step: Step, calendar: BusinessCalendar, today: date) -> RecoveryState:
    """The state once a step was made today. What it was late moves all later steps.

    Repeats for technical reasons, and the immediate attempt with a new payment method, are no steps: they leave the
    state as it is.
    """
    late = (today - calendar.roll_forward(_planned(state, step))).days
    return replace(state, step=step.position + 1, shifted_days=state.shifted_days + max(late, 0), done_on=today)


def technical_retry_at(verdict: Verdict, failed_at: datetime, repeats: int) -> datetime | None:
    """When to repeat an attempt that failed for technical reasons; nothing else is done until then.

    `repeats`: how often it was repeated so already. None when the schedule of steps goes on instead: after two
    repeats, after any other failure, and when the network wants a longer wait.
    """
    if verdict.decline_class is not DeclineClass.TECHNICAL or repeats >= len(TECHNICAL_WAITS):
        return None
    wait = max(TECHNICAL_WAITS[repeats], verdict.wait or timedelta())
    return failed_at + wait if wait <= TECHNICAL_WAITS[-1] else None


def attempts_allowed(attempts: int) -> bool:
    """Whether a card may be tried again that was tried so often in the last 30 days with this amount, by anybody."""
    return attempts < NETWORK_ATTEMPTS_MAX


def _makes_sense(step: Step, failure: Failure) -> bool:
    """Whether this failure leaves a point to the step."""
    decline_class = failure.verdict.decline_class
    if step.kind is StepKind.RETRY:
        most = decline_class.most_attempts
        return not failure.by_payer and (most is None or failure.attempts < most)
    return decline_class.blames_payer or step.kind is StepKind.STAFF_NOTICE


def _planned(state: RecoveryState, step: Step) -> date:
    """The day of the schedule, which may be a holiday."""
    return state.started_on + timedelta(days=step.day + state.shifted_days)


def _earliest(state: RecoveryState, step: Step) -> date:
    """The day after the latest step, so that holidays cannot bring two together; steps of one day may share it."""
    if state.done_on is None:
        return state.started_on
    same_day = step.day == (state.step - 1) // len(_KINDS)
    return state.done_on if same_day else state.done_on + _DAY


def _retry_from(failure: Failure) -> date:
    """The first day on which another attempt may be made: never the day of the failure."""
    wait = failure.verdict.wait or timedelta()
    return failure.on + max(_DAY, timedelta(days=-(-wait // _DAY)))
