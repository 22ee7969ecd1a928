"""Money that goes back, and money that comes back after that: refunds, disputes and payouts through the port."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from connector.billing.collecting.charges import ReturnKind
from connector.billing.processor import EventKind, MoneyBack, ReturnState
from connector.errors import Rejected
from connector.money import Money
from connector.sandbox.stripe.balance import DISPUTE_FEE
from tests.support.stripe_account import PRICE, WatchedStripe, watched_stripe

PART = Money(1_000, "aud")
NOTHING = Money.zero("aud")
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedStripe]:
    with watched_stripe(tmp_path_factory.mktemp("stripe")) as running:
        yield running


def test_a_charge_is_refunded_by_its_own_id_or_its_payment_objects(stripe: WatchedStripe) -> None:
    """Both name the same money; together they give back no more than all of it."""
    charge = stripe.charge("pm_card_visa")
    assert charge.settlement is not None

    first = stripe.processor.refund_charge(stripe.key(), charge.processor_id, PART, "ref_1")
    second = stripe.processor.refund_charge(stripe.key(), charge.settlement.processor_charge_id, PRICE - PART)

    assert [(report.amount, report.refund_id) for report in (first, second)] == [(PART, "ref_1"), (PRICE - PART, None)]
    assert {report.processor_charge_id for report in (first, second)} == {charge.settlement.processor_charge_id}
    assert (first.state, first.final, first.undone, first.fee) == (ReturnState.SUCCEEDED, True, False, NOTHING)
    assert stripe.processor.read_return(ReturnKind.REFUND, first.processor_id) == first
    with pytest.raises(Rejected, match="charge_already_refunded"):
        stripe.processor.refund_charge(stripe.key(), charge.processor_id, PART)


def test_a_refund_asked_for_twice_with_one_key_is_given_once(stripe: WatchedStripe) -> None:
    """Also when the first answer was lost on its way."""
    charge = stripe.charge("pm_card_visa")
    stripe.fault(kind="reset_after", method="POST", path="/v1/refunds")

    reports = [stripe.processor.refund_charge("refund:once", charge.processor_id, PART, "ref_2") for _ in range(2)]

    assert reports[0] == reports[1]
    assert len(stripe.ask(f"refunds?payment_intent={charge.processor_id}")["data"]) == 1


def test_a_bank_refund_takes_days(stripe: WatchedStripe) -> None:
    """It is pending until the payer's bank has it."""
    charge = stripe.charge("pm_becs_success")
    stripe.wait(5 * DAY)
    asked = stripe.processor.refund_charge(stripe.key(), charge.processor_id, PRICE)

    stripe.wait(6 * DAY)

    later = stripe.processor.read_return(ReturnKind.REFUND, asked.processor_id)
    assert [(asked.state, asked.final), (later.state, later.final)] == [
        (ReturnState.PENDING, False),
        (ReturnState.SUCCEEDED, True),
    ]


def test_a_refund_of_a_debit_that_fails_is_cancelled(stripe: WatchedStripe) -> None:
    """It waited for money that never came, so nothing went back and nothing is undone."""
    charge = stripe.charge("pm_becs_fail_refer_to_customer")
    asked = stripe.processor.refund_charge(stripe.key(), charge.processor_id, PRICE)

    stripe.wait(5 * DAY)

    later = stripe.processor.read_return(ReturnKind.REFUND, asked.processor_id)
    assert (later.state, later.final, later.undone) == (ReturnState.CANCELLED, False, False)


@pytest.mark.parametrize(("name", "days"), [("pm_card_refundFail", 1), ("pm_card_refundFailLate", 30)])
def test_a_refund_that_fails_later_is_undone(stripe: WatchedStripe, name: str, days: int) -> None:
    """The report shows when and how much came back, and the news names the refund."""
    charge = stripe.charge(name)
    asked = stripe.processor.refund_charge(stripe.key(), charge.processor_id, PART)
    fails = stripe.now + days * DAY
    stripe.move_to(fails - timedelta(seconds=1))
    assert stripe.processor.read_return(ReturnKind.REFUND, asked.processor_id) == asked

    stripe.move_to(fails)

    report = stripe.processor.read_return(ReturnKind.REFUND, asked.processor_id)
    assert (report.state, report.final, report.failure_code) == (ReturnState.FAILED, False, "lost_or_stolen_card")
    assert report.back == MoneyBack(PART, NOTHING, fails)
    events = stripe.processor.events_since(fails)
    found = [(event.kind, event.object_id) for event in events if event.type == "refund.failed"]
    assert found == [(EventKind.REFUND, asked.processor_id)]


def test_a_dispute_that_is_won_is_undone_with_its_fee(stripe: WatchedStripe) -> None:
    """It stays final, because the money did go; what came back is told beside it."""
    charge = stripe.charge("pm_card_visa")
    dispute = stripe.happen("disputes", payment_intent=charge.processor_id)["id"]
    taken = stripe.processor.read_return(ReturnKind.DISPUTE, dispute)
    stripe.wait(DAY)

    stripe.happen("disputes/won", dispute=dispute)

    won = stripe.processor.read_return(ReturnKind.DISPUTE, dispute)
    fee = Money(DISPUTE_FEE, "aud")
    assert (taken.state, taken.final, taken.undone) == (ReturnState.WITHDRAWN, True, False)
    assert (won.state, won.final, won.amount, won.fee) == (ReturnState.WON, True, PRICE, fee)
    assert won.at == taken.at
    assert won.back == MoneyBack(PRICE, fee, stripe.now)
    types = {event.type for event in stripe.processor.events_since(stripe.now) if event.object_id == dispute}
    assert types == {"charge.dispute.funds_reinstated", "charge.dispute.closed"}
    assert stripe.processor.refund_charge(stripe.key(), charge.processor_id, PART).final, "it is ours to give again"


def test_a_disputed_charge_is_not_refunded_on_top(stripe: WatchedStripe) -> None:
    """The payer would get the money twice; a late return of a debit is lost from the first."""
    charge = stripe.charge("pm_becs_dispute")
    start = stripe.now
    stripe.wait(5 * DAY)
    (dispute,) = [found for kind, found in stripe.processor.returns_since(start) if kind is ReturnKind.DISPUTE]

    report = stripe.processor.read_return(ReturnKind.DISPUTE, dispute)

    assert (report.state, report.final, report.undone) == (ReturnState.LOST, True, False)
    assert report.payment_object_id == charge.processor_id
    with pytest.raises(Rejected, match="charge_disputed"):
        stripe.processor.refund_charge(stripe.key(), charge.processor_id, PRICE)


def test_an_inquiry_moves_no_money_until_it_becomes_a_dispute(stripe: WatchedStripe) -> None:
    """The same object is final only when the bank has taken the money."""
    charge = stripe.charge("pm_card_visa")
    inquiry = stripe.happen("disputes", payment_intent=charge.processor_id, inquiry=True)["id"]
    asked = stripe.processor.read_return(ReturnKind.DISPUTE, inquiry)

    stripe.happen("disputes/escalated", dispute=inquiry)

    taken = stripe.processor.read_return(ReturnKind.DISPUTE, inquiry)
    assert [(asked.state, asked.final), (taken.state, taken.final)] == [
        (ReturnState.WARNING, False),
        (ReturnState.WITHDRAWN, True),
    ]
    assert (asked.fee, taken.fee) == (NOTHING, Money(DISPUTE_FEE, "aud"))


def test_a_payout_that_was_paid_can_fail(stripe: WatchedStripe) -> None:
    """Its money is in the balance again and joins the next payout."""
    start = stripe.now
    for _ in range(6):
        stripe.charge("pm_card_visa")
    stripe.wait(7 * DAY)
    (payout,) = stripe.processor.payouts_since(start)
    paid = stripe.processor.read_payout(payout)
    failed_at = stripe.now

    stripe.happen("payouts/failed", payout=payout)

    failed = stripe.processor.read_payout(payout)
    assert [(report.paid, report.failed) for report in (paid, failed)] == [(True, False), (False, True)]
    kinds = [event.kind for event in stripe.processor.events_since(failed_at) if event.object_id == payout]
    assert kinds == [EventKind.PAYOUT]
    stripe.wait(5 * DAY)
    again = [stripe.processor.read_payout(found) for found in stripe.processor.payouts_since(failed_at)]
    assert [(report.amount, report.paid) for report in again] == [(paid.amount, True)]
