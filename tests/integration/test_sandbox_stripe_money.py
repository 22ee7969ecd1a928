"""How money moves in the simulated Stripe: charges, debits, holds, refunds, disputes, fees and payouts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from connector.sandbox.stripe.balance import fee_for
from connector.sandbox.stripe.calendar import plus_business_days
from connector.sandbox.stripe.methods import BECS, BECS_FAILURES, CARD, DECLINE_CODES
from tests.support.stripe_sandbox import Sandbox, running_sandbox

FRIDAY = "2026-03-06T10:00:00+11:00"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox on an ordinary Monday; afterwards every call must have been true to the API document."""
    with running_sandbox(tmp_path / "stripe.sqlite3") as running:
        yield running
        assert running.recorder.violations == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for tests that neither move the clock nor count objects."""
    with running_sandbox(tmp_path_factory.mktemp("stripe") / "stripe.sqlite3") as running:
        yield running
        assert running.recorder.violations == []


def event_types(sandbox: Sandbox) -> list[str]:
    """The types of all events, oldest first."""
    return [str(event.type) for event in sandbox.v1.events.list({"limit": 100}).auto_paging_iter()][::-1]


def failed_charge(refusal: stripe.CardError) -> str:
    """The id of the charge that a decline left behind."""
    assert refusal.error is not None
    return str(refusal.error.to_dict()["charge"])


def test_a_card_charge_takes_money_once(sandbox: Sandbox) -> None:
    """A success books the charge less its fee, and the intent cannot be confirmed or cancelled again."""
    customer, method = sandbox.member("pm_card_visa")

    intent = sandbox.charge(customer, method, 2900, metadata={"invoice_id": "inv_1"})

    assert (intent.status, intent.amount_received) == ("succeeded", 2900)
    movement = sandbox.v1.balance_transactions.list({"source": str(intent.latest_charge)}).data[0]
    assert (movement.type, movement.amount, movement.fee, movement.net) == ("charge", 2900, 81, 2819)
    assert event_types(sandbox)[-2:] == ["charge.succeeded", "payment_intent.succeeded"]
    for again in (sandbox.v1.payment_intents.confirm, sandbox.v1.payment_intents.cancel):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            again(intent.id)
        assert refusal.value.code == "payment_intent_unexpected_state"
    assert sandbox.totals()["charges"] == {"count": 1, "cents": 2900}


@pytest.mark.parametrize("code", sorted(set(DECLINE_CODES)))
def test_every_decline_code_can_be_played(shared: Sandbox, code: str) -> None:
    """The card attaches and then declines; the error carries the reason, the advice, the charge and the open intent."""
    customer, method = shared.member(f"pm_card_decline_{code}")

    with pytest.raises(stripe.CardError) as refusal:
        shared.charge(customer, method)

    error = refusal.value.error
    assert error is not None
    assert (error.decline_code, error.advice_code) == (code, DECLINE_CODES[code])
    assert error.payment_intent is not None
    intent = shared.v1.payment_intents.retrieve(error.payment_intent.id, {"expand": ["latest_charge"]})
    assert (intent.status, intent.payment_method) == ("requires_payment_method", None)
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.code == refusal.value.code
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert (intent.latest_charge.id, intent.latest_charge.status) == (failed_charge(refusal.value), "failed")


def test_a_card_that_declines_once_recovers_on_the_same_intent(sandbox: Sandbox) -> None:
    """The retry confirms the same intent again, naming the method, and succeeds."""
    customer, method = sandbox.member("pm_card_declineOnce_insufficient_funds")
    with pytest.raises(stripe.CardError) as refusal:
        sandbox.charge(customer, method)
    assert refusal.value.error is not None
    assert refusal.value.error.payment_intent is not None
    intent_id = refusal.value.error.payment_intent.id

    intent = sandbox.v1.payment_intents.confirm(intent_id, {"payment_method": method, "off_session": True})

    assert intent.status == "succeeded"
    assert intent.latest_charge != failed_charge(refusal.value)
    assert len(sandbox.v1.charges.list({"payment_intent": intent_id}).data) == 2


@pytest.mark.parametrize(("outcome", "status"), [("success", "succeeded"), ("fail", "requires_payment_method")])
def test_three_d_secure_asks_the_payer_on_session_only(sandbox: Sandbox, outcome: str, status: str) -> None:
    """Off session it is refused; with the payer present the hosted page decides."""
    customer, method = sandbox.member("pm_card_authenticationRequired")
    with pytest.raises(stripe.CardError) as refusal:
        sandbox.charge(customer, method)
    assert refusal.value.code == "authentication_required"
    intent = sandbox.v1.payment_intents.create(
        {
            "amount": 500,
            "currency": "aud",
            "customer": customer,
            "payment_method": method,
            "confirm": True,
            "return_url": "https://example.org/back",
        }
    )
    assert intent.status == "requires_action"
    assert intent.next_action is not None
    assert intent.next_action.redirect_to_url is not None
    assert intent.next_action.redirect_to_url.url is not None

    sandbox.http.post(intent.next_action.redirect_to_url.url, data={"outcome": outcome})

    assert sandbox.v1.payment_intents.retrieve(intent.id).status == status


def test_what_is_confirmed_must_be_what_was_agreed(sandbox: Sandbox) -> None:
    """A wrong amount, another customer's method, a type that is not allowed or a card descriptor is refused."""
    customer, method = sandbox.member("pm_card_visa")
    _, foreign = sandbox.member("pm_card_visa")
    intents = sandbox.v1.payment_intents
    intent = intents.create({"amount": 500, "currency": "aud", "customer": customer})
    bank_only = intents.create({"amount": 500, "currency": "aud", "allowed_payment_method_types": ["au_becs_debit"]})

    with pytest.raises(stripe.InvalidRequestError, match="amount_to_confirm"):
        intents.confirm(intent.id, {"payment_method": method, "amount_to_confirm": 501})
    with pytest.raises(stripe.InvalidRequestError, match="another Customer"):
        intents.confirm(intent.id, {"payment_method": foreign})
    with pytest.raises(stripe.InvalidRequestError, match="not allowed"):
        intents.confirm(bank_only.id, {"payment_method": "pm_card_visa"})
    with pytest.raises(stripe.InvalidRequestError, match="missing a payment method"):
        intents.confirm(intent.id)
    described = intents.create({"amount": 500, "currency": "aud", "statement_descriptor": "DENTAL"})
    with pytest.raises(stripe.InvalidRequestError, match="statement_descriptor"):
        intents.confirm(described.id, {"payment_method": "pm_card_visa"})

    assert bank_only.payment_method_types == ["au_becs_debit"]
    assert intents.update(intent.id, {"amount": 700}).amount == 700
    assert intents.cancel(intent.id, {"cancellation_reason": "abandoned"}).status == "canceled"
    assert sandbox.totals()["charges"]["count"] == 0


def test_a_hold_is_captured_once_and_in_part(sandbox: Sandbox) -> None:
    """Only what is captured is taken; the rest is released without a refund."""
    customer, method = sandbox.member("pm_card_visa")
    intent = sandbox.charge(customer, method, 5000, capture_method="manual")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 5000)
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.v1.payment_intents.capture(intent.id, {"amount_to_capture": 5001})

    captured = sandbox.v1.payment_intents.capture(intent.id, {"amount_to_capture": 3000})

    assert (captured.status, captured.amount_received) == ("succeeded", 3000)
    assert sandbox.v1.refunds.list().data == []
    assert sandbox.totals()["charges"] == {"count": 1, "cents": 3000}


def test_a_hold_that_nobody_captures_is_released(sandbox: Sandbox) -> None:
    """At `capture_before` the intent is cancelled by itself."""
    customer, method = sandbox.member("pm_card_visa")
    intent = sandbox.charge(customer, method, 5000, capture_method="manual", expand=["latest_charge"])

    sandbox.set_clock("2026-03-07T10:00:00+11:00")

    after = sandbox.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
    assert (after.status, after.cancellation_reason) == ("canceled", "automatic")
    assert isinstance(after.latest_charge, stripe.Charge)
    assert after.latest_charge.payment_method_details is not None
    assert after.latest_charge.payment_method_details.card is not None
    assert after.canceled_at == after.latest_charge.payment_method_details.card.capture_before


def test_a_bank_debit_of_friday_is_known_on_tuesday(sandbox: Sandbox) -> None:
    """Two business days: the weekend does not count, and a debit under way can be neither cancelled nor repeated."""
    sandbox.set_clock(FRIDAY)
    customer, method = sandbox.member("pm_becs_success", bank=True)
    intent = sandbox.charge(customer, method, 10_000)
    assert intent.status == "processing"
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.v1.payment_intents.cancel(intent.id)

    sandbox.set_clock("2026-03-10T08:59:59+11:00")
    before = sandbox.v1.payment_intents.retrieve(intent.id).status
    sandbox.set_clock("2026-03-11T12:00:00+11:00")

    after = sandbox.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge.balance_transaction"]})
    assert (before, after.status) == ("processing", "succeeded")
    assert isinstance(after.latest_charge, stripe.Charge)
    assert isinstance(after.latest_charge.balance_transaction, stripe.BalanceTransaction)
    movement = after.latest_charge.balance_transaction
    assert (movement.type, movement.fee) == ("payment", 130)
    event = sandbox.v1.events.list({"type": "payment_intent.succeeded"}).data[0]
    assert event.created == 1773093600, "stamped Tuesday 09:00 in Sydney, when it was due"


@pytest.mark.parametrize(("code", "stays_active"), BECS_FAILURES.items())
def test_every_bank_failure_can_be_played(sandbox: Sandbox, code: str, stays_active: bool) -> None:
    """The debit comes back, what was booked is booked back, and permanent failures end the mandate."""
    customer, method = sandbox.member(f"pm_becs_fail_{code}", bank=True)
    intent = sandbox.charge(customer, method, 10_000)

    sandbox.set_clock("2026-03-04T12:00:00+11:00")

    after = sandbox.v1.payment_intents.retrieve(intent.id)
    assert after.status == "requires_payment_method"
    assert after.last_payment_error is not None
    assert after.last_payment_error.code == code
    record = sandbox.v1.charges.retrieve(str(intent.latest_charge))
    assert (record.status, record.failure_code) == ("failed", code)
    movements = sandbox.v1.balance_transactions.list({"source": record.id}).data
    assert [movement.type for movement in movements] == ["payment_failure_refund", "payment"]
    assert sum(movement.net for movement in movements) == 0
    assert ("mandate.updated" in event_types(sandbox)) is not stays_active
    if not stays_active:
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            sandbox.v1.payment_intents.confirm(intent.id, {"payment_method": method, "off_session": True})
        assert refusal.value.code == "payment_intent_mandate_invalid"


def test_refunds_never_exceed_the_charge(sandbox: Sandbox) -> None:
    """Partial refunds add up to the charge and no further."""
    customer, method = sandbox.member("pm_card_visa")
    intent = sandbox.charge(customer, method, 2900)
    first = sandbox.v1.refunds.create({"payment_intent": intent.id, "amount": 900, "reason": "requested_by_customer"})
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        sandbox.v1.refunds.create({"payment_intent": intent.id, "amount": 2001})
    second = sandbox.v1.refunds.create({"charge": str(intent.latest_charge), "metadata": {"refund_id": "r2"}})

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sandbox.v1.refunds.create({"payment_intent": intent.id})

    assert (first.status, second.amount) == ("succeeded", 2000)
    assert refusal.value.code == "charge_already_refunded"
    assert sandbox.v1.charges.retrieve(str(intent.latest_charge)).refunded is True
    assert [item.id for item in sandbox.v1.refunds.list({"charge": str(intent.latest_charge)}).data] == [
        second.id,
        first.id,
    ]
    assert sandbox.totals()["refunded"] == {"count": 2, "cents": 2900}
    assert "refund.created" in event_types(sandbox)


def test_a_card_refund_can_fail_later(sandbox: Sandbox) -> None:
    """The money comes back as `refund_failure` and the charge counts as not refunded."""
    customer, method = sandbox.member("pm_card_refundFail")
    intent = sandbox.charge(customer, method, 2900)
    refund = sandbox.v1.refunds.create({"payment_intent": intent.id})

    sandbox.set_clock("2026-03-03T10:00:00+11:00")

    after = sandbox.v1.refunds.retrieve(refund.id, {"expand": ["failure_balance_transaction"]})
    assert after.status == "failed"
    assert isinstance(after.failure_balance_transaction, stripe.BalanceTransaction)
    assert after.failure_balance_transaction.type == "refund_failure"
    assert sandbox.v1.charges.retrieve(str(intent.latest_charge)).amount_refunded == 0
    assert event_types(sandbox)[-1] == "refund.failed"


@pytest.mark.parametrize(
    ("method_name", "status", "paid_back"),
    [("pm_becs_success", "succeeded", 2900), ("pm_becs_fail_refer_to_customer", "canceled", 0)],
)
def test_a_refund_of_a_debit_under_way_waits(sandbox: Sandbox, method_name: str, status: str, paid_back: int) -> None:
    """It is carried out when the debit succeeds and cancelled when it fails."""
    customer, method = sandbox.member(method_name, bank=True)
    intent = sandbox.charge(customer, method, 2900)
    refund = sandbox.v1.refunds.create({"payment_intent": intent.id})
    assert (refund.status, refund.balance_transaction) == ("pending", None)

    sandbox.set_clock("2026-03-12T12:00:00+11:00")

    assert sandbox.v1.refunds.retrieve(refund.id).status == status
    assert sandbox.v1.charges.retrieve(str(intent.latest_charge)).amount_refunded == paid_back


def test_a_bank_dispute_is_lost_when_it_arrives(sandbox: Sandbox) -> None:
    """Created, withdrawn and closed come together, and the debit cannot be refunded on top."""
    customer, method = sandbox.member("pm_becs_dispute", bank=True)
    intent = sandbox.charge(customer, method, 2900)

    sandbox.set_clock("2026-03-04T12:00:00+11:00")

    dispute = sandbox.v1.disputes.list({"payment_intent": intent.id}).data[0]
    assert (dispute.status, dispute.balance_transactions[0].net) == ("lost", -5400)
    types = event_types(sandbox)
    assert types[-3:] == ["charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed"]
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sandbox.v1.refunds.create({"payment_intent": intent.id})
    assert refusal.value.code == "charge_disputed"


def test_a_card_dispute_can_be_raised_and_given_up(sandbox: Sandbox) -> None:
    """The amount and 25.00 leave at once; once only per charge."""
    customer, method = sandbox.member("pm_card_visa")
    intent = sandbox.charge(customer, method, 2900)

    raised = sandbox.http.post("/_sandbox/disputes", json={"payment_intent": intent.id, "reason": "duplicate"}).json()
    again = sandbox.http.post("/_sandbox/disputes", json={"charge": intent.latest_charge})

    dispute = sandbox.v1.disputes.retrieve(raised["id"], {"expand": ["charge"]})
    assert (dispute.status, dispute.reason, dispute.balance_transactions[0].fee) == (
        "needs_response",
        "duplicate",
        2500,
    )
    assert again.status_code == 400
    assert sandbox.v1.disputes.close(dispute.id).status == "lost"
    assert sandbox.totals()["disputed"] == {"count": 1, "cents": 2900}


def test_a_payout_is_the_sum_of_its_items(sandbox: Sandbox) -> None:
    """Everything available two business days later is paid out, item by item, and the books balance."""
    customer, method = sandbox.member("pm_card_visa")
    intents = [sandbox.charge(customer, method, cents) for cents in (2900, 4500, 10_001)]
    sandbox.v1.refunds.create({"payment_intent": intents[0].id, "amount": 400})
    assert sandbox.v1.balance.retrieve().available[0].amount == -400
    sandbox.set_clock("2026-03-04T08:00:00+11:00")
    early = sandbox.v1.payouts.list().data[0]
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sandbox.v1.balance_transactions.list({"payout": early.id})
    assert refusal.value.code == "payout_reconciliation_not_ready"

    sandbox.set_clock("2026-03-04T18:00:00+11:00")

    payout = sandbox.v1.payouts.list({"status": "paid", "arrival_date": {"gte": early.arrival_date}}).data[0]
    asked: Any = {"payout": payout.id, "expand": ["data.source"], "limit": 100}
    items = sandbox.v1.balance_transactions.list(asked).data
    assert payout.reconciliation_status == "completed"
    assert sorted(item.type for item in items) == ["charge", "charge", "charge", "payout", "refund"]
    assert sum(item.net for item in items if item.type != "payout") == payout.amount
    assert payout.amount == 17_401 - 400 - fee_for(2900, CARD) - fee_for(4500, CARD) - fee_for(10_001, CARD)
    assert sandbox.totals()["balance"] == {"cents": 0}
    assert event_types(sandbox)[-2:] == ["payout.paid", "payout.reconciliation_completed"]


def test_a_debt_is_carried_to_the_next_payout(sandbox: Sandbox) -> None:
    """A dispute after the payout makes the balance negative; the next payout is smaller by it."""
    customer, method = sandbox.member("pm_card_visa")
    intent = sandbox.charge(customer, method, 2900)
    sandbox.set_clock("2026-03-04T18:00:00+11:00")
    sandbox.http.post("/_sandbox/disputes", json={"payment_intent": intent.id})
    sandbox.set_clock("2026-03-05T18:00:00+11:00")
    assert len(sandbox.v1.payouts.list().data) == 1
    sandbox.charge(customer, method, 20_000)

    sandbox.set_clock("2026-03-10T18:00:00+11:00")

    assert [payout.amount for payout in sandbox.v1.payouts.list().data] == [20_000 - 380 - 5400, 2819]


def test_the_judge_sees_an_invoice_that_was_charged_twice(sandbox: Sandbox) -> None:
    """Two successful charges with the same invoice are named with their count."""
    customer, method = sandbox.member("pm_card_visa")
    for invoice in ("inv_1", "inv_2", "inv_1"):
        sandbox.charge(customer, method, 100, metadata={"invoice_id": invoice})

    assert sandbox.totals()["duplicates"] == {"inv_1": 2}


@given(st.integers(min_value=50, max_value=99_999_999))
def test_fees_follow_the_price_list_to_the_cent(cents: int) -> None:
    """Cards 1.75 % and 30 cents, BECS 1 % and 30 cents but at most 3.50, rounded half up."""
    assert fee_for(cents, CARD) == (cents * 175 + 5000) // 10_000 + 30
    assert fee_for(cents, BECS) == min((cents + 50) // 100 + 30, 350)


@given(st.dates(min_value=date(2020, 1, 1), max_value=date(2060, 1, 1)), st.integers(min_value=0, max_value=12))
def test_business_days_never_fall_on_a_weekend(day: date, count: int) -> None:
    """The result is a weekday, and exactly `count` weekdays lie after the start."""
    result = plus_business_days(day, count)

    assert result.weekday() < 5
    weekdays = sum(date.fromordinal(n).weekday() < 5 for n in range(day.toordinal() + 1, result.toordinal() + 1))
    assert weekdays == (count or (day.weekday() >= 5))
