"""Instant payments over HTTP: nothing is charged before the payer acts, and everything that was asked for ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from connector.billing.agreements.payment_requests import InstantPayment, RequestStatus
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import ChargeAttempt, Origin
from connector.billing.collecting.recovery import Recovery
from connector.billing.invoices import InvoiceKind, InvoiceStatus
from connector.billing.links import LinkKind, find, mint
from connector.billing.members import PaymentMethod
from connector.clock import business_date
from connector.errors import DomainError
from connector.ledger.write_back.states import WriteBackState
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.collection.collect_charge import collect_charge
from connector.use_cases.collection.plan_attempts import plan_again
from connector.use_cases.requests.request_payment import (
    cancel_request,
    charge_due_requests,
    expire_requests,
    request_payment,
)
from tests.support.commands import command, document
from tests.support.practice import Enrolled, Practice
from tests.support.practice_setup import running_practice
from tests.support.requests import STAFF, accept, aud, give, invoices, method_of

RETURN = "https://pay.leura.example/back"
SEVERAL = ((12_000, 0), (8_000, 10), (5_050, 20))
"""Cents and days from today."""


def payer(practice: Practice, method: str = "pm_card_visa") -> Enrolled:
    """Somebody whose membership is paid for the year."""
    person = practice.enrol(method, frequency=Frequency.ANNUALLY)
    practice.work()
    return person


def ask(practice: Practice, person: Enrolled, *parts: tuple[int, int]) -> str:
    """A request for these cents, each so many days from today."""
    asked = [(aud(cents), practice.today + timedelta(days=days)) for cents, days in parts]
    return request_payment(practice.context, person.member_id, asked, STAFF, "Scale and clean")


def day(practice: Practice, days: int = 1) -> None:
    """Days pass, each with the billing run's part for requests, the run itself, and the ledger."""
    for _ in range(days):
        practice.advance(days=1)
        now = practice.clock.now()
        today = business_date(now, practice.location.zone)
        with practice.context.database.unit_of_work() as session:
            charge_due_requests(session, practice.location, today, now)
            expire_requests(session, practice.location, today, now)
        practice.work()


def status(practice: Practice) -> RequestStatus:
    (request,) = practice.all(InstantPayment)
    return request.status


def taken(practice: Practice) -> list[int]:
    """Cents that Stripe took of what was asked for by requests."""
    ours = {row.id for row in invoices(practice)}
    return [row["amount"] for row in practice.stripe_charges() if row["metadata"]["invoice_id"] in ours]


def test_a_request_makes_an_invoice_for_each_amount_and_one_message(practice: Practice) -> None:
    """The link goes out at once; until the payer acts, nothing is charged, however often the run comes by."""
    person = payer(practice)
    request_id = ask(practice, person, *reversed(SEVERAL))

    day(practice, 25)

    rows = invoices(practice)
    assert [(row.kind, row.period, row.amount_cents) for row in rows] == [
        (InvoiceKind.INSTANT, number, cents) for number, (cents, _) in enumerate(SEVERAL, start=1)
    ]
    assert [row.due_date for row in rows] == [date(2026, 9, 1), date(2026, 9, 11), date(2026, 9, 21)]
    asked = [row for row in practice.all(Message) if row.subject_id == request_id]
    assert {row.kind for row in asked} == {MessageKind.PAYMENT_REQUEST}
    detail = {
        "is_plan": False,
        "amount_cents": 25_050,
        "due_on": "2026-09-01",
        "expires_on": "2026-10-05",
        "urgent": True,
    }
    assert [row.detail for row in asked] == [detail, detail]
    assert taken(practice) == []
    assert status(practice) is RequestStatus.ACTIVE


def test_what_is_due_is_paid_on_the_page_and_the_rest_on_its_day(practice: Practice) -> None:
    """After the last amount the request is completed; each payment waits for a person's Post to Ledger."""
    person = payer(practice)
    request_id = ask(practice, person, *SEVERAL)

    attempts = accept(practice, request_id, method_of(practice, person))

    assert accept(practice, request_id, method_of(practice, person)) == attempts
    for attempt_id in attempts:
        collect_charge(practice.context, attempt_id, RETURN)
    assert taken(practice) == [12_000]
    day(practice, 9)
    assert taken(practice) == [12_000]
    day(practice, 11)
    assert taken(practice) == [12_000, 8_000, 5_050]
    assert (status(practice), practice.states()[-3:]) == (RequestStatus.COMPLETED, [WriteBackState.READY] * 3)
    origins = [row.origin for row in practice.all(ChargeAttempt)]
    assert origins == [Origin.SCHEDULE, Origin.PAYER, Origin.SCHEDULE, Origin.SCHEDULE]
    practice.assert_exactly_once()


def test_a_bank_account_pays_after_days_and_meanwhile_nothing_can_be_cancelled(practice: Practice) -> None:
    """A debit under way is no payment yet, and nobody can call it off."""
    person = payer(practice, "pm_becs_success")
    day(practice, 5)
    request_id = ask(practice, person, (12_000, 0), (5_000, 30))
    (attempt_id,) = accept(practice, request_id, method_of(practice, person))
    collect_charge(practice.context, attempt_id, RETURN)
    assert [row.status for row in invoices(practice)] == [InvoiceStatus.PROCESSING, InvoiceStatus.OPEN]

    with pytest.raises(DomainError, match="is under way: cancel the request once it has ended"):
        cancel_request(practice.context, request_id, STAFF)
    day(practice, 5)

    assert [row.status for row in invoices(practice)] == [InvoiceStatus.COMPLETED, InvoiceStatus.OPEN]
    assert cancel_request(practice.context, request_id, STAFF) == 1
    assert [row.status for row in invoices(practice)] == [InvoiceStatus.COMPLETED, InvoiceStatus.CANCELLED]
    practice.assert_exactly_once()


def test_a_page_that_was_left_after_accepting_charges_nothing_and_is_asked_about_again(practice: Practice) -> None:
    """The machine died before the page asked Stripe: the amount is overdue, and its recovery begins."""
    person = payer(practice)
    accept(practice, ask(practice, person, (12_000, 0)), method_of(practice, person))

    day(practice, 2)

    (invoice,) = invoices(practice)
    assert (taken(practice), invoice.status) == ([], InvoiceStatus.OVERDUE)
    assert [row.invoice_id for row in practice.all(Recovery)] == [invoice.id]


def test_a_declined_card_may_be_followed_by_another(practice: Practice) -> None:
    """The amount is overdue meanwhile; with the new card the request is paid and complete."""
    person = payer(practice)
    bad = give(practice, person, "pm_card_chargeCustomerFail")
    request_id = ask(practice, person, (12_000, 0))
    (attempt_id,) = accept(practice, request_id, bad)
    collect_charge(practice.context, attempt_id, RETURN)
    (invoice,) = invoices(practice)
    assert (invoice.status, status(practice)) == (InvoiceStatus.OVERDUE, RequestStatus.ACTIVE)

    (again,) = accept(practice, request_id, give(practice, person, "pm_card_visa"))
    collect_charge(practice.context, again, RETURN)
    practice.charge()

    assert (taken(practice), status(practice)) == ([12_000], RequestStatus.COMPLETED)


def test_a_later_amount_without_a_usable_method_is_overdue(practice: Practice) -> None:
    """Nobody can be charged, so its recovery begins on its due date."""
    person = payer(practice)
    accept(practice, ask(practice, person, (12_000, 3)), method_of(practice, person))
    with practice.context.database.unit_of_work() as session:
        session.get_one(PaymentMethod, method_of(practice, person)).usable = False

    day(practice, 3)

    assert ([row.status for row in invoices(practice)], taken(practice)) == ([InvoiceStatus.OVERDUE], [])


def test_a_request_that_nobody_accepted_expires_with_its_invoices_and_its_link(practice: Practice) -> None:
    """A fortnight after the last due date nothing is owed any more, and the books are even."""
    person = payer(practice)
    request_id = ask(practice, person, (12_000, 0), (8_000, 5))
    now = practice.clock.now()
    with practice.context.database.unit_of_work() as session:
        token = mint(session, LinkKind.PAYMENT, request_id, person.member_id, now, now + timedelta(days=30))

    day(practice, 18)
    assert status(practice) is RequestStatus.ACTIVE
    day(practice)

    assert [row.status for row in invoices(practice)] == [InvoiceStatus.EXPIRED] * 2
    assert (status(practice), taken(practice)) == (RequestStatus.EXPIRED, [])
    with practice.context.database.read() as session:
        link = find(session, token)
    assert link is not None
    assert link.ended_because == "expired"
    with pytest.raises(DomainError, match="This payment request is over"):
        accept(practice, request_id, method_of(practice, person))
    assert verify_ledger(practice.context).faults == []


def test_a_request_does_not_expire_under_somebody_who_is_paying(practice: Practice) -> None:
    """A debit of its invoice, made by another link, is under way at the end: once it succeeds, all is complete."""
    person = payer(practice, "pm_becs_success")
    ask(practice, person, (12_000, 0))
    day(practice, 13)
    (invoice,), now = invoices(practice), practice.clock.now()
    with practice.context.database.unit_of_work() as session:
        method_id = method_of(practice, person)
        plan_again(session, practice.location, invoice, method_id, Origin.PAYER, practice.today, now)
    collect_charge(practice.context, practice.all(ChargeAttempt)[-1].id, RETURN)

    day(practice)
    assert status(practice) is RequestStatus.ACTIVE
    day(practice, 5)

    assert (status(practice), taken(practice)) == (RequestStatus.COMPLETED, [12_000])


@pytest.mark.parametrize("whose", ["somebody else's", "replaced", "unknown"])
def test_only_the_payers_own_present_method_is_charged(practice: Practice, whose: str) -> None:
    """Anything else is refused and leaves the request open."""
    person = payer(practice)
    old, other = method_of(practice, person), method_of(practice, payer(practice))
    request_id = ask(practice, person, (12_000, 0))
    give(practice, person, "pm_card_mastercard")

    with pytest.raises(DomainError, match="cannot be charged: give another one"):
        accept(practice, request_id, {"somebody else's": other, "replaced": old}.get(whose, "pm_none"))

    (request,) = practice.all(InstantPayment)
    assert (request.accepted_at, taken(practice)) == (None, [])


def test_staff_are_told_the_sum_that_the_member_pays(practice: Practice) -> None:
    """With the platform's fee, where patients bear it; without one the sum is what was asked for."""
    person = payer(practice)
    without = command(practice, "payment-requests", "add", person.member_id, "--amount", "10.00").out
    practice.set_policy(fee_bearer="patient")

    told = command(practice, "payment-requests", "add", person.member_id, "--amount", "10.00").out
    added = document(practice, "payment-requests", "add", person.member_id, "--amount", "10.00")

    assert "for 10.00 goes to the member" in without
    assert "for 10.35, 0.35 of it the platform's fee, goes to the member" in told
    assert added["total_cents"] == invoices(practice)[-1].amount_cents == 1_035


def test_staff_ask_look_and_cancel_at_the_command_line(practice: Practice) -> None:
    """Pairs of amount and due date in their order; a cancelled request is cancelled once."""
    person = payer(practice)
    pairs = ("--amount", "80", "--due", "2026-09-11", "--amount", "120.00", "--due", "2026-09-01")

    added = document(practice, "payment-requests", "add", person.member_id, *pairs, "--description", "Crown")
    shown = document(practice, "payment-requests", "show", added["id"])
    table = command(practice, "payment-requests", "list", "--location", "leura")
    cancelled = document(practice, "payment-requests", "cancel", added["id"])
    again = command(practice, "payment-requests", "cancel", added["id"])

    assert (added["total_cents"], shown["total_cents"], shown["paid_cents"]) == (20_000, 20_000, 0)
    assert [(part["due"], part["cents"]) for part in shown["parts"]] == [("2026-09-01", 12_000), ("2026-09-11", 8_000)]
    assert all(part in table.out for part in (added["id"], "200.00", "25/09/2026"))
    assert cancelled["voided"] == 2
    assert (again.code, "is cancelled already" in again.err) == (1, True)
    assert [row["status"] for row in document(practice, "payment-requests", "list", "--location", "leura")] == [
        "cancelled"
    ]
    assert verify_ledger(practice.context).faults == []


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[tuple[Practice, str]]:
    """A practice with one member, for mistakes that change nothing."""
    with running_practice(tmp_path_factory.mktemp("bench"), template) as practice:
        yield practice, payer(practice).member_id


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--amount", "0"), 1, "An amount must be above zero."),
        (("--amount", "-1"), 1, "An amount must be above zero."),
        (("--amount", "0.49"), 1, "the least that can be charged is 0.50 AUD"),
        (("--amount", "1.005"), 1, "not an amount in whole cents"),
        (("--amount", "1000000"), 1, "is too large: the limit is 999,999.99"),
        (("--amount", "5", "--amount", "0"), 1, "An amount must be above zero."),
        (("--amount", "5", "--due", "2026-08-31"), 1, "cannot lie in the past: today is 2026-09-01"),
        (("--amount", "5", "--due", "2036-09-02"), 1, "check the year of 2036-09-02"),
        (("--amount", "5", "--due", "9999-12-31"), 2, "from 2000 to 2199: check the year"),
        (("--amount", "5", "--due", "31/12/2026"), 2, "does not match the format"),
        (("--amount", "5", "--amount", "6", "--due", "2026-09-02"), 2, "a --due for each --amount"),
        (("--amount", "5") * 25, 1, "1 to 24 amounts, not 25"),
        (("--amount", "5", "--description", "two\nlines"), 1, "one line of at most 200 printable characters"),
        ((), 2, "Missing option '--amount'"),
    ],
)
def test_a_refusal_is_one_sentence_and_changes_nothing(
    bench: tuple[Practice, str], arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    """No request, no invoice and no message comes of a slip."""
    practice, member_id = bench
    before = len(practice.all(Message))

    done = command(practice, "payment-requests", "add", member_id, *arguments)

    assert (done.code, done.out) == (code, "")
    assert sentence in done.err
    assert (practice.all(InstantPayment), invoices(practice), len(practice.all(Message))) == ([], [], before)
