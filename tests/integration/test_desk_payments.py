"""What is paid at the practice: noted once, never debited as well, and shown in every book but Stripe's."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.collecting.charges import AttemptState, ChargeAttempt, Payment
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import MethodKind
from connector.errors import DomainError
from connector.ledger.accounts import Account
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.queue import post_by_person
from connector.ledger.write_back.states import WriteBackState
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.reconciliation.differences import DifferenceKind
from connector.use_cases.books.report_day import report_day
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.collection.record_desk_payment import DeskMethod, record_desk_payment
from connector.use_cases.returns.record_bank_refund import record_bank_refund
from connector.use_cases.returns.refund_payment import refund_payment
from tests.support.commands import assert_refused, command, document
from tests.support.practice import Enrolled, Practice
from tests.support.requests import STAFF, give

PRICE = 2_990
CASH = DeskMethod.CASH


def owing(practice: Practice) -> Enrolled:
    """Somebody whose second period was declined."""
    person = practice.enrol()
    practice.work()
    practice.settle()
    give(practice, person, "pm_card_decline_insufficient_funds")
    practice.advance(days=30)
    practice.work()
    return person


def overdue(practice: Practice) -> Invoice:
    (invoice,) = (row for row in practice.all(Invoice) if row.status is InvoiceStatus.OVERDUE)
    return invoice


def receivable(practice: Practice) -> int:
    verified = verify_ledger(practice.context)
    assert verified.faults == []
    return verified.balances.get((Account.RECEIVABLE, "aud"), 0)


def test_what_is_paid_at_the_desk_ends_the_recovery_and_waits_to_be_posted(practice: Practice) -> None:
    """Nothing is tried any more; once posted it stands in the ledger like any other, and the day is explained."""
    owing(practice)
    invoice = overdue(practice)

    payment = record_desk_payment(practice.context, invoice.id, CASH, practice.today, STAFF, note="two notes")

    row = practice.all(WriteBack)[-1]
    assert (payment.amount_cents, payment.method_kind, payment.fee_cents) == (PRICE, MethodKind.DESK, 0)
    assert (row.state, row.payment_type, row.amount_cents) == (WriteBackState.READY, "Cash", PRICE)
    assert [row.status for row in practice.all(Contract)] == [AgreementStatus.ACTIVE]
    assert receivable(practice) == 0
    with practice.context.database.unit_of_work() as session:
        post_by_person(session, row.id, practice.clock.now(), STAFF)
    practice.write()
    practice.settle()
    assert [row["cents"] for row in practice.pms_rows()] == [PRICE, PRICE]
    found = report_day(practice.context, practice.location, practice.today)
    assert (found.differences, found.taken.cents) == ((), PRICE)
    tried = len(practice.all(ChargeAttempt))
    for _ in range(25):
        practice.advance(days=1)
        practice.work()
    assert len(practice.all(ChargeAttempt)) == tried


def test_what_was_planned_is_called_off(practice: Practice) -> None:
    """A bank debit that is to be made on Monday, paid on Saturday in cash."""
    practice.enrol("pm_becs_success")
    practice.advance(days=4)
    practice.charge()
    (invoice,) = practice.all(Invoice)

    record_desk_payment(practice.context, invoice.id, CASH, practice.today, STAFF)
    for _ in range(6):
        practice.advance(days=1)
        practice.charge()

    assert [row.state for row in practice.all(ChargeAttempt)] == [AttemptState.WITHDRAWN]
    assert len(practice.all(Payment)) == 1
    assert practice.stripe_listed("charges") == []


def test_cash_for_a_debit_under_way_needs_a_second_word_and_is_named_when_both_arrive(practice: Practice) -> None:
    """The warning comes first; with both, staff give one back, and each stands in the ledger once."""
    practice.enrol("pm_becs_success")
    practice.work()
    (invoice,) = practice.all(Invoice)
    practice.advance(days=1)
    with pytest.raises(DomainError, match="is under way and cannot be called off"):
        record_desk_payment(practice.context, invoice.id, CASH, practice.today, STAFF)
    assert practice.all(Payment) == []

    record_desk_payment(practice.context, invoice.id, CASH, practice.today, STAFF, anyway=True)
    for _ in range(4):
        practice.advance(days=1)
        practice.work()

    desk, debit = practice.all(Payment)
    assert len({desk.method_kind, debit.method_kind}) == 2
    assert receivable(practice) == -PRICE
    assert [row.kind for row in practice.all(Message) if row.kind is MessageKind.KEPT_TOO_MUCH]
    surplus = report_day(practice.context, practice.location, debit.business_date).differences
    assert (DifferenceKind.KEPT_TOO_MUCH, PRICE) in [(row.kind, row.cents) for row in surplus]
    assert sorted(row.source_id for row in practice.all(WriteBack)) == sorted([desk.id, debit.id])


def test_a_debit_that_fails_after_cash_was_taken_leaves_the_invoice_paid(practice: Practice) -> None:
    """Nobody is reminded of what is paid."""
    practice.enrol("pm_becs_fail_refer_to_customer")
    practice.work()
    (invoice,) = practice.all(Invoice)
    record_desk_payment(practice.context, invoice.id, CASH, practice.today, STAFF, anyway=True)

    for _ in range(6):
        practice.advance(days=1)
        practice.work()

    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.COMPLETED]
    assert not [row for row in practice.all(Message) if row.kind is MessageKind.PAYMENT_FAILED]
    assert receivable(practice) == 0


def test_what_was_paid_at_the_desk_is_given_back_there(practice: Practice) -> None:
    """Stripe has no money of it; the refund is noted, credited and reversed like any other."""
    owing(practice)
    payment = record_desk_payment(practice.context, overdue(practice).id, CASH, practice.today, STAFF, in_pms=True)
    assert practice.all(WriteBack)[-1].state is WriteBackState.RECORDED

    with pytest.raises(DomainError, match="was made at the practice, so Stripe cannot refund it"):
        refund_payment(practice.context, payment.id, payment.amount, "", STAFF)
    record_bank_refund(practice.context, payment.id, payment.amount, practice.today, "", STAFF)

    assert receivable(practice) == 0
    assert practice.stripe_listed("refunds") == []


def test_payments_at_the_desk_are_noted_on_the_command_line(practice: Practice) -> None:
    """By printed number; not twice, not in the future, not for what is paid, and no card number in the note."""
    owing(practice)
    number = "LEURA-000002"
    record = ("payments", "record", number, "--by", "eftpos", "--yes", "--on")
    tomorrow = (practice.today + timedelta(days=1)).isoformat()

    assert_refused(practice, "and not in the future", *record, tomorrow)
    assert_refused(practice, "card number", *record, practice.today.isoformat(), "--note", "4242 4242 4242 4242")
    unasked = command(practice, *record[:-2], "--on", practice.today.isoformat(), "--json")
    assert (unasked.code, "add --yes" in unasked.out) == (1, True)
    done = document(practice, *record, practice.today.isoformat())
    assert done["amount_cents"] == PRICE
    assert_refused(practice, "only one that is owed can be paid", *record, practice.today.isoformat())
    assert "At the practice" in command(practice, "invoices", "html", number).out
    assert document(practice, "payments", "show", done["id"])["payment"]["method_kind"] == "desk"


def test_a_cheque_that_bounces_is_owed_again_and_taken_off_the_ledger(practice: Practice) -> None:
    """Nothing collects it by itself; it is paid once more at the desk, and every book shows both."""
    owing(practice)
    invoice = overdue(practice)
    cheque = record_desk_payment(practice.context, invoice.id, DeskMethod.CHEQUE, practice.today, STAFF)
    with practice.context.database.unit_of_work() as session:
        post_by_person(session, practice.all(WriteBack)[-1].id, practice.clock.now(), STAFF)
    practice.work()
    practice.settle()
    tried = len(practice.all(ChargeAttempt))

    practice.advance(days=3)
    practice.work()
    done = document(practice, "payments", "bounced", cheque.id, "--on", practice.today.isoformat(), "--yes")
    practice.work()
    practice.settle()

    assert done["amount_cents"] == PRICE
    assert (overdue(practice).id, receivable(practice)) == (invoice.id, PRICE)
    assert [row.status for row in practice.all(Contract)] == [AgreementStatus.OVERDUE]
    assert [row["cents"] for row in practice.pms_rows()] == [PRICE, PRICE, -PRICE]
    assert report_day(practice.context, practice.location, practice.today).differences == ()
    for _ in range(8):
        practice.advance(days=1)
        practice.work()
    assert len(practice.all(ChargeAttempt)) == tried
    assert "Bounced on" in command(practice, "invoices", "html", "LEURA-000002").out
    record_desk_payment(practice.context, invoice.id, CASH, practice.today, STAFF)
    assert (receivable(practice), [row.status for row in practice.all(Contract)]) == (0, [AgreementStatus.ACTIVE])


def test_only_what_was_paid_at_the_practice_bounces_there_and_once(practice: Practice) -> None:
    """Not a card's payment, and not in the future; what has gone back cannot be given back as well."""
    owing(practice)
    card = practice.all(Payment)[0]
    cheque = record_desk_payment(practice.context, overdue(practice).id, DeskMethod.CHEQUE, practice.today, STAFF)
    today, tomorrow = ((practice.today + timedelta(days=days)).isoformat() for days in (0, 1))

    assert_refused(practice, "was made through Stripe", "payments", "bounced", card.id, "--on", today, "--yes")
    assert_refused(practice, "not in the future", "payments", "bounced", cheque.id, "--on", tomorrow, "--yes")
    assert command(practice, "payments", "bounced", cheque.id, "--on", today, "--yes").code == 0
    assert_refused(practice, "Nothing is left", "payments", "bounced", cheque.id, "--on", today, "--yes")
    assert_refused(
        practice, "Nothing is left", "payments", "record-refund", cheque.id, "--amount", "1", "--on", today, "--yes"
    )
