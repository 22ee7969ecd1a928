"""Settling: events in any order, twice, late or never; bank debits that take days; payment plans to the last cent."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import update

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import Charge, ChargeAttempt, Payment, ReturnedPayment, ReturnKind
from connector.billing.inbox import InboxEvent, store
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import PaymentMethod
from connector.billing.processor import EventKind, ProcessorEvent
from connector.ledger.journal import JournalEntry
from connector.money import Money
from connector.use_cases.collection.read_news import NewsReport, handle_events, read_news
from connector.use_cases.collection.run_due import run_due
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan
from tests.support.practice import Practice


def events_of(practice: Practice, *kinds: EventKind) -> list[ProcessorEvent]:
    """What Stripe has to say since the start, without putting it into the inbox."""
    found = practice.context.processor.events_since(practice.clock.now() - timedelta(days=20))
    return [event for event in found if event.kind in (kinds or EventKind)]


def deliver(practice: Practice, events: Sequence[ProcessorEvent]) -> None:
    """Put events into the inbox one by one, acting on each before the next comes."""
    for event in events:
        with practice.context.database.unit_of_work() as session:
            store(session, [event], practice.clock.now())
        handle_events(practice.context, NewsReport())


def lose_the_answer(practice: Practice) -> None:
    """The next confirmation takes the money, and we do not hear of it."""
    practice.stripe.post("faults", method="POST", path="/v1/payment_intents/*/confirm", kind="reset_after", count=3)


def test_the_event_and_the_answer_settle_a_charge_once(practice: Practice) -> None:
    """Both come through the same door: one payment, one journal entry for it, one write-back."""
    practice.enrol()
    run_due(practice.context)
    before = [row.id for row in practice.all(JournalEntry)]

    deliver(practice, events_of(practice))
    deliver(practice, events_of(practice))

    assert [row.id for row in practice.all(JournalEntry)] == before
    assert (len(practice.all(Payment)), len(practice.states())) == (1, 1)
    practice.work()
    practice.assert_all_written()


def test_an_event_settles_what_the_lost_answer_did_not(practice: Practice) -> None:
    """The next poll brings the payment, before anything is asked again."""
    practice.enrol()
    lose_the_answer(practice)
    assert run_due(practice.context).problems != []

    read_news(practice.context)

    assert len(practice.all(Payment)) == 1
    practice.advance(hours=1)
    practice.work()
    practice.assert_all_written()


def test_all_events_once_more_change_nothing(practice: Practice) -> None:
    """A whole inbox that is handled again leaves every record as it was."""
    practice.enrol("pm_becs_dispute")
    practice.paid()
    practice.refund()
    for _ in range(6):
        practice.advance(days=1)
        practice.work()
    before = [row.id for row in practice.all(JournalEntry)]
    with practice.context.database.unit_of_work() as session:
        session.execute(update(InboxEvent).values(handled_at=None))

    handle_events(practice.context, NewsReport())

    assert [row.id for row in practice.all(JournalEntry)] == before
    assert len(practice.states()) == 4
    practice.assert_all_written()


@pytest.mark.parametrize("seed", range(6))
def test_events_in_any_order_and_more_than_once_end_the_same(practice: Practice, seed: int) -> None:
    """Payments, a refund and a dispute whose events overtake one another: each is recorded once in the end."""
    for method in ("pm_card_visa", "pm_card_createDispute"):
        practice.enrol(method)
    lose_the_answer(practice)
    run_due(practice.context)
    practice.advance(minutes=1)
    lose_the_answer(practice)
    run_due(practice.context)
    practice.advance(minutes=1)
    (plain,) = (charge for charge in practice.stripe_charges() if not charge["disputed"])
    practice.stripe_do("refunds", charge=plain["id"])
    events = events_of(practice, EventKind.CHARGE, EventKind.REFUND, EventKind.DISPUTE) * 2
    random.Random(seed).shuffle(events)

    deliver(practice, events)

    assert len(practice.all(Payment)) == 2
    assert sorted(row.kind for row in practice.all(ReturnedPayment)) == [ReturnKind.DISPUTE, ReturnKind.REFUND]
    practice.advance(hours=1)
    practice.work()
    practice.settle()
    assert sorted(row["cents"] for row in practice.pms_rows()) == [-2_990, -2_990, 2_990, 2_990]
    practice.assert_all_written()


def test_a_dispute_that_overtakes_its_payment_settles_the_payment_first(practice: Practice) -> None:
    """However long we were away: the return leads to its charge, and nothing of it is lost or doubled."""
    practice.enrol("pm_card_createDispute")
    lose_the_answer(practice)
    run_due(practice.context)

    practice.advance(days=8)
    deliver(practice, events_of(practice, EventKind.DISPUTE))
    deliver(practice, events_of(practice, EventKind.CHARGE))

    (returned,) = practice.all(ReturnedPayment)
    assert returned.kind is ReturnKind.DISPUTE
    assert all(event.handled_at for event in practice.all(InboxEvent))
    practice.write()
    practice.settle()
    practice.assert_all_written()


def test_news_that_cannot_be_read_is_read_later(practice: Practice) -> None:
    """While the feed fails nothing is skipped; afterwards everything is there."""
    practice.enrol()
    lose_the_answer(practice)
    run_due(practice.context)
    practice.stripe.post("faults", method="GET", path="/v1/events", kind="status_before", count=3)

    assert read_news(practice.context).problems != []
    assert read_news(practice.context).problems == []

    assert len(practice.all(Payment)) == 1
    practice.write()
    practice.assert_all_written()


def test_a_bank_debit_is_paid_and_written_only_when_it_has_arrived(practice: Practice) -> None:
    """Nothing is written while it is under way, and daily runs do not debit again."""
    practice.enrol("pm_becs_success")
    practice.work()
    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.PROCESSING]
    assert practice.states() == []

    for _ in range(7):
        practice.advance(days=1)
        practice.work()

    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.COMPLETED]
    assert len(practice.stripe_listed("payment_intents")) == 1
    practice.assert_all_written()


def test_a_bank_debit_whose_events_are_lost_is_looked_up(practice: Practice) -> None:
    """After some days the charge itself is asked."""
    practice.enrol("pm_becs_success")
    practice.work()

    for _ in range(5):
        practice.advance(days=1)
        run_due(practice.context)
        practice.write()

    assert len(practice.all(Payment)) == 1
    practice.assert_all_written()


@pytest.mark.parametrize(
    ("method", "usable"), [("pm_becs_fail_account_closed", False), ("pm_becs_fail_refer_to_customer", True)]
)
def test_a_returned_debit_is_overdue_and_ends_a_dead_mandate(practice: Practice, method: str, usable: bool) -> None:
    """A closed account is never debited again, an empty one is; the next period is invoiced in both cases."""
    practice.enrol(method)
    practice.work()
    practice.advance(days=5)
    practice.work()
    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.OVERDUE]
    assert practice.all(Contract)[0].status is AgreementStatus.OVERDUE
    assert [row.usable for row in practice.all(PaymentMethod)] == [usable]

    practice.advance(days=26)
    report = run_due(practice.context)

    assert (report.invoiced, report.without_method) == (1, 0 if usable else 1)
    for _ in range(7):
        practice.advance(days=1)
        practice.work()
    attempts = Counter(charge_invoice(practice, attempt) for attempt in practice.all(ChargeAttempt))
    first, second = (row.id for row in sorted(practice.all(Invoice), key=lambda row: row.period))
    # An account that may be debited again is: the next period when it is due, the first one by its recovery.
    assert (attempts[first], attempts[second]) == ((2, 1) if usable else (1, 0))
    assert practice.all(Contract)[0].status is AgreementStatus.OVERDUE
    assert practice.states() == []
    practice.assert_exactly_once()


def charge_invoice(practice: Practice, attempt: ChargeAttempt) -> str:
    """The invoice that an attempt was made for."""
    return next(charge.invoice_id for charge in practice.all(Charge) if charge.id == attempt.charge_id)


def test_a_payment_plan_is_collected_to_the_cent_and_completed(practice: Practice) -> None:
    """The instalments add up to the total exactly, and after the last one nothing is due any more."""
    person = practice.enrol("pm_card_visa", frequency=Frequency.ANNUALLY)
    practice.work()
    membership = practice.judge().charged_cents
    total = Money(100_001, "aud")
    start_payment_plan(practice.context, person.member_id, total, 6, Frequency.FORTNIGHTLY, practice.today)

    for _ in range(14):
        practice.work()
        practice.advance(weeks=1)

    (plan,) = practice.all(PaymentPlan)
    parts = [row.amount_cents for row in practice.all(Invoice) if row.payment_plan_id == plan.id]
    assert (len(parts), sum(parts), max(parts) - min(parts) <= 6) == (6, total.cents, True)
    assert (plan.status, plan.next_due) == (AgreementStatus.COMPLETED, None)
    assert practice.judge().charged_cents == membership + total.cents
    practice.assert_all_written()
