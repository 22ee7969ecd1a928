"""Polling for news keeps to what Stripe allots for reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.collecting.read_budget import MONTH_SECONDS, READS_AT_LEAST, READS_PER_PAYMENT, poll_seconds


@pytest.mark.parametrize(
    ("wanted", "payments", "seconds"),
    [(300, 0, 300), (60, 0, 288), (60, 20, 288), (60, 95, 61), (60, 200, 60), (1, 0, 288), (3_600, 0, 3_600)],
)
def test_a_practice_with_few_payments_is_polled_less_often_than_one_wants(
    wanted: int, payments: int, seconds: int
) -> None:
    """Every five minutes is always allowed; a minute from about a hundred payments a month on."""
    assert poll_seconds(wanted, payments) == seconds


@given(st.integers(1, 86_400), st.integers(0, 1_000_000))
def test_a_months_polls_leave_reads_for_other_things(wanted: int, payments: int) -> None:
    """Whatever is wanted, and never more often than that."""
    seconds = poll_seconds(wanted, payments)

    assert seconds >= wanted
    assert MONTH_SECONDS / seconds <= 0.9 * max(READS_AT_LEAST, READS_PER_PAYMENT * payments)
