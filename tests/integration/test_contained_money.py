"""What cannot be recorded now waits by itself: all other money goes on, and nothing is lost when it is mended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

from connector.billing.agreements.payment_requests import HoldStatus
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment
from connector.billing.inbox import InboxEvent
from connector.billing.invoices import Invoice
from connector.billing.processor import ChargeReport, PaymentProcessor
from connector.use_cases.collection.read_news import PATIENCE, read_news
from connector.use_cases.collection.run_due import run_due
from connector.use_cases.collection.sweep import sweep
from connector.use_cases.patient_pages.pay_invoice import UNREACHABLE, pay_invoice
from connector.use_cases.practice.set_up_location import add_location
from connector.use_cases.requests.hold_payment import authorise_hold
from tests.support.platform_fees import on_tier
from tests.support.practice import Enrolled, Practice
from tests.support.requests import give, held, hold_for, hold_of, method_of

NO_RATES = (
    "No money of the location 'leura' can be taken or booked, because there are no rates for its platform tier 'own': "
    "add them to [platform.tiers] of connector.toml, or choose another tier with "
    "`connector locations set leura platform_tier=NAME`."
)


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


def without_rates(practice: Practice) -> None:
    """Somebody has removed the tier of the location from the settings."""
    tiers = {name: tier for name, tier in practice.context.tiers.items() if name != "own"}
    practice.context = replace(practice.context, tiers=tiers)


def at_second_location(practice: Practice) -> Practice:
    """The same practice at another location, on a tier of its own."""
    settings = dict(practice.location.pms_settings)
    location_id = add_location(
        practice.context,
        slug="bondi",
        name="Bondi Dental",
        timezone="Australia/Sydney",
        currency="aud",
        pms="open_dental",
        pms_settings=settings,
    )
    with practice.context.database.read() as session:
        return replace(practice, location=session.get_one(Location, location_id))


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


def test_a_location_whose_tier_was_removed_waits_alone(practice: Practice) -> None:
    """One sentence names it; its debits, holds and new charges wait, those of others do not, and nothing is lost."""
    on_tier(practice)
    holder = practice.enrol(frequency=Frequency.ANNUALLY)
    assert practice.charge() == []
    hold_id = hold_for(practice, holder)
    authorise_hold(practice.context, hold_id, method_of(practice, holder))
    debits, new = [debited(practice), debited(practice)], practice.enrol()
    bondi = at_second_location(practice)
    other = bondi.enrol("pm_becs_success")
    without_rates(practice)
    practice.stripe_do(f"payment_intents/{hold_of(practice).processor_id}/capture")

    for _ in range(5):
        practice.advance(days=1)
        assert read_news(practice.context).problems == [NO_RATES]
        assert run_due(practice.context).problems == [NO_RATES]

    assert sweep(practice.context).problems == [NO_RATES]
    assert paid_by(practice) == [holder.member_id, other.member_id]
    assert held(practice) is not HoldStatus.CAPTURED
    on_tier(practice)
    practice.advance(minutes=10)
    assert practice.charge() == []
    waited = [one.member_id for one in (holder, new, *debits)]
    assert sorted(paid_by(practice)[2:]) == sorted(waited)
    assert held(practice) is HoldStatus.CAPTURED
    practice.assert_exactly_once()


def test_a_payer_hears_that_nothing_was_taken_where_nothing_could_be_booked(practice: Practice) -> None:
    """Nothing is sent, and once there are rates again the same page takes the money."""
    on_tier(practice)
    person = practice.enrol("pm_card_decline_insufficient_funds", adopted=True)
    practice.charge()
    give(practice, person, "pm_card_visa")
    (invoice,) = practice.all(Invoice)
    without_rates(practice)

    refused = pay_invoice(practice.context, invoice.id, "https://example.com/back")

    assert refused.text == UNREACHABLE
    assert practice.stripe_charges() == []
    on_tier(practice)
    pay_invoice(practice.context, invoice.id, "https://example.com/back")
    assert paid_by(practice) == [person.member_id]
