"""From which period on a change counts."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.agreements.contracts import Contract
from connector.billing.agreements.schedule import Frequency, due_date
from connector.use_cases.plans.apply_plan_changes import first_period


@given(
    anchor=st.dates(date(2024, 1, 1), date(2027, 12, 31)),
    frequency=st.sampled_from(list(Frequency)),
    issued=st.integers(min_value=0, max_value=60),
    days=st.integers(min_value=-400, max_value=800),
)
def test_the_first_period_is_the_first_not_invoiced_that_is_due_by_then(
    anchor: date, frequency: Frequency, issued: int, days: int
) -> None:
    """Found by walking along the schedule."""
    next_due = due_date(anchor, frequency, issued)
    contract = Contract(anchor=anchor, frequency=frequency, next_period=issued, next_due=next_due)
    day = next_due + timedelta(days=days)

    period, due = first_period(contract, day)

    assert due == due_date(anchor, frequency, period) >= day
    assert period == issued or due_date(anchor, frequency, period - 1) < day
    assert period >= issued


def test_a_first_charge_before_the_agreed_start_keeps_the_old_price() -> None:
    """Charged at sign-up on the first for a start on the twentieth: a change on the tenth counts a month later."""
    contract = Contract(anchor=date(2026, 9, 20), frequency=Frequency.MONTHLY, next_period=0, next_due=date(2026, 9, 1))

    assert first_period(contract, date(2026, 9, 1)) == (0, date(2026, 9, 1))
    assert first_period(contract, date(2026, 9, 10)) == (1, date(2026, 10, 20))
    with pytest.raises(ValueError, match="has not started"):
        first_period(Contract(frequency=Frequency.MONTHLY), date(2026, 9, 1))
