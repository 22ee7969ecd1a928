"""What the simulated Stripe lets happen on demand, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe

from tests.support.stripe_sandbox import Sandbox, running_sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for all; afterwards every call must have been true to the API document."""
    with running_sandbox(tmp_path_factory.mktemp("stripe") / "stripe.sqlite3") as running:
        yield running
        assert running.recorder.violations == []


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("disputes", {"payment_intent": "pi_nobody"}),
        ("disputes/won", {"dispute": "dp_nobody"}),
        ("disputes/escalated", {}),
        ("mandates/revoked", {"mandate": "mandate_nobody"}),
        ("payment_methods/renewed", {"payment_method": "pm_nobody"}),
        ("payouts/failed", {"payout": "po_nobody"}),
        ("account", {"charges_enabled": "no"}),
        ("account", {"capabilities": {"teleport": "active"}}),
        ("account", {"capabilities": {"card_payments": "perhaps"}}),
    ],
)
def test_what_cannot_happen_is_refused(sandbox: Sandbox, what: str, fields: dict[str, object]) -> None:
    """In Stripe's own form, and nothing has changed."""
    answer = sandbox.http.post(f"/_sandbox/{what}", json=fields)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert sandbox.v1.accounts.retrieve_current().charges_enabled is True


def test_a_dispute_is_won_or_escalated_once(sandbox: Sandbox) -> None:
    """What is decided stays so."""
    customer, method = sandbox.member("pm_card_visa")
    intent = sandbox.charge(customer, method)
    inquiry = sandbox.http.post("/_sandbox/disputes", json={"payment_intent": intent.id, "inquiry": True}).json()["id"]
    steps = ("won", "escalated", "escalated", "won", "won")

    statuses = [
        sandbox.http.post(f"/_sandbox/disputes/{step}", json={"dispute": inquiry}).status_code for step in steps
    ]

    assert statuses == [400, 200, 400, 200, 400]
    dispute = sandbox.v1.disputes.retrieve(inquiry)
    assert (dispute.status, sum(line.net for line in dispute.balance_transactions)) == ("won", 0)


def test_a_bank_account_is_not_renewed(sandbox: Sandbox) -> None:
    """Only card networks tell of new numbers."""
    _, method = sandbox.member("pm_becs_success", bank=True)

    answer = sandbox.http.post("/_sandbox/payment_methods/renewed", json={"payment_method": method})

    assert answer.status_code == 400


def test_a_payer_without_a_return_address_gets_no_page(sandbox: Sandbox) -> None:
    """Stripe then counts on its own script in the browser."""
    customer, method = sandbox.member("pm_card_authenticationRequired")

    intent = sandbox.v1.payment_intents.create(
        {"amount": 500, "currency": "aud", "customer": customer, "payment_method": method, "confirm": True}
    )

    assert intent.next_action is not None
    assert intent.next_action.type == "use_stripe_sdk"
    assert sandbox.http.get(f"/c/authenticate/{intent.id}").status_code == 404


def test_a_payout_on_its_way_can_fail_once(sandbox: Sandbox) -> None:
    """It never arrives, cannot be itemised, and is not counted as paid out."""
    customer, method = sandbox.member("pm_card_visa")
    sandbox.charge(customer, method, 20_000)
    sandbox.set_clock("2026-03-04T08:00:00+11:00")
    payout = sandbox.v1.payouts.list().data[0]
    answers = [sandbox.http.post("/_sandbox/payouts/failed", json={"payout": payout.id}) for _ in range(2)]

    sandbox.set_clock("2026-03-04T20:00:00+11:00")

    after = sandbox.v1.payouts.retrieve(payout.id, {"expand": ["failure_balance_transaction"]})
    assert [answer.status_code for answer in answers] == [200, 400]
    assert (after.status, after.failure_code) == ("failed", "account_closed")
    assert isinstance(after.failure_balance_transaction, stripe.BalanceTransaction)
    assert after.failure_balance_transaction.amount == payout.amount
    assert sandbox.totals()["paid_out"]["count"] == 0
