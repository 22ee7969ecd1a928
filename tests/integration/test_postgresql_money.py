"""What people do with money, at a practice whose book is on a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from sqlalchemy import false

from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment
from connector.billing.invoices import CreditNote, Invoice, InvoiceStatus
from connector.daemon.health import Health, health_app
from connector.database.sums import sum_of
from connector.ledger.write_back.models import Leg, WriteBack
from connector.use_cases.books.report_day import report_day
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.patient_pages.pay_invoice import pay_invoice
from connector.use_cases.returns.refund_payment import refund_payment
from tests.support.commands import command, document
from tests.support.platform_fees import on_tier
from tests.support.post import Post
from tests.support.postgres import PostgresServer
from tests.support.practice import Practice
from tests.support.practice_setup import running_practice
from tests.support.requests import STAFF, aud, give

PRICE = 2_990


@pytest.fixture
def practice(postgres: PostgresServer, tmp_path: Path, hasty_stripe: None) -> Iterator[Practice]:
    """A practice of its own, with its book on the server."""
    with running_practice(tmp_path, database_url=postgres.new_database()) as running:
        yield running


def metrics(practice: Practice) -> str:
    """What the daemon tells of the queue."""
    health = Health(practice.clock)
    health_app(practice.context.database, health, practice.clock)
    return generate_latest(health.registry).decode()


def test_a_sum_of_cents_is_a_whole_number_also_of_nothing(practice: Practice) -> None:
    """The server's own SUM is a decimal, or nothing, and money takes neither."""
    practice.paid()

    with practice.context.database.read() as session:
        sums = [sum_of(session, Payment.amount_cents), sum_of(session, Payment.amount_cents, false())]

    assert sums == [PRICE, 0]
    assert {type(cents) for cents in sums} == {int}


def test_a_payment_with_the_patients_fee_is_given_back_in_parts(practice: Practice) -> None:
    """At Stripe's dashboard, here, and from the practice's bank: shown, credited, reversed and verified to the cent."""
    on_tier(practice, fee_bearer="patient")
    practice.paid()
    practice.settle()
    (payment,) = practice.all(Payment)
    for cents in ("500", "700"):
        practice.refund(amount=cents)
        assert practice.charge() == []

    refund = document(practice, "payments", "refund", payment.id, "--amount", "3.00", "--reason", "goodwill", "--yes")
    day = f"{practice.today:%Y-%m-%d}"
    noted = command(practice, "payments", "record-refund", payment.id, "--amount", "2.00", "--on", day, "--yes")
    shown = document(practice, "payments", "show", payment.id)

    assert (refund["state"], noted.code) == ("succeeded", 0), noted
    assert (shown["payment"]["returned_cents"], shown["refundable_cents"]) == (1_700, payment.amount_cents - 1_700)
    assert [note.amount_cents for note in practice.all(CreditNote)] == [500, 700, 300, 200]
    assert sum(row.amount_cents for row in practice.all(WriteBack) if row.leg is Leg.REVERSAL) < 1_700
    assert verify_ledger(practice.context).faults == []
    assert 'connector_write_backs_waiting_cents{state="queued"}' in metrics(practice)


def test_a_dispute_that_is_won_too_late_leaves_money_that_staff_hear_of(practice: Practice, tmp_path: Path) -> None:
    """The invoice was paid a second time meanwhile. What is given back of it makes no credit note."""
    post = Post(practice, tmp_path / "outbox")
    with practice.context.database.unit_of_work() as session:
        session.get_one(Location, practice.location.id).email = "office@example.org"
    person = post.enrol()
    assert practice.charge() == []
    (first,) = practice.all(Payment)
    practice.stripe.post("disputes", charge=first.processor_charge_id)
    practice.advance(days=1)
    assert practice.charge() == []
    (invoice,) = practice.all(Invoice)
    assert invoice.status is InvoiceStatus.OVERDUE
    give(practice, person, "pm_card_mastercard")
    pay_invoice(practice.context, invoice.id, "https://example.com/back")

    practice.stripe.post("disputes/won", dispute=practice.stripe_listed("disputes")[0]["id"])
    practice.advance(days=1)
    assert practice.charge() == []
    post.send()

    assert any("$29.90 too much for LEURA-000001" in mail for mail in post.mails())
    refund_payment(practice.context, first.id, aud(PRICE), "paid twice", STAFF)
    assert practice.all(CreditNote) == []
    assert verify_ledger(practice.context).faults == []
    assert report_day(practice.context, practice.location, practice.today).differences == ()
