"""What cannot be recorded now waits by itself: all other money goes on, and nothing is lost when it is mended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

from connector.billing.collecting.charges import Payment
from connector.billing.inbox import InboxEvent
from connector.billing.invoices import Invoice
from connector.billing.processor import ChargeReport, PaymentProcessor
from connector.use_cases.collection.read_news import PATIENCE, read_news
from connector.use_cases.collection.run_due import run_due
from tests.support.practice import Enrolled, Practice


@dataclass
class OddCharge:
    """The real processor, except that nobody foresaw what it says of one charge."""

    inner: PaymentProcessor
    odd: str

    def read_charge(self, processor_id: str) -> ChargeReport:
        if processor_id == self.odd:
            raise KeyError("Ada Ferris")
        return self.inner.read_charge(processor_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def debited(practice: Practice) -> Enrolled:
    """Somebody whose first bank debit is under way."""
    person = practice.enrol("pm_becs_success")
    assert practice.charge() == []
    return person


def paid_by(practice: Practice) -> list[str]:
    """The payers of all payments, in the order in which they were recorded."""
    return [payment.member_id for payment in practice.all(Payment)]


def test_an_event_that_nobody_foresaw_keeps_none_behind_it(practice: Practice) -> None:
    """It is told, without what the error says, and tried again until it can be acted on."""
    odd, other = debited(practice), debited(practice)
    real = practice.context.processor
    intents = {intent["metadata"]["invoice_id"]: intent["id"] for intent in practice.stripe_listed("payment_intents")}
    (invoice,) = (row for row in practice.all(Invoice) if row.member_id == odd.member_id)
    broken = cast("PaymentProcessor", OddCharge(real, intents[invoice.id]))
    practice.context = replace(practice.context, processor=broken)
    practice.advance(days=5)

    news, due = read_news(practice.context), run_due(practice.context)

    assert paid_by(practice) == [other.member_id]
    (event,) = (row for row in practice.all(InboxEvent) if row.handled_at is None)
    assert news.problems == [f"The event {event.id} cannot be acted on (KeyError): see the log."]
    assert (event.deliveries_failed, len(due.problems)) == (1, 1)
    practice.context = replace(practice.context, processor=real)
    assert read_news(practice.context).problems == []
    assert paid_by(practice) == [other.member_id, odd.member_id]


def test_an_event_that_never_can_be_acted_on_is_left_to_a_person(practice: Practice) -> None:
    """After some days of trying."""
    debited(practice)
    (intent,) = practice.stripe_listed("payment_intents")
    broken = cast("PaymentProcessor", OddCharge(practice.context.processor, intent["id"]))
    practice.context = replace(practice.context, processor=broken)
    practice.advance(days=5)
    assert read_news(practice.context).problems != []

    practice.clock.advance(PATIENCE + timedelta(minutes=1))
    assert read_news(practice.context).problems != []
    assert read_news(practice.context).problems == []
