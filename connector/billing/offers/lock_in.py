"""What a member who leaves owes, and how long the membership lasts: the exact sum that staff see before they confirm.

What has been invoiced is not part of it: past periods stay owed, and no period that was paid is refunded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count, takewhile

from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.offers.plan_terms import months_text
from connector.billing.policy import EarlyCancel
from connector.money import Money


@dataclass(frozen=True, slots=True)
class ExitTerms:
    """The consequences of leaving today."""

    allowed: bool
    """False: only a person who overrides the lock-in can cancel; then nothing is owed either."""
    owed: Money
    due: tuple[date, ...]
    """Due dates of the periods that make up what is owed."""
    last_day: date
    """The last day of the membership: the periods that are paid or owed are enjoyed to their end."""
    reason: str
    """One sentence for the person who confirms."""


def settle(
    early_cancel: EarlyCancel,
    *,
    frequency: Frequency,
    price_per_period: Money,
    anchor: date,
    next_due: date,
    lock_in_until: date | None,
    today: date,
    notice_days: int,
) -> ExitTerms:
    """The terms of leaving today under the location's policy.

    `next_due` is the first due date that is not invoiced yet (of a suspended contract: the next one from today on).
    `lock_in_until` is the first day that is free again. A notice never costs more than waiting for that day would.
    """
    locked_until = lock_in_until if lock_in_until and today < lock_in_until else None
    until = _charged_until(early_cancel, locked_until, today, notice_days)
    due = tuple(takewhile(lambda day: day < until, _due_dates(anchor, frequency, next_due)))
    first_not_charged = next(_due_dates(anchor, frequency, max(next_due, until)))
    owed = Money(price_per_period.cents * len(due), price_per_period.currency)
    return ExitTerms(
        allowed=locked_until is None or early_cancel is not EarlyCancel.BLOCK,
        owed=owed,
        due=due,
        last_day=max(today, first_not_charged - timedelta(days=1)),
        reason=_reason(early_cancel, locked_until, owed, due),
    )


def leaving_text(lock_in_months: int, early_cancel: EarlyCancel, notice_days: int) -> str:
    """What leaving within the lock-in would cost, for whoever is about to sign: the same rules as `settle`."""
    if not lock_in_months:
        return "There is no lock-in period: leaving costs nothing, at any time."
    bound = f"You are bound for {months_text(lock_in_months)}."
    match early_cancel:
        case EarlyCancel.ALLOW:
            return f"{bound} Leaving earlier is allowed all the same, and costs nothing."
        case EarlyCancel.NOTICE:
            days = "day" if notice_days == 1 else f"{notice_days} days"
            return f"{bound} If you leave earlier, the payments that fall due within the next {days} are still taken."
        case EarlyCancel.CHARGE_REMAINDER:
            return f"{bound} If you leave earlier, the payments that fall due until then are charged at once."
    return f"{bound} Leaving earlier needs the consent of the practice, and then costs nothing."


def _charged_until(early_cancel: EarlyCancel, locked_until: date | None, today: date, notice_days: int) -> date:
    """Periods that fall due before this day are still charged; the beginning of time when none is."""
    if locked_until and early_cancel is EarlyCancel.CHARGE_REMAINDER:
        return locked_until
    if locked_until and early_cancel is EarlyCancel.NOTICE:
        # The day on which the notice ends still belongs to it.
        return min(today + timedelta(days=notice_days + 1), locked_until)
    return date.min


def _due_dates(anchor: date, frequency: Frequency, first: date) -> Iterator[date]:
    """The dates of the schedule from `first` on, without end."""
    return (day for day in (due_date(anchor, frequency, period) for period in count()) if day >= first)


def _reason(early_cancel: EarlyCancel, locked_until: date | None, owed: Money, due: tuple[date, ...]) -> str:
    if locked_until is None:
        return "No lock-in applies: nothing further is owed."
    lock_in = f"The lock-in ends on {locked_until:%d/%m/%Y}"
    if early_cancel is EarlyCancel.BLOCK:
        return f"{lock_in}: leaving earlier needs an override, and nothing is charged."
    if early_cancel is EarlyCancel.ALLOW:
        return f"{lock_in}, but leaving earlier is allowed: nothing further is owed."
    if not due:
        return f"{lock_in}, and no further period falls due until then: nothing further is owed."
    periods, verb = ("1 period", "is") if len(due) == 1 else (f"{len(due)} periods", "are")
    if early_cancel is EarlyCancel.NOTICE:
        return f"{lock_in}: {periods} within the notice {verb} still charged when due, {owed} in all."
    return f"{lock_in}: {periods} until then {verb} owed at once, {owed} in all."
