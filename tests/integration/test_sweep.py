"""The sweep: whatever the news did not tell is found in Stripe's lists, once, and with few reads."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete

from connector.billing.activity import Activity
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import (
    AttemptState,
    ChargeAttempt,
    Payment,
    Payout,
    ReturnedPayment,
    UndoneReturn,
)
from connector.billing.inbox import InboxEvent, move_cursor, read_until
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.processor import EventKind
from connector.ledger.journal import JournalEntry
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.collection.read_news import poll_events, read_news
from connector.use_cases.collection.run_due import run_due
from connector.use_cases.collection.sweep import sweep
from tests.support.practice import Practice


def miss_news(practice: Practice) -> None:
    """Stripe's news are taken in and lost before anybody acts on them."""
    poll_events(practice.context)
    with practice.context.database.unit_of_work() as session:
        session.execute(delete(InboxEvent))


def lose_the_answer(practice: Practice) -> None:
    """The next confirmation takes the money, and we do not hear of it."""
    practice.stripe.post("faults", method="POST", path="/v1/payment_intents/*/confirm", kind="reset_after", count=3)


def charged(practice: Practice, method: str = "pm_card_visa") -> None:
    """Somebody whose yearly payment was taken."""
    practice.enrol(method, frequency=Frequency.ANNUALLY)
    assert practice.charge() == []


def test_what_the_news_have_told_is_not_found_again(practice: Practice) -> None:
    """An ordinary night: nothing is missed, nothing changes, and settled charges are not read."""
    for method in ("pm_card_visa", "pm_card_createDispute", "pm_becs_success"):
        charged(practice, method)
    practice.advance(minutes=1)
    first = practice.stripe_charges()[0]
    practice.stripe_do("refunds", charge=first["id"])
    for _ in range(7):
        practice.advance(days=1)
        practice.work()
    before = [row.id for row in practice.all(JournalEntry)]
    reads = practice.context.processor.reads

    report = sweep(practice.context)

    payouts = len(practice.all(Payout))
    assert (report.missed, report.problems, report.complete) == ([], [], True)
    assert report.listed == 3 + 2 + payouts
    # The refund may still fail, the dispute may still be won, and the payouts may still be sent back.
    assert report.read == 2 + payouts
    assert practice.context.processor.reads - reads == 4 + report.read
    assert [row.id for row in practice.all(JournalEntry)] == before


def test_each_thing_that_the_news_missed_is_found_and_named_once(practice: Practice) -> None:
    """A payment, a refund, a dispute, and a payout; the second sweep finds nothing more."""
    charged(practice)
    charged(practice)
    practice.advance(minutes=1)
    practice.enrol(frequency=Frequency.ANNUALLY)
    lose_the_answer(practice)
    run_due(practice.context)
    intents = [row["id"] for row in practice.stripe_listed("payment_intents")]
    practice.stripe_do("refunds", payment_intent=intents[0])
    practice.stripe.post("disputes", payment_intent=intents[1])
    practice.advance(days=5)
    miss_news(practice)

    report = sweep(practice.context)
    again = sweep(practice.context)

    kinds = sorted(item.split()[0] for item in report.missed)
    assert kinds == ["charge", "dispute", *["payout"] * len(practice.all(Payout)), "refund"]
    assert f"charge {intents[2]}" in report.missed
    assert (report.problems, again.missed, again.problems) == ([], [], [])
    assert (len(practice.all(Payment)), len(practice.all(ReturnedPayment))) == (3, 2)
    practice.write()
    practice.settle()
    practice.assert_all_written()


def test_a_refund_that_failed_unheard_is_found(practice: Practice) -> None:
    """It was recorded a month ago; the list shows no more than its id, so it is looked at while it can still fail."""
    charged(practice, "pm_card_refundFailLate")
    practice.write()
    practice.refund()
    practice.work()
    practice.settle()
    for _ in range(3):
        practice.advance(days=10, hours=1)
        miss_news(practice)

    report = sweep(practice.context)

    assert [item.split()[0] for item in report.missed] == ["refund"]
    assert len(practice.all(UndoneReturn)) == 1
    practice.write()
    practice.settle()
    practice.assert_all_written()
    practice.advance(days=40)
    later = sweep(practice.context)
    assert (later.listed, later.read, [item.split()[0] for item in later.missed]) == (2, 1, ["payout"])


def test_a_bank_debit_under_way_is_looked_at_however_old_it_is(practice: Practice) -> None:
    """Its charge is on no list of the last days."""
    charged(practice, "pm_becs_success")
    practice.advance(days=20)
    miss_news(practice)

    report = sweep(practice.context)

    assert [item.split()[0] for item in report.missed if item.startswith("charge")] == ["charge"]
    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.COMPLETED]


def test_an_attempt_that_was_not_confirmed_yet_is_left_alone(practice: Practice) -> None:
    """The sweep looks; whether to confirm again is decided where attempts are made."""
    practice.enrol()
    practice.stripe.post("faults", method="POST", path="/v1/payment_intents/*/confirm", kind="status_before", count=3)
    run_due(practice.context)

    report = sweep(practice.context)

    assert (report.missed, report.problems) == ([], [])
    assert [row.state for row in practice.all(ChargeAttempt)] == [AttemptState.SENDING]
    practice.advance(minutes=10)
    practice.work()
    practice.assert_all_written()


@pytest.mark.parametrize("path", ["/v1/payment_intents", "/v1/refunds", "/v1/disputes", "/v1/payouts"])
def test_a_list_that_cannot_be_read_is_read_the_next_night(practice: Practice, path: str) -> None:
    """What was found before it counts, and the report says that it is not complete."""
    charged(practice)
    practice.refund()
    miss_news(practice)
    practice.stripe.post("faults", method="GET", path=path, kind="status_before", count=3)

    first = sweep(practice.context)
    second = sweep(practice.context)

    assert (first.complete, len(first.problems)) == (False, 1)
    assert (second.complete, second.problems) == (True, [])
    assert len(first.missed) + len(second.missed) == len(practice.all(ReturnedPayment)) == 1


def test_an_absence_longer_than_stripe_keeps_its_news_is_made_up_for(practice: Practice) -> None:
    """Thirty-five days away: the events of the first days are gone, the money is found, and the feed goes on."""
    charged(practice, "pm_becs_success")
    practice.enrol(frequency=Frequency.ANNUALLY)
    lose_the_answer(practice)
    run_due(practice.context)
    practice.refund()
    practice.advance(days=35)
    kept = practice.context.processor.events_since(practice.clock.now() - timedelta(days=40))
    assert {event.kind for event in kept} == {EventKind.PAYOUT}

    report = read_news(practice.context)

    assert report.problems == []
    assert (len(practice.all(Payment)), len(practice.all(ReturnedPayment))) == (2, 1)
    with practice.context.database.read() as session:
        until = read_until(session)
    assert until is not None
    assert practice.clock.now() - until <= timedelta(days=1)
    assert verify_ledger(practice.context).faults == []


def test_the_feed_does_not_go_on_before_the_absence_is_made_up_for(practice: Practice) -> None:
    """While a list cannot be read the cursor stays, so the next poll sweeps again."""
    charged(practice)
    practice.refund()
    practice.advance(days=35)
    practice.stripe.post("faults", method="GET", path="/v1/disputes", kind="status_before", count=3)

    first = read_news(practice.context)
    with practice.context.database.read() as session:
        until = read_until(session)
    second = read_news(practice.context)

    assert (len(first.problems), second.problems) == (1, [])
    assert until is not None
    assert practice.clock.now() - until > timedelta(days=29)
    assert len(practice.all(ReturnedPayment)) == 1


def test_a_quiet_month_is_no_absence(practice: Practice) -> None:
    """The cursor follows the clock where nothing happens, and never goes back."""
    assert read_news(practice.context).problems == []
    for _ in range(5):
        practice.advance(days=10)
        read_news(practice.context)
    with practice.context.database.unit_of_work() as session:
        until = read_until(session)
        move_cursor(session, practice.clock.now() - timedelta(days=9))
        assert read_until(session) == until == practice.clock.now() - timedelta(days=1)


def test_a_charge_that_was_sent_just_now_is_left_to_its_answer_and_the_news(practice: Practice) -> None:
    """Nothing was missed within the hour; after it, what nobody has told is found."""
    practice.enrol(frequency=Frequency.ANNUALLY)
    lose_the_answer(practice)
    run_due(practice.context)

    assert (sweep(practice.context).missed, practice.all(Payment)) == ([], [])

    miss_news(practice)
    practice.advance(hours=2)
    assert len(sweep(practice.context).missed) == len(practice.all(Payment)) == 1


def disputed_and_away(practice: Practice) -> str:
    """A payment is disputed and that is recorded; the connector runs for seventy days more. Returns the dispute."""
    charged(practice)
    practice.advance(minutes=1)
    practice.stripe.post("disputes", charge=practice.stripe_charges()[0]["id"])
    for _ in range(7):
        practice.advance(days=10)
        assert practice.charge() == []
    (dispute,) = practice.stripe_listed("disputes")
    return str(dispute["id"])


def test_a_dispute_that_was_won_in_a_long_absence_is_found_however_old_it_is(practice: Practice) -> None:
    """Recorded on the first day, won on the 75th, and back on the 111th: it is on no list of the last ninety days."""
    dispute = disputed_and_away(practice)
    practice.advance(days=5)
    practice.stripe.post("disputes/won", dispute=dispute)
    practice.advance(days=36)

    report = read_news(practice.context)

    assert report.problems == []
    assert len(practice.all(UndoneReturn)) == 1
    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.COMPLETED]
    assert verify_ledger(practice.context).faults == []
    assert sweep(practice.context).missed == []


def test_a_dispute_that_is_lost_is_read_until_that_is_known_and_no_longer(practice: Practice) -> None:
    """An old one that is open costs one read a night; of a lost one nothing is expected any more."""
    dispute = disputed_and_away(practice)
    practice.advance(days=30)
    read_news(practice.context)

    still_open = sweep(practice.context)
    practice.stripe_do(f"disputes/{dispute}/close")
    miss_news(practice)
    lost, afterwards = sweep(practice.context), sweep(practice.context)

    assert [report.missed for report in (still_open, lost, afterwards)] == [[], [], []]
    assert (still_open.listed, still_open.read, lost.read, afterwards.read) == (0, 1, 1, 0)
    assert [row.action for row in practice.all(Activity)].count("Dispute Lost") == 1


def test_a_refund_and_a_payout_that_failed_in_a_long_absence_are_found(practice: Practice) -> None:
    """Both were recorded just before it, and could still fail when the connector was last there."""
    charged(practice, "pm_card_refundFailLate")
    practice.refund()
    assert practice.charge() == []
    charged(practice)
    for _ in range(8):
        practice.advance(days=1)
        assert practice.charge() == []
    arrived = practice.all(Payout)[-1].processor_id
    practice.advance(days=1)
    practice.stripe.post("payouts/failed", payout=arrived)
    practice.advance(days=120)

    report = read_news(practice.context)

    assert report.problems == []
    assert len(practice.all(UndoneReturn)) == 1
    assert [row.processor_id for row in practice.all(Payout) if row.failed_at] == [arrived]
    assert verify_ledger(practice.context).faults == []
