"""How Stripe's objects are read, whatever stands in them: sums hold, and what is unknown is not guessed."""

from __future__ import annotations

from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.processor import ChargeStatus, ReturnState
from connector.billing.stripe import mapping, money_mapping
from connector.errors import UnexpectedResponse

CENTS = st.integers(min_value=-10_000_000, max_value=10_000_000)
FEES = st.lists(st.tuples(st.sampled_from(["stripe_fee", "application_fee", "tax"]), CENTS), max_size=5)


def line(amount: int, fees: list[tuple[str, int]], created: int = 1) -> dict[str, Any]:
    """A balance line with these fee details."""
    return {
        "id": "txn_1",
        "object": "balance_transaction",
        "type": "charge",
        "amount": amount,
        "currency": "aud",
        "created": created,
        "fee": sum(cents for _, cents in fees),
        "fee_details": [{"type": kind, "amount": cents, "currency": "aud"} for kind, cents in fees],
        "source": "ch_1",
    }


def dispute(status: str, lines: list[tuple[int, int]]) -> stripe.Dispute:
    """A dispute over 2990 cents with these amounts and fees of its balance lines."""
    values = {
        "id": "dp_1",
        "object": "dispute",
        "amount": 2990,
        "currency": "aud",
        "created": 1,
        "status": status,
        "charge": "ch_1",
        "payment_intent": None,
        "balance_transactions": [line(amount, [("stripe_fee", fee)], at) for at, (amount, fee) in enumerate(lines)],
    }
    return stripe.Dispute.construct_from(values, "")


@given(CENTS, FEES)
def test_no_cent_of_a_fee_is_lost_or_counted_twice(amount: int, fees: list[tuple[str, int]]) -> None:
    """The platform's part and Stripe's add up to the fee of the line; taxes are Stripe's."""
    found = money_mapping.movement(line(amount, fees))

    platform = sum(cents for kind, cents in fees if kind == "application_fee")
    assert found.application_fee.cents == platform
    assert (found.fee + found.application_fee).cents == sum(cents for _, cents in fees)
    assert found.gross.cents == amount


@pytest.mark.parametrize(
    ("status", "lines", "state", "final", "back"),
    [
        ("warning_needs_response", [], ReturnState.WARNING, False, None),
        ("prevented", [], ReturnState.WARNING, False, None),
        ("needs_response", [(-2990, 2500)], ReturnState.WITHDRAWN, True, None),
        ("under_review", [(-2990, 2500)], ReturnState.WITHDRAWN, True, None),
        ("lost", [(-2990, 2500)], ReturnState.LOST, True, None),
        ("won", [(-2990, 2500), (2990, -2500)], ReturnState.WON, True, (2990, 2500, 1)),
        ("won", [(-2990, 2500), (2990, 0)], ReturnState.WON, True, (2990, 0, 1)),
        ("appeal_under_review", [(-2990, 0), (2990, 0), (-2990, 0)], ReturnState.WITHDRAWN, True, None),
        ("won", [(-2990, 2500), (1000, 0)], ReturnState.WON, True, None),
    ],
)
def test_a_dispute_is_undone_only_when_all_of_it_is_back(
    status: str, lines: list[tuple[int, int]], state: ReturnState, final: bool, back: tuple[int, int, int] | None
) -> None:
    """What was taken again by an appeal, or came back in part, is still gone."""
    report = money_mapping.dispute(dispute(status, lines))

    found = report.back and (report.back.amount.cents, report.back.fee.cents, int(report.back.at.timestamp()))
    assert (report.state, report.final, found, report.undone) == (state, final, back, back is not None)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("requires_payment_method", ChargeStatus.OPEN),
        ("requires_confirmation", ChargeStatus.OPEN),
        ("requires_action", ChargeStatus.NEEDS_PAYER),
        ("processing", ChargeStatus.PROCESSING),
        ("canceled", ChargeStatus.CANCELLED),
    ],
)
def test_an_earlier_error_is_told_only_of_a_payment_that_is_open_or_ended(status: str, expected: ChargeStatus) -> None:
    """A debit under way has not failed, whatever was tried before it; a page of Stripe's own script is none of ours."""
    values = {
        "id": "pi_1",
        "object": "payment_intent",
        "status": status,
        "latest_charge": "ch_2",
        "next_action": {"type": "use_stripe_sdk"},
        "last_payment_error": {"type": "card_error", "code": "card_declined", "charge": "ch_1"},
    }

    report = mapping.charge_report(stripe.PaymentIntent.construct_from(values, ""))

    told = (
        ("card_declined", "ch_1")
        if status in ("requires_payment_method", "requires_confirmation", "canceled")
        else None
    )
    assert report.status is expected
    assert (report.failure_code, report.failed_charge_id) == (told or (None, None))
    assert report.payer_url is None


def test_words_that_stripe_has_not_told_us_about_are_not_guessed() -> None:
    """A new status may mean anything about the money."""
    refund = {"id": "re_1", "object": "refund", "status": "dreaming", "amount": 1, "currency": "aud", "created": 1}
    refund |= dict.fromkeys(("charge", "payment_intent", "balance_transaction", "failure_balance_transaction"))

    with pytest.raises(UnexpectedResponse, match="dreaming"):
        money_mapping.refund(stripe.Refund.construct_from(refund, ""))
    with pytest.raises(UnexpectedResponse, match="dreaming"):
        money_mapping.dispute(dispute("dreaming", []))
