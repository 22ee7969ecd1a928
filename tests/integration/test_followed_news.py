"""News of payment methods and payouts: followed at once, and nothing is charged with what has ended."""

from __future__ import annotations

import pytest

from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import ChargeAttempt, Payout
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import PaymentMethod
from connector.ledger.accounts import Account
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.collection.collect_charge import METHOD_GONE
from connector.use_cases.collection.read_news import read_news
from tests.support.practice import Practice


@pytest.mark.parametrize("ended", ["mandate", "method"])
def test_a_method_that_ended_at_stripe_is_not_charged_any_more(practice: Practice, ended: str) -> None:
    """What was planned with it fails here, nothing is sent, and the invoice is overdue."""
    practice.enrol("pm_becs_success" if ended == "mandate" else "pm_card_visa")
    (method,) = practice.all(PaymentMethod)
    if ended == "mandate":
        practice.stripe.post("mandates/revoked", mandate=method.mandate_id)
    else:
        practice.stripe_do(f"payment_methods/{method.processor_id}/detach")

    practice.work()

    assert [row.usable for row in practice.all(PaymentMethod)] == [False]
    assert practice.stripe_listed("payment_intents") == []
    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.OVERDUE]


def test_a_method_that_ends_between_planning_and_sending_fails_here(practice: Practice) -> None:
    """The attempt counts no try at the network."""
    practice.enrol("pm_becs_success")
    practice.stripe.post("down", down=True)
    practice.charge()
    practice.stripe.post("down", down=False)
    (method,) = practice.all(PaymentMethod)
    practice.stripe.post("mandates/revoked", mandate=method.mandate_id)
    practice.advance(hours=1)

    practice.work()

    assert [row.failure_code for row in practice.all(ChargeAttempt)] == [METHOD_GONE]
    assert practice.stripe_listed("payment_intents") == []


def test_a_renewed_card_is_followed_and_pays_what_the_old_one_could_not(practice: Practice) -> None:
    """The new digits are kept, and what was refused for the old details is tried once more."""
    practice.enrol("pm_card_declineOnce_expired_card", adopted=True)
    practice.work()
    (method,) = practice.all(PaymentMethod)
    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.OVERDUE]

    practice.advance(hours=2)
    practice.stripe.post(
        "payment_methods/renewed", payment_method=method.processor_id, last4="1881", exp_month=11, exp_year=2031
    )
    practice.work()
    practice.work()

    (renewed,) = practice.all(PaymentMethod)
    assert (renewed.last4, renewed.expiry_month, renewed.expiry_year) == ("1881", 11, 2031)
    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.COMPLETED]
    practice.settle()
    practice.assert_all_written()


def test_a_payout_that_the_bank_sent_back_is_at_stripe_again(practice: Practice) -> None:
    """The book moves the money back, once; the payout that follows brings it."""
    practice.enrol(frequency=Frequency.ANNUALLY)
    for _ in range(8):
        practice.work()
        practice.advance(days=1)
    payout = practice.all(Payout)[0]
    before = verify_ledger(practice.context).balances[Account.BANK, "aud"]

    practice.stripe.post("payouts/failed", payout=payout.processor_id)
    for _ in range(2):
        assert read_news(practice.context).problems == []

    assert practice.all(Payout)[0].failed_at is not None
    after = verify_ledger(practice.context)
    assert (after.faults, after.balances[Account.BANK, "aud"]) == ([], before - payout.amount_cents)
