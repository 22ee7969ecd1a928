"""What is refunded is not owed again: a credit note takes it off the invoice, to the cent and by account."""

from __future__ import annotations

import pytest

from connector.billing.collecting.charges import Payment, UndoneReturn
from connector.billing.invoices import CreditNote, Invoice, InvoiceStatus
from connector.ledger.accounts import Account
from connector.ledger.journal import JournalEntry
from connector.ledger.recipes import Recipe
from connector.money import Money
from connector.reconciliation.differences import DifferenceKind
from connector.use_cases.books.report_day import report_day
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.invoices.invoice_document import invoice_document
from connector.use_cases.invoices.release_invoice import cancel_invoice
from connector.use_cases.patient_pages.pay_invoice import pay_invoice
from connector.use_cases.returns.record_bank_refund import record_bank_refund
from connector.use_cases.returns.refund_payment import refund_payment
from tests.support.commands import command, document
from tests.support.membership_life import child
from tests.support.platform_fees import on_tier
from tests.support.practice import Practice

PRICE = 2_990
INCOME = (Account.MEMBERSHIP_INCOME, Account.GST_PAYABLE, Account.FEES_CHARGED_ON)


def aud(cents: int) -> Money:
    return Money(cents, "aud")


def paid(practice: Practice, method: str = "pm_card_visa") -> Payment:
    """A payment that stands in the practice system."""
    practice.enrol(method)
    practice.work()
    practice.settle()
    return practice.all(Payment)[-1]


def refund(practice: Practice, payment: Payment, cents: int) -> None:
    """The front desk gives so much back; parts of a payment are then taken off the ledger by hand."""
    refund_payment(practice.context, payment.id, aud(cents), "goodwill", "front desk")
    practice.work()
    practice.settle()


def dispute(practice: Practice, **fields: object) -> str:
    """The payer's bank fetches money of the only charge back; returns the dispute's id."""
    (intent,) = practice.stripe_listed("payment_intents")
    practice.stripe.post("disputes", payment_intent=intent["id"], **fields)
    practice.work()
    practice.settle()
    return str(practice.stripe_listed("disputes")[-1]["id"])


def balance(practice: Practice, *accounts: Account) -> int:
    """Cents in these accounts together, of a book without a fault."""
    verified = verify_ledger(practice.context)
    assert verified.faults == []
    return sum(verified.balances.get((account, "aud"), 0) for account in accounts)


def test_a_refund_closes_what_it_reopened(practice: Practice) -> None:
    """Nothing is owed, nothing was earned, the invoice stays paid, and the day is explained."""
    payment = paid(practice)

    refund(practice, payment, PRICE)

    (invoice,) = practice.all(Invoice)
    (note,) = practice.all(CreditNote)
    assert (note.number, note.amount_cents, note.invoice_id) == (1, PRICE, invoice.id)
    assert invoice.status is InvoiceStatus.COMPLETED
    assert balance(practice, Account.RECEIVABLE) == balance(practice, *INCOME) == 0
    assert report_day(practice.context, practice.location, practice.today).differences == ()
    practice.assert_all_written()


def test_an_invoice_shows_its_credit_notes(practice: Practice) -> None:
    """On paper and at the command line, by number; what was credited is not due."""
    payment = paid(practice)
    refund(practice, payment, 1_000)

    with practice.context.database.read() as session:
        shown = invoice_document(session, session.query(Invoice).one())
    history = document(practice, "invoices", "show", "LEURA-000001")
    page = command(practice, "invoices", "html", "LEURA-000001").out

    assert (shown.total, shown.credited, shown.paid, shown.total_due) == (aud(PRICE), aud(1_000), aud(1_990), aud(0))
    assert shown.payment_notes[-1] == "Credit note LEURA-CN-000001 on 01/09/2026: -$10.00"
    assert [(row["number"], row["amount_cents"]) for row in history["credit_notes"]] == [("LEURA-CN-000001", 1_000)]
    assert "LEURA-CN-000001" in command(practice, "invoices", "show", "LEURA-000001").out
    assert "Credited" in page
    assert "LEURA-CN-000001" in page


def test_several_refunds_credit_each_account_to_the_cent(practice: Practice) -> None:
    """A household whose payer bears the platform fee, with its GST, in seven odd parts."""
    on_tier(practice, fee_bearer="patient")
    holder = practice.enrol()
    child(practice, holder.contract_id, 1)
    practice.work()
    practice.settle()
    (payment,) = practice.all(Payment)
    parts = [1, 333, 7, 1_001, 50, 2]

    for cents in [*parts, payment.amount_cents - sum(parts)]:
        refund(practice, payment, cents)

    assert [note.number for note in practice.all(CreditNote)] == list(range(1, 8))
    assert sum(note.amount_cents for note in practice.all(CreditNote)) == payment.amount_cents
    for account in (Account.RECEIVABLE, *INCOME):
        assert balance(practice, account) == 0, account


def test_a_refund_from_the_practices_bank_is_credited_too(practice: Practice) -> None:
    """However it was paid back."""
    payment = paid(practice)

    record_bank_refund(practice.context, payment.id, aud(900), practice.today, "cash", "front desk")

    assert [note.amount_cents for note in practice.all(CreditNote)] == [900]
    assert balance(practice, Account.RECEIVABLE) == 0
    assert balance(practice, *INCOME) == 900 - PRICE


def test_a_refund_that_fails_later_is_not_credited_any_more(practice: Practice) -> None:
    """The note stays with its number; an entry of its own takes it back, and the next note has the next number."""
    payment = paid(practice, "pm_card_refundFail")
    refund(practice, payment, PRICE)
    for _ in range(2):
        practice.advance(days=1)
        practice.work()
    assert len(practice.all(UndoneReturn)) == 1
    assert balance(practice, Account.RECEIVABLE) == 0
    assert balance(practice, *INCOME) == -PRICE
    with practice.context.database.read() as session:
        assert invoice_document(session, session.query(Invoice).one()).credited == aud(0)

    record_bank_refund(practice.context, payment.id, aud(PRICE), practice.today, "again", "front desk")

    assert [note.number for note in practice.all(CreditNote)] == [1, 2]
    assert balance(practice, Account.RECEIVABLE) == balance(practice, *INCOME) == 0


def test_the_second_payment_of_an_invoice_is_given_back_without_a_credit_note(practice: Practice) -> None:
    """The invoice still asks for its amount, and has it."""
    paid(practice)
    lost = dispute(practice)
    pay_invoice(practice.context, practice.all(Invoice)[0].id, "https://example.com/back")
    practice.stripe.post("disputes/won", dispute=lost)
    practice.work()
    assert balance(practice, Account.RECEIVABLE) == -PRICE

    refund(practice, practice.all(Payment)[-1], PRICE)

    assert practice.all(CreditNote) == []
    assert balance(practice, Account.RECEIVABLE) == 0
    assert balance(practice, *INCOME) == -PRICE


@pytest.mark.parametrize("ended_by", ["payment", "cancellation"])
def test_a_dispute_over_the_rest_asks_for_no_more_than_the_rest(practice: Practice, ended_by: str) -> None:
    """Ten dollars were given back, the bank fetched the rest: the link asks for that, in proportion to the lines."""
    payment = paid(practice)
    refund(practice, payment, 1_000)
    dispute(practice, amount=1_990)
    (invoice,) = practice.all(Invoice)
    assert invoice.status is InvoiceStatus.OVERDUE
    assert balance(practice, Account.RECEIVABLE) == 1_990

    if ended_by == "payment":
        pay_invoice(practice.context, invoice.id, "https://example.com/back")
        practice.work()
        practice.settle()
        assert [row.amount_cents for row in practice.all(Payment)] == [PRICE, 1_990]
        assert [row["cents"] for row in practice.pms_rows()] == [PRICE, 1_990]
        assert balance(practice, *INCOME) == -1_990
    else:
        cancel_invoice(practice.context, invoice.id, "front desk")
        assert balance(practice, *INCOME) == 0

    assert balance(practice, Account.RECEIVABLE) == 0
    assert report_day(practice.context, practice.location, practice.today).differences == ()


def test_what_was_credited_before_an_invoice_became_void_counts_once(practice: Practice) -> None:
    """The void takes all of it back; a refund that fails after that leaves money that nobody owes, by name."""
    payment = paid(practice, "pm_card_refundFailLate")
    refund(practice, payment, 1_000)
    dispute(practice, amount=1_990)
    cancel_invoice(practice.context, practice.all(Invoice)[0].id, "front desk")
    assert balance(practice, Account.RECEIVABLE) == balance(practice, *INCOME) == 0

    for _ in range(31):
        practice.advance(days=1)
        practice.charge()
    (undone,) = practice.all(UndoneReturn)

    assert [row.recipe for row in practice.all(JournalEntry)].count(Recipe.CREDIT_NOTE_CANCELLED) == 1
    assert balance(practice, *INCOME) == -sum(row.amount_cents for row in practice.all(Invoice)[1:])
    found = report_day(practice.context, practice.location, undone.business_date).differences
    assert [(row.kind, row.cents) for row in found] == [(DifferenceKind.KEPT_TOO_MUCH, 1_000)]
