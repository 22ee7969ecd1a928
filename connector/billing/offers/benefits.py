"""Whether a member may use a benefit today, and how much of it is left.

The benefit year runs from the start of the contract, and what is not used in it does not roll over. Use is counted by
procedure code, so it carries over when a member changes the plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from connector.billing.agreements.schedule import Frequency, due_date
from connector.billing.offers.plan_terms import Benefit

Use = tuple[date, str, int]
"""Day, procedure code and quantity; a correction has a negative quantity."""


class BenefitState(StrEnum):
    """What stands between the member and the benefit: the first that applies, in the order frozen, waiting, used up."""

    AVAILABLE = "available"
    WAITING = "waiting"
    """The contract has not started, or its waiting time is not over."""
    USED_UP = "used_up"
    FROZEN = "frozen"
    """The member is not active; waiting times go on all the same."""


@dataclass(frozen=True, slots=True)
class BenefitStanding:
    """Where a member stands with one benefit; the year is the half-open `[year_start, year_end)`."""

    state: BenefitState
    used: int
    """In this benefit year."""
    left: int | None
    """Until the year ends; None without limit."""
    available_from: date
    """The end of the waiting time."""
    year_start: date
    year_end: date
    """The first day of the next benefit year."""


def standing(benefit: Benefit, starts_on: date, today: date, uses: Iterable[Use], active: bool) -> BenefitStanding:
    """The standing on that day of a member whose contract started on `starts_on`.

    All uses of the benefit year count, later ones too, so that a visit entered afterwards cannot exceed the quantity.
    """
    year_start, year_end = benefit_year(starts_on, today)
    codes = {code.upper() for code in benefit.procedure_codes}
    counted = (
        quantity for day, code, quantity in uses if year_start <= day < year_end and code.strip().upper() in codes
    )
    used = max(0, sum(counted))
    left = max(0, benefit.annual_quantity - used) if benefit.annual_quantity else None
    available_from = due_date(starts_on, Frequency.MONTHLY, benefit.waiting_months)
    if not active:
        state = BenefitState.FROZEN
    elif today < available_from:
        state = BenefitState.WAITING
    elif left == 0:
        state = BenefitState.USED_UP
    else:
        state = BenefitState.AVAILABLE
    return BenefitStanding(state, used, left, available_from, year_start, year_end)


def benefit_year(starts_on: date, today: date) -> tuple[date, date]:
    """The half-open year that `today` lies in, counted from the start; the first one before the contract starts."""
    number = max(0, today.year - starts_on.year)
    if number and today < due_date(starts_on, Frequency.ANNUALLY, number):
        number -= 1
    return due_date(starts_on, Frequency.ANNUALLY, number), due_date(starts_on, Frequency.ANNUALLY, number + 1)
