"""Money that goes back, and money that comes again after that: asked for here, at Stripe, or by the payer's bank."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from connector.billing.activity import Activity
from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import (
    ChargeAttempt,
    Payment,
    RefundRequest,
    RefundState,
    ReturnedPayment,
    UndoneReturn,
)
from connector.billing.collecting.recovery import Recovery
from connector.billing.inbox import InboxEvent
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.errors import DomainError, EdgeError
from connector.ledger.accounts import Account
from connector.ledger.write_back import queue
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.reference import undone_reference
from connector.ledger.write_back.states import WriteBackState
from connector.money import Money
from connector.use_cases.books.report_day import report_day
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.collection.read_news import NewsReport, handle_events
from connector.use_cases.patient_pages.pay_invoice import pay_invoice
from connector.use_cases.recovery.recover import DISPUTED
from connector.use_cases.returns.refund_payment import refund_payment, work_refunds
from tests.support.commands import command, document
from tests.support.membership_life import child
from tests.support.practice import Practice

S = WriteBackState
REFUNDS = "/v1/refunds"
PRICE = 2_990


def aud(cents: int) -> Money:
    return Money(cents, "aud")


def paid(practice: Practice, method: str = "pm_card_visa", frequency: Frequency = Frequency.MONTHLY) -> Payment:
    """A payment that stands in the practice system."""
    practice.enrol(method, frequency=frequency)
    for _ in range(1 if method.startswith("pm_card") else 5):
        practice.work()
        practice.advance(days=1)
    practice.work()
    practice.settle()
    return practice.all(Payment)[-1]


def pass_days(practice: Practice, days: int) -> None:
    """Day after day, news are read and everything due is done."""
    for _ in range(days):
        practice.advance(days=1)
        practice.work()
    practice.settle()


def entries(practice: Practice) -> list[int]:
    """Cents of what stands in the practice system, in the order of its numbers."""
    return [row["cents"] for row in sorted(practice.pms_rows(), key=lambda row: int(row["PayNum"]))]


def assert_day_is_explained(practice: Practice) -> None:
    """Today's report finds no difference in any book."""
    found = report_day(practice.context, practice.location, practice.today)
    assert (found.differences, found.problems) == ((), ())


def test_a_refund_asked_for_here_is_recorded_once_and_reversed(practice: Practice) -> None:
    """The answer, the events and a second look all find the same return."""
    payment = paid(practice)

    request = refund_payment(practice.context, payment.id, payment.amount, "moved away", "front desk")
    practice.work()
    practice.advance(minutes=10)
    assert work_refunds(practice.context) == []
    practice.work()
    practice.settle()

    assert (request.state, request.actor, request.reason) == (RefundState.SUCCEEDED, "front desk", "moved away")
    assert [row.processor_id for row in practice.all(ReturnedPayment)] == [request.processor_id]
    assert entries(practice) == [PRICE, -PRICE]
    assert_day_is_explained(practice)
    practice.assert_all_written()


@pytest.mark.parametrize("hours", [1, 30])
def test_a_refund_whose_answer_was_lost_is_given_once(practice: Practice, hours: int) -> None:
    """While Stripe keeps the key it protects; after a day one looks for the refund before asking again."""
    payment = paid(practice)
    practice.stripe.post("faults", method="POST", path=REFUNDS, kind="reset_after", count=3)

    with pytest.raises(EdgeError):
        refund_payment(practice.context, payment.id, payment.amount, "", "front desk")
    practice.advance(hours=hours)
    assert work_refunds(practice.context) == []

    assert [row.state for row in practice.all(RefundRequest)] == [RefundState.SUCCEEDED]
    assert len(practice.stripe_listed("refunds")) == len(practice.all(ReturnedPayment)) == 1
    practice.work()
    practice.settle()
    practice.assert_all_written()


def test_a_refund_that_never_reached_stripe_is_asked_for_again(practice: Practice) -> None:
    """Also after Stripe has forgotten the key; until then it counts as given, so that nobody asks twice."""
    payment = paid(practice)
    practice.stripe.post("down", down=True)
    with pytest.raises(EdgeError):
        refund_payment(practice.context, payment.id, payment.amount, "", "front desk")
    with pytest.raises(DomainError, match="Nothing is left"):
        refund_payment(practice.context, payment.id, aud(1), "", "front desk")
    practice.clock.advance(timedelta(hours=30))
    assert work_refunds(practice.context) != []

    practice.stripe.post("down", down=False)
    practice.advance(hours=1)
    assert work_refunds(practice.context) == []

    assert len(practice.stripe_listed("refunds")) == len(practice.all(ReturnedPayment)) == 1
    practice.assert_exactly_once()


def test_the_refund_of_a_bank_debit_takes_days(practice: Practice) -> None:
    """It is under way until the payer's bank has it; the reversal is written then, and not before."""
    payment = paid(practice, "pm_becs_success")

    request = refund_payment(practice.context, payment.id, payment.amount, "", "front desk")
    practice.work()

    assert (request.state, practice.all(ReturnedPayment)) == (RefundState.PENDING, [])
    pass_days(practice, 6)
    assert [row.state for row in practice.all(RefundRequest)] == [RefundState.SUCCEEDED]
    assert entries(practice) == [PRICE, -PRICE]
    practice.assert_all_written()


def test_what_may_not_be_refunded_is_refused_and_changes_nothing(practice: Practice) -> None:
    """Too much, nothing, twice, while it is disputed, before there is a payment, and after Stripe's time for debits."""
    payment, disputed = paid(practice), paid(practice, "pm_card_createDispute")
    debit = paid(practice, "pm_becs_success")
    practice.enrol("pm_becs_success")
    practice.work()
    invoice = next(row for row in practice.all(Invoice) if row.status is InvoiceStatus.PROCESSING)
    practice.advance(days=91)
    refund_payment(practice.context, payment.id, aud(1_000), "", "front desk")
    before = len(practice.all(RefundRequest)), len(practice.stripe_listed("refunds"))

    for payment_id, cents, words in (
        (payment.id, 1_991, "19.90 AUD are left"),
        (payment.id, 0, "more than nothing"),
        (payment.id, -5, "more than nothing"),
        (disputed.id, PRICE, "is disputed"),
        (debit.id, PRICE, "record-refund"),
        (invoice.id, PRICE, "still under way"),
        ("pay_unknown", PRICE, "connector payments list"),
    ):
        with pytest.raises(DomainError, match=words):
            refund_payment(practice.context, payment_id, aud(cents), "", "front desk")

    assert (len(practice.all(RefundRequest)), len(practice.stripe_listed("refunds"))) == before


def test_a_refund_made_while_a_debit_is_under_way_ends_with_it(practice: Practice) -> None:
    """Somebody asked at Stripe's dashboard; the debit fails, so no money went anywhere and the invoice is overdue."""
    practice.enrol("pm_becs_fail_refer_to_customer")
    practice.work()
    (intent,) = practice.stripe_listed("payment_intents")
    practice.stripe_do("refunds", payment_intent=intent["id"])

    pass_days(practice, 5)

    assert [row["status"] for row in practice.stripe_listed("refunds")] == ["canceled"]
    assert (practice.all(Payment), practice.all(ReturnedPayment), practice.states()) == ([], [], [])
    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.OVERDUE]
    practice.assert_exactly_once()


def test_a_refund_that_fails_weeks_later_stands_in_the_practice_system_again(practice: Practice) -> None:
    """The reversal is not edited: the payment is entered once more, and can be given back once more."""
    payment = paid(practice, "pm_card_refundFailLate", Frequency.ANNUALLY)
    price = payment.amount_cents
    refund_payment(practice.context, payment.id, payment.amount, "", "front desk")
    pass_days(practice, 31)

    (undone,) = practice.all(UndoneReturn)
    again = next(row for row in practice.all(WriteBack) if row.source_id == undone.id)
    reversal = practice.write_back(Leg.REVERSAL)
    assert [row.state for row in practice.all(RefundRequest)] == [RefundState.FAILED]
    assert (again.reference, again.reverses_id) == (undone_reference(reversal.reference), reversal.id)
    assert entries(practice) == [price, -price, price]
    assert_day_is_explained(practice)
    practice.assert_all_written()

    events = practice.all(InboxEvent)
    with practice.context.database.unit_of_work() as session:
        for event in events:
            session.merge(event).handled_at = None
    handle_events(practice.context, NewsReport())
    refund_payment(practice.context, payment.id, payment.amount, "", "front desk")
    practice.work()
    practice.settle()

    assert len(practice.all(UndoneReturn)) == 1
    last = practice.all(WriteBack)[-1]
    assert (last.reference[-2:], last.reverses_id) == ("R2", again.id)
    assert entries(practice) == [price, -price, price, -price]
    assert verify_ledger(practice.context).faults == []


def test_a_refund_undone_before_anything_was_written_is_written_in_its_order(practice: Practice) -> None:
    """Payment, reversal, payment: each waits until the one before it is proven to be there."""
    person = practice.enrol("pm_card_refundFail", linked=False)
    practice.work()
    practice.refund()
    practice.work()
    pass_days(practice, 2)
    assert practice.states() == [S.UNLINKED, S.QUEUED, S.QUEUED]
    assert practice.pms_rows() == []

    practice.link(person)
    practice.fault("reset_after")
    practice.work()
    assert len(entries(practice)) == 1
    practice.settle()

    assert entries(practice) == [PRICE, -PRICE, PRICE]
    practice.assert_all_written()


def test_what_undoes_a_reversal_typed_by_hand_is_handed_to_a_person(practice: Practice) -> None:
    """Nobody knows the entry that somebody typed in, so that person takes it back too."""
    practice.enrol("pm_card_refundFail")
    practice.work()
    practice.refund(amount="1000")
    practice.work()
    assert practice.write_back(Leg.REVERSAL).state is S.REJECTED
    practice.by_hand(queue.mark_recorded, Leg.REVERSAL)

    pass_days(practice, 2)

    undone = practice.all(WriteBack)[-1]
    assert (undone.amount_cents, undone.state) == (1_000, S.HELD)
    assert undone.reason is not None
    assert "Its reversal was typed in by hand" in undone.reason


def test_a_dispute_reopens_the_invoice_and_is_never_debited_again_by_itself(practice: Practice) -> None:
    """A bank return long after the payment: reversed, owed again, and a person speaks to the payer."""
    paid(practice, "pm_becs_success")
    practice.advance(days=20)
    (intent,) = practice.stripe_listed("payment_intents")

    practice.stripe.post("disputes", payment_intent=intent["id"])
    practice.work()
    practice.settle()

    (invoice,) = practice.all(Invoice)
    (recovery,) = practice.all(Recovery)
    assert (invoice.status, recovery.ended_because, recovery.next_on) == (InvoiceStatus.OVERDUE, DISPUTED, None)
    assert [row.status for row in practice.all(Contract)] == [AgreementStatus.SUSPENDED]
    assert entries(practice) == [PRICE, -PRICE]
    assert len(practice.all(ChargeAttempt)) == 1
    with pytest.raises(DomainError, match="is disputed"):
        refund_payment(practice.context, practice.all(Payment)[0].id, aud(PRICE), "", "front desk")
    practice.assert_all_written()


def test_a_refund_that_failed_before_anybody_saw_it_is_written_nowhere(practice: Practice) -> None:
    """The money went and came while nobody looked: in the end nothing has happened."""
    paid(practice, "pm_card_refundFail")
    practice.refund()
    practice.advance(days=2)

    practice.work()

    assert (practice.all(ReturnedPayment), entries(practice)) == ([], [PRICE])
    assert_day_is_explained(practice)
    assert verify_ledger(practice.context).faults == []


def test_a_dispute_that_is_won_settles_the_invoice_again(practice: Practice) -> None:
    """Money and fee are back, the ledger shows the payment again, nothing is owed and nobody is reminded."""
    payment = paid(practice)
    (intent,) = practice.stripe_listed("payment_intents")
    practice.stripe.post("disputes", payment_intent=intent["id"])
    (dispute,) = practice.stripe_listed("disputes")
    practice.work()
    practice.settle()
    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.OVERDUE]
    practice.advance(days=3)

    practice.stripe.post("disputes/won", dispute=dispute["id"])
    practice.work()
    practice.settle()

    (undone,) = practice.all(UndoneReturn)
    balances = verify_ledger(practice.context).balances
    assert (undone.amount_cents, undone.fee_cents) == (PRICE, 2_500)
    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.COMPLETED]
    assert [row.status for row in practice.all(Contract)] == [AgreementStatus.ACTIVE]
    assert balances[Account.RECEIVABLE, "aud"] == 0
    assert balances[Account.PROCESSOR_FEES, "aud"] == payment.fee_cents
    assert entries(practice) == [PRICE, -PRICE, PRICE]
    assert_day_is_explained(practice)
    practice.assert_all_written()


@pytest.mark.parametrize("paid_again", [False, True])
def test_a_dispute_that_is_won_after_another_card_was_given(practice: Practice, paid_again: bool) -> None:
    """The new card is not charged by itself; an invoice that its payer paid again meanwhile is a person's matter."""
    person = practice.enrol()
    practice.work()
    (intent,) = practice.stripe_listed("payment_intents")
    practice.stripe.post("disputes", payment_intent=intent["id"])
    (dispute,) = practice.stripe_listed("disputes")
    practice.work()
    practice.sign_up(person, "pm_card_mastercard")
    if paid_again:
        pay_invoice(practice.context, practice.all(Invoice)[0].id, "https://example.com/back")

    practice.advance(minutes=1)
    practice.stripe.post("disputes/won", dispute=dispute["id"])
    practice.work()
    practice.settle()

    taken = 2 if paid_again else 1
    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.COMPLETED]
    assert len(practice.stripe_charges()) == len(practice.all(Payment)) == taken
    noted = [row.detail["cents"] for row in practice.all(Activity) if row.action == "Invoice Paid Twice"]
    assert noted == [PRICE] * (taken - 1)
    assert verify_ledger(practice.context).balances[Account.RECEIVABLE, "aud"] == PRICE * (1 - taken)
    assert verify_ledger(practice.context).faults == []
    assert sum(entries(practice)) == PRICE * taken


def test_a_refund_from_the_practices_bank_moves_no_money_at_stripe(practice: Practice) -> None:
    """It is in our book and in the practice system, and Stripe's balance is not asked about it."""
    payment = paid(practice, "pm_becs_success")
    day = practice.today.isoformat()
    noted = document(
        practice,
        "payments",
        "record-refund",
        payment.id,
        "--amount",
        "29.90",
        "--on",
        day,
        "--note",
        "by hand",
        "--yes",
    )

    practice.work()
    practice.settle()

    (returned,) = practice.all(ReturnedPayment)
    shown = document(practice, "payments", "show", payment.id)
    assert (noted["id"], noted["business_date"], returned.amount_cents) == (returned.id, day, PRICE)
    assert practice.stripe_listed("refunds") == []
    assert entries(practice) == [PRICE, -PRICE]
    assert verify_ledger(practice.context).faults == []
    assert verify_ledger(practice.context).balances[Account.BANK, "aud"] == -PRICE
    assert [(row["state"], row["reason"]) for row in shown["refund_requests"]] == [("succeeded", "by hand")]
    assert_day_is_explained(practice)
    refused = command(practice, "payments", "record-refund", payment.id, "--amount", "0.01", "--on", day, "--yes")
    assert (refused.code, "Nothing is left" in refused.err) == (1, True)


def test_each_person_of_a_household_gets_back_what_was_taken(practice: Practice) -> None:
    """One refund takes from every ledger, and one failure puts the same sums back there."""
    holder = practice.enrol("pm_card_refundFail")
    child(practice, holder.contract_id, 1)
    practice.work()
    practice.refund()
    practice.work()
    practice.settle()
    taken = Counter(entries(practice))

    pass_days(practice, 2)

    parts = [cents for cents in taken.elements() if cents > 0]
    assert len(parts) == 2
    assert taken == Counter([*parts, *(-cents for cents in parts)])
    assert Counter(entries(practice)) == Counter([*parts, *parts, *(-cents for cents in parts)])
    tails = sorted(row.reference[22:] for row in practice.all(WriteBack))
    assert tails == ["", "B", "BR1", "BU1", "R1", "U1"]
    assert {row.state for row in practice.all(WriteBack)} == {S.CONFIRMED}
    assert verify_ledger(practice.context).faults == []
