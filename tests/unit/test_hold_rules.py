"""What becomes of a hold: reports in any order never charge twice and never revive what has ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.agreements.hold_rules import after_report, charge_id_of, expires_in
from connector.billing.agreements.payment_requests import HoldStatus as Hold
from connector.billing.processor import ChargeReport, ChargeStatus, Settlement
from tests.support.requests import aud

NOW = datetime(2026, 9, 1, tzinfo=UTC)
ENDS = NOW + timedelta(days=7)
TAKEN = Settlement("ch_1", aud(100), aud(3), NOW)


def report(status: ChargeStatus, failure: str | None = None) -> ChargeReport:
    return ChargeReport("pi_1", status, failure, settlement=TAKEN if status is ChargeStatus.SUCCEEDED else None)


@pytest.mark.parametrize(
    ("before", "status", "failure", "late", "after"),
    [
        (Hold.AUTHORISING, ChargeStatus.AUTHORISED, None, False, Hold.AUTHORISED),
        (Hold.FAILED, ChargeStatus.AUTHORISED, None, False, Hold.AUTHORISED),
        (Hold.RELEASING, ChargeStatus.AUTHORISED, None, False, Hold.RELEASING),
        (Hold.CAPTURING, ChargeStatus.AUTHORISED, None, True, Hold.CAPTURING),
        (Hold.AUTHORISING, ChargeStatus.NEEDS_PAYER, None, False, Hold.AUTHORISING),
        (Hold.AUTHORISING, ChargeStatus.OPEN, "generic_decline", False, Hold.FAILED),
        # The object was made and is about to be confirmed: its creation is news too.
        (Hold.AUTHORISING, ChargeStatus.OPEN, None, False, Hold.AUTHORISING),
        (Hold.AUTHORISED, ChargeStatus.OPEN, "generic_decline", False, Hold.AUTHORISED),
        (Hold.AUTHORISED, ChargeStatus.CANCELLED, None, True, Hold.EXPIRED),
        (Hold.AUTHORISED, ChargeStatus.CANCELLED, None, False, Hold.RELEASED),
        (Hold.CAPTURING, ChargeStatus.CANCELLED, None, True, Hold.EXPIRED),
        (Hold.RELEASING, ChargeStatus.CANCELLED, None, True, Hold.RELEASED),
        (Hold.AUTHORISING, ChargeStatus.CANCELLED, None, False, Hold.FAILED),
        (Hold.RELEASING, ChargeStatus.SUCCEEDED, None, False, Hold.CAPTURED),
    ],
)
def test_a_report_moves_a_hold(
    before: Hold, status: ChargeStatus, failure: str | None, late: bool, after: Hold
) -> None:
    """Late: after the instant at which the bank lets the money go."""
    now = ENDS if late else NOW

    assert after_report(before, report(status, failure), ENDS, now) is after


@given(
    ended=st.sampled_from([Hold.CAPTURED, Hold.RELEASED, Hold.EXPIRED]),
    reports=st.lists(st.tuples(st.sampled_from(ChargeStatus), st.sampled_from([None, "expired_card"]))),
)
def test_what_has_ended_stays_so_unless_money_was_taken(
    ended: Hold, reports: list[tuple[ChargeStatus, str | None]]
) -> None:
    """Money that Stripe took is always seen; after it nothing changes any more."""
    status = ended
    for at_stripe, failure in reports:
        status = after_report(status, report(at_stripe, failure), ENDS, NOW)

    money = ended is Hold.CAPTURED or any(at_stripe is ChargeStatus.SUCCEEDED for at_stripe, _ in reports)
    assert status is (Hold.CAPTURED if money else ended)


def test_money_without_its_figures_is_looked_at_again() -> None:
    """Without the fee no journal entry can be made."""
    bare = ChargeReport("pi_1", ChargeStatus.SUCCEEDED)

    assert after_report(Hold.CAPTURING, bare, ENDS, NOW) is Hold.CAPTURING


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (timedelta(days=7), "7 d 0 h"),
        (timedelta(hours=23, minutes=5), "23 h 5 min"),
        (timedelta(minutes=5, seconds=59), "5 min"),
        (timedelta(), "0 min"),
        (timedelta(seconds=-1), "ended"),
    ],
)
def test_the_time_that_is_left_is_told_in_two_units(left: timedelta, text: str) -> None:
    """Enough to decide by."""
    assert expires_in(NOW + left, NOW) == text


def test_the_charge_of_a_hold_has_a_known_id_from_the_beginning() -> None:
    """Stripe is told it when the hold is made, and the mark in the practice system is made of it."""
    assert charge_id_of("hold_4Q7Z") == "ch_4Q7Z"
