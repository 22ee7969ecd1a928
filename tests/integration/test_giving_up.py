"""What is owed is given up: of what is paid in part the paid part stays earned, and only the rest is taken back."""

from __future__ import annotations

import pytest

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.payment_requests import InstantPayment, RequestStatus
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import Payment
from connector.billing.invoices import CreditNote, Invoice, InvoiceStatus
from connector.errors import EdgeError
from connector.ledger.accounts import Account
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.reconciliation.differences import DifferenceKind
from connector.use_cases.books.report_day import report_day
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.invoices.invoice_document import invoice_document
from connector.use_cases.invoices.release_invoice import cancel_invoice
from connector.use_cases.patient_pages.pay_request import pay_request
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan
from connector.use_cases.payment_plans.end_payment_plan import cancel_payment_plan
from connector.use_cases.payment_plans.list_payment_plans import show_payment_plan
from connector.use_cases.requests.hold_payment import authorise_hold
from connector.use_cases.requests.request_payment import cancel_request, request_payment
from connector.use_cases.requests.settle_hold import capture_hold
from tests.support.commands import assert_refused, command, document
from tests.support.platform_fees import on_tier
from tests.support.practice import Enrolled, Practice
from tests.support.requests import STAFF, aud, hold_for, hold_of, method_of

PRICE = 2_990
INCOME = (Account.MEMBERSHIP_INCOME, Account.GST_PAYABLE, Account.FEES_CHARGED_ON)
BACK = "https://example.com/back"


def member(practice: Practice) -> Enrolled:
    """Somebody with a card whose membership is paid for a year."""
    person = practice.enrol(frequency=Frequency.ANNUALLY)
    practice.work()
    practice.settle()
    return person


def disputed(practice: Practice, **fields: object) -> tuple[Invoice, str]:
    """The newest payment is fetched back, all or in part; returns its invoice as it stands then, and the dispute."""
    practice.settle()
    payment = practice.all(Payment)[-1]
    practice.advance(minutes=1)
    practice.stripe.post("disputes", charge=payment.processor_charge_id, **fields)
    practice.work()
    practice.settle()
    return standing(practice, payment.invoice_id), str(practice.stripe_listed("disputes")[-1]["id"])


def standing(practice: Practice, invoice_id: str) -> Invoice:
    with practice.context.database.read() as session:
        return session.get_one(Invoice, invoice_id)


def balance(practice: Practice, *accounts: Account) -> int:
    """Cents in these accounts together, of a book without a fault."""
    verified = verify_ledger(practice.context)
    assert verified.faults == []
    return sum(verified.balances.get((account, "aud"), 0) for account in accounts)


def assert_explained(practice: Practice) -> None:
    """Nothing is owed, nothing is kept without a reason, and all of it is written."""
    assert balance(practice, Account.RECEIVABLE) == 0
    assert report_day(practice.context, practice.location, practice.today).differences == ()
    practice.assert_exactly_once()


def test_an_invoice_that_is_disputed_in_part_stays_paid_for_the_rest(practice: Practice) -> None:
    """Ten dollars are given up with a credit note; the invoice is paid, on paper too, and the membership in order."""
    practice.enrol()
    practice.work()
    invoice, _ = disputed(practice, amount=1_000)
    assert invoice.status is InvoiceStatus.OVERDUE

    done = command(practice, "invoices", "cancel", "LEURA-000001")

    assert (done.code, "stays paid as far as it is: nothing more is owed on it." in done.out) == (0, True)
    assert standing(practice, invoice.id).status is InvoiceStatus.COMPLETED
    assert [row.status for row in practice.all(Contract)] == [AgreementStatus.ACTIVE]
    (note,) = practice.all(CreditNote)
    assert (note.number, note.amount_cents, note.returned_payment_id) == (1, 1_000, None)
    assert balance(practice, *INCOME) == 1_000 - PRICE
    with practice.context.database.read() as session:
        shown = invoice_document(session, session.get_one(Invoice, invoice.id))
    assert (shown.paid, shown.credited, shown.total_due) == (aud(1_990), aud(1_000), aud(0))
    assert "LEURA-CN-000001" in command(practice, "invoices", "show", "LEURA-000001").out
    assert_explained(practice)


def test_a_dispute_that_is_won_after_that_is_a_surplus(practice: Practice) -> None:
    """As after any cancellation: the money is here, and nobody owes it. Each account had its part taken back."""
    on_tier(practice, fee_bearer="patient")
    practice.enrol()
    practice.work()
    invoice, dispute = disputed(practice, amount=1_000)
    cancel_invoice(practice.context, invoice.id, STAFF)
    assert balance(practice, *INCOME) == 1_000 - invoice.amount_cents

    practice.stripe.post("disputes/won", dispute=dispute)
    practice.work()
    practice.settle()

    found = report_day(practice.context, practice.location, practice.today).differences
    assert [(row.kind, row.cents) for row in found] == [(DifferenceKind.KEPT_TOO_MUCH, 1_000)]
    assert [row.kind for row in practice.all(Message)].count(MessageKind.KEPT_TOO_MUCH) == 1
    assert balance(practice, Account.RECEIVABLE) == -1_000


def test_a_payment_plan_that_is_cancelled_keeps_what_was_paid(practice: Practice) -> None:
    """Of the first instalment 10 of 100 dollars are disputed: it counts as paid, and its income is 90."""
    person = member(practice)
    plan_id = start_payment_plan(practice.context, person.member_id, aud(30_000), 3, Frequency.MONTHLY, practice.today)
    practice.work()
    invoice, _ = disputed(practice, amount=1_000)

    cancelled = cancel_payment_plan(practice.context, plan_id, STAFF)

    plan = show_payment_plan(practice.context, plan_id)
    assert (cancelled, plan.status, str(plan.progress), plan.progress.balance) == (1, "cancelled", "1/3", aud(0))
    assert standing(practice, invoice.id).status is InvoiceStatus.COMPLETED
    assert [note.amount_cents for note in practice.all(CreditNote)] == [1_000]
    assert_explained(practice)


def test_a_request_that_is_cancelled_keeps_what_was_paid(practice: Practice) -> None:
    """One of its amounts is paid and disputed in part, the other is still to fall due."""
    person = member(practice)
    later = practice.today.replace(day=20)
    request_id = request_payment(
        practice.context, person.member_id, [(aud(12_000), practice.today), (aud(8_000), later)], STAFF
    )
    pay_request(practice.context, request_id, BACK)
    practice.work()
    disputed(practice, amount=2_000)

    assert cancel_request(practice.context, request_id, STAFF) == 2

    statuses = [row.status for row in practice.all(Invoice)][1:]
    assert statuses == [InvoiceStatus.COMPLETED, InvoiceStatus.CANCELLED]
    assert_explained(practice)


def captured_short(practice: Practice) -> Invoice:
    """The answer to our 80.00 was lost and somebody took 50.00 of the hold at the dashboard: 30.00 are owed."""
    person = member(practice)
    hold_id = hold_for(practice, person)
    authorise_hold(practice.context, hold_id, method_of(practice, person))
    practice.stripe.post("down", down=True)
    with pytest.raises(EdgeError):
        capture_hold(practice.context, hold_id, aud(8_000), STAFF)
    practice.stripe.post("down", down=False)
    practice.stripe_do(f"payment_intents/{hold_of(practice).processor_id}/capture", amount_to_capture="5000")
    practice.advance(hours=1)
    practice.work()
    return practice.all(Invoice)[-1]


def test_what_a_hold_was_captured_short_of_is_given_up(practice: Practice) -> None:
    """30.00 are credited. When the rest is fetched back, the invoice is void, and the credit counts once."""
    invoice = captured_short(practice)
    cancel_invoice(practice.context, invoice.id, STAFF)
    assert standing(practice, invoice.id).status is InvoiceStatus.COMPLETED
    assert [note.amount_cents for note in practice.all(CreditNote)] == [3_000]
    assert balance(practice, Account.RECEIVABLE) == 0

    fetched, _ = disputed(practice)
    assert fetched.status is InvoiceStatus.OVERDUE
    cancel_invoice(practice.context, invoice.id, STAFF)

    assert standing(practice, invoice.id).status is InvoiceStatus.CANCELLED
    assert_explained(practice)


def test_a_dispute_that_is_won_leaves_the_rest_owed(practice: Practice) -> None:
    """What the hold was captured short of is owed whoever wins, and nothing is too much."""
    captured_short(practice)
    invoice, dispute = disputed(practice, amount=1_000)

    practice.stripe.post("disputes/won", dispute=dispute)
    practice.work()
    practice.settle()

    assert standing(practice, invoice.id).status is InvoiceStatus.OVERDUE
    assert balance(practice, Account.RECEIVABLE) == 3_000
    assert MessageKind.KEPT_TOO_MUCH not in [row.kind for row in practice.all(Message)]


def test_a_disputed_payment_of_a_request_that_is_over_is_given_up_by_its_invoice(practice: Practice) -> None:
    """The request is complete, or was cancelled for its other amount: nothing else could end what is owed."""
    person = member(practice)
    parts = [(aud(12_000), practice.today), (aud(8_000), practice.today.replace(day=20))]
    asked = [request_payment(practice.context, person.member_id, parts[:count], STAFF) for count in (1, 2)]
    owed = []
    for request_id in asked:
        pay_request(practice.context, request_id, BACK)
        practice.work()
        owed.append(practice.all(Payment)[-1].invoice_id)
    assert_refused(practice, "cancel that with", "invoices", "cancel", practice.all(Invoice)[-1].id)
    cancel_request(practice.context, asked[1], STAFF)
    practice.settle()
    for payment in practice.all(Payment)[-2:]:
        practice.stripe.post("disputes", charge=payment.processor_charge_id)
    practice.advance(minutes=1)
    practice.work()
    practice.settle()

    ends = [document(practice, "invoices", "cancel", invoice_id)["status"] for invoice_id in owed]

    assert ends == [InvoiceStatus.CANCELLED] * 2
    assert [row.status for row in practice.all(InstantPayment)] == [RequestStatus.COMPLETED, RequestStatus.CANCELLED]
    assert_explained(practice)
