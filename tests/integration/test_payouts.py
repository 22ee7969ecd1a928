"""Payouts: what Stripe transfers is the sum of its lines, and each line is one of ours."""

from __future__ import annotations

from collections import Counter
from typing import Any

from connector.billing.collecting.charges import ChargeAttempt, Payment, Payout, ReturnedPayment
from connector.ledger.accounts import Account
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.collection.read_news import read_news
from tests.support.practice import KEY, Practice

DAYS = 14


def test_each_line_of_a_payout_is_one_of_our_records_and_the_rest_is_our_balance_at_stripe(practice: Practice) -> None:
    """Card and bank payments, a debit that came back, a part refunded and a dispute: nothing stays unexplained."""
    for method in ("pm_card_visa", "pm_card_visa", "pm_becs_success", "pm_becs_fail_insufficient_funds"):
        practice.enrol(method)
    practice.charge()
    first, second = practice.stripe_charges()[:2]
    practice.advance(minutes=1)
    practice.stripe_do("refunds", charge=first["id"], amount="1000")
    practice.stripe.post("disputes", charge=second["id"])
    for _ in range(DAYS):
        practice.advance(days=1)
        assert read_news(practice.context).problems == []
        practice.charge()

    paid = practice.stripe_listed("payouts")
    assert paid, "Something was paid out by then."
    assert {row.processor_id for row in practice.all(Payout)} == {payout["id"] for payout in paid}
    known = {row.processor_charge_id for row in practice.all(Payment)}
    known |= {row.processor_id for row in practice.all(ReturnedPayment)}
    # A debit that came back stands in the balance twice, once as it went out and once as it returned.
    known |= {row.failed_charge_id for row in practice.all(ChargeAttempt) if row.failed_charge_id}
    kinds: Counter[str] = Counter()
    for payout in paid:
        lines = [line for line in lines_of(practice, payout["id"]) if line["type"] != "payout"]
        assert sum(line["net"] for line in lines) == payout["amount"]
        assert {line["source"] for line in lines} <= known
        kinds.update(line["type"] for line in lines)
    assert {"charge", "payment", "payment_failure_refund", "refund", "adjustment"} <= set(kinds)
    book = verify_ledger(practice.context)
    assert book.faults == []
    assert book.balances[Account.PROCESSOR_CLEARING, "aud"] == balance(practice)


def lines_of(practice: Practice, payout_id: str) -> list[dict[str, Any]]:
    page = practice.stripe.get(f"/v1/balance_transactions?payout={payout_id}&limit=100", Authorization=f"Bearer {KEY}")
    assert not page["has_more"]
    lines: list[dict[str, Any]] = page["data"]
    return lines


def balance(practice: Practice) -> int:
    """Cents that Stripe holds for good: without what it has credited for debits whose result is still open."""
    held = practice.stripe.get("/v1/balance", Authorization=f"Bearer {KEY}")
    under_way = {charge["id"] for charge in practice.stripe_charges("pending")}
    credited: list[int] = [
        line["net"] for line in practice.stripe_listed("balance_transactions") if line["source"] in under_way
    ]
    there: int = sum(part["amount"] for kind in ("available", "pending") for part in held[kind])
    return there - sum(credited)
