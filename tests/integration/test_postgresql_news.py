"""Two who hear the same news at once, on a real PostgreSQL server: whoever comes second finds it recorded."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier, Event
from typing import Any, cast

import pytest
from sqlalchemy import func, select

from connector.billing.activity import Activity
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import (
    ChargeAttempt,
    Payment,
    Payout,
    RefundRequest,
    RefundState,
    ReturnedPayment,
    UndoneReturn,
)
from connector.billing.invoices import CreditNote
from connector.billing.members import PaymentMethod
from connector.billing.processor import PaymentProcessor, ReturnReport
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.collection.read_news import read_news
from connector.use_cases.context import Context
from connector.use_cases.members.enrol_member import invite_member
from connector.use_cases.returns.refund_payment import refund_payment
from tests.support.postgres import PostgresServer
from tests.support.practice import Practice
from tests.support.practice_setup import running_practice
from tests.support.requests import STAFF, aud

PATIENCE_SECONDS = 30
NEWS = ("events_since", "read_enrolment", "read_method", "read_return", "read_payout")


@dataclass
class Meeting:
    """The real processor, behind which two wait for each other: nobody records before both have their answers."""

    inner: PaymentProcessor
    at: Collection[str]
    """Where they meet."""
    made: Event = field(default_factory=Event)
    """That a refund was made; with it the news is read only then."""
    both: Barrier = field(default_factory=lambda: Barrier(2))

    def refund_charge(self, *arguments: Any) -> ReturnReport:
        answer = self.inner.refund_charge(*arguments)
        self.made.set()
        self.both.wait(PATIENCE_SECONDS)
        return answer

    def __getattr__(self, name: str) -> Any:
        ask = getattr(self.inner, name)

        def answered(*arguments: Any) -> Any:
            if name == "events_since" and "refund_charge" in self.at:
                assert self.made.wait(PATIENCE_SECONDS)
            answer = ask(*arguments)
            if name in self.at:
                self.both.wait(PATIENCE_SECONDS)
            return answer

        return answered


@pytest.fixture
def practice(postgres: PostgresServer, tmp_path: Path, hasty_stripe: None) -> Iterator[Practice]:
    """A practice of its own, with its book on the server."""
    with running_practice(tmp_path, database_url=postgres.new_database()) as running:
        yield running


def meeting(practice: Practice, at: Collection[str] = NEWS) -> Context:
    """What two who meet at the processor work with."""
    met = Meeting(practice.context.processor, at)
    return replace(practice.context, processor=cast("PaymentProcessor", met))


def heard_by_two(practice: Practice) -> None:
    """Two workers read the news at the same time, and neither has anything to complain of."""
    context = meeting(practice)
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(read_news, [context] * 2))
    assert [report.problems for report in reports] == [[], []]


def count(practice: Practice, *models: type[Any]) -> list[int]:
    """How many rows there are of each."""
    with practice.context.database.read() as session:
        return [session.scalar(select(func.count()).select_from(model)) or 0 for model in models]


def test_a_hosted_page_is_completed_once(practice: Practice) -> None:
    """And the very first polls, of which one finds nothing to read, move one cursor."""
    heard_by_two(practice)
    person = practice.enrol(None)
    page = invite_member(practice.context, person.contract_id)
    practice.stripe.client.post(page.url, data={"method": "pm_card_visa"})

    heard_by_two(practice)

    assert count(practice, PaymentMethod) == [1]
    assert [row.action for row in practice.all(Activity)].count("Payment Method Created") == 1


def test_a_renewed_card_is_tried_once_more(practice: Practice) -> None:
    """The new details come to both."""
    practice.enrol("pm_card_declineOnce_expired_card", adopted=True)
    practice.charge()
    (method,) = practice.all(PaymentMethod)
    practice.advance(hours=2)
    practice.stripe.post("payment_methods/renewed", payment_method=method.processor_id, last4="1881")

    heard_by_two(practice)

    assert [row.action for row in practice.all(Activity)].count("Payment Method Updated") == 1
    assert count(practice, ChargeAttempt) == [2]


def test_money_that_goes_back_and_comes_again_is_recorded_once(practice: Practice) -> None:
    """A refund that fails in the end and a dispute that is won, each with what takes it back."""
    practice.enrol("pm_card_refundFail", frequency=Frequency.ANNUALLY)
    practice.charge()
    practice.enrol(frequency=Frequency.ANNUALLY)
    practice.charge()
    refunded, disputed = (charge["id"] for charge in practice.stripe_charges())
    practice.advance(minutes=1)
    practice.stripe_do("refunds", charge=refunded)
    practice.stripe.post("disputes", charge=disputed)

    heard_by_two(practice)

    assert count(practice, Payment, ReturnedPayment, CreditNote, UndoneReturn) == [2, 2, 1, 0]
    practice.stripe.post("disputes/won", dispute=practice.stripe_listed("disputes")[0]["id"])
    practice.advance(days=30)
    heard_by_two(practice)
    assert count(practice, ReturnedPayment, UndoneReturn) == [2, 2]
    assert verify_ledger(practice.context).faults == []


def test_a_payout_is_recorded_once_and_sent_back_once(practice: Practice) -> None:
    """Nothing of it is there that could be locked when it arrives."""
    practice.enrol(frequency=Frequency.ANNUALLY)
    practice.charge()
    practice.advance(days=9)

    heard_by_two(practice)

    (payout,) = practice.all(Payout)
    practice.stripe.post("payouts/failed", payout=payout.processor_id)
    heard_by_two(practice)
    assert [row.failed_at is None for row in practice.all(Payout)] == [False]
    assert verify_ledger(practice.context).faults == []


def test_a_refund_at_the_front_desk_does_not_fail_over_its_own_news(practice: Practice) -> None:
    """The answer and the event arrive at once; the money went back once, and the desk hears that it did."""
    practice.paid()
    (payment,) = practice.all(Payment)
    context = meeting(practice, at=("refund_charge", "read_return"))
    practice.advance(minutes=1)

    def desk() -> RefundRequest:
        return refund_payment(context, payment.id, aud(1_000), "goodwill", STAFF)

    with ThreadPoolExecutor(2) as pool:
        asked, heard = pool.submit(desk), pool.submit(read_news, context)
        request, news = asked.result(), heard.result()

    assert (request.state, news.problems) == (RefundState.SUCCEEDED, [])
    assert count(practice, ReturnedPayment, CreditNote) == [1, 1]
