"""What an accountant looks for: nothing charged twice, no rest in a ledger, and every surplus named to a person."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import AttemptState, ChargeAttempt, Origin, Payment, ReturnedPayment
from connector.billing.collecting.recovery import Recovery
from connector.billing.invoices import Invoice, InvoiceLine, InvoiceStatus
from connector.billing.prices.pricing import LineKind
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.states import WriteBackState
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.money import Money
from connector.reconciliation.differences import DifferenceKind
from connector.use_cases.books.report_day import report_day
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.invoices.release_invoice import cancel_invoice
from connector.use_cases.members.cancel_membership import Consent, cancel_membership
from connector.use_cases.members.leave_household import promote_dependent
from connector.use_cases.members.suspend_member import reactivate_member, suspend_member
from connector.use_cases.messages.message_facts import FACTS, Asked
from connector.use_cases.patient_pages.pay_invoice import pay_invoice
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan
from connector.use_cases.payment_plans.end_payment_plan import cancel_payment_plan
from connector.use_cases.recovery.recover import DISPUTED
from connector.use_cases.returns.record_bank_refund import record_bank_refund
from connector.use_cases.returns.refund_payment import refund_payment
from tests.support.away import move_to
from tests.support.membership_life import ACTOR, child, contract, sell
from tests.support.practice import Enrolled, Practice
from tests.support.requests import aud, give, plan_of

S = InvoiceStatus
PRICE = 2_990
BACK = "https://example.com/back"


def pass_days(practice: Practice, days: int) -> None:
    """Day after day, news are read and everything due is done."""
    for _ in range(days):
        practice.advance(days=1)
        practice.work()
    practice.settle()


def member(practice: Practice, method: str = "pm_card_visa") -> Enrolled:
    """Somebody whose first payment stands in the practice system."""
    person = practice.enrol(method)
    practice.work()
    practice.settle()
    return person


def newest(practice: Practice) -> Payment:
    return max(practice.all(Payment), key=lambda payment: payment.settled_at)


def dispute(practice: Practice, payment: Payment) -> str:
    """The payer's bank fetches the money back, and a day passes; returns the dispute's id at Stripe."""
    practice.stripe.post("disputes", charge=payment.processor_charge_id)
    pass_days(practice, 1)
    found = [row["id"] for row in practice.stripe_listed("disputes") if row["charge"] == payment.processor_charge_id]
    return str(found[0])


def win(practice: Practice, dispute_id: str) -> None:
    practice.stripe.post("disputes/won", dispute=dispute_id)
    pass_days(practice, 1)


def statuses(practice: Practice) -> list[InvoiceStatus]:
    """Of all invoices, by number."""
    return [row.status for row in sorted(practice.all(Invoice), key=lambda row: row.number)]


def ledger(practice: Practice) -> int:
    """Cents of everything that was, or is to be, written to the practice system."""
    return sum(row.signed.cents for row in practice.all(WriteBack))


def surpluses_told(practice: Practice) -> list[int]:
    """Cents that the notices to staff would name if they went out now."""
    found = []
    with practice.context.database.read() as session:
        for message in practice.all(Message):
            if message.kind is MessageKind.KEPT_TOO_MUCH:
                asked = Asked(practice.context, session, message, practice.location, None, practice.clock.now())
                facts = FACTS[message.kind](asked)
                amount = facts[0]["amount"] if facts else aud(0)
                assert isinstance(amount, Money)
                found.append(amount.cents)
    return found


def differences(practice: Practice) -> set[DifferenceKind]:
    """What the reports of all days with money name."""
    days = {row.business_date for row in practice.all(Payment)} | {
        r.business_date for r in practice.all(ReturnedPayment)
    }
    reports = [report_day(practice.context, practice.location, day) for day in days]
    return {difference.kind for report in reports for difference in report.differences}


def setup_fees(practice: Practice, member_id: str) -> list[int]:
    rows = practice.all(InvoiceLine)
    return [row.amount_cents for row in rows if row.member_id == member_id and row.kind is LineKind.SETUP_FEE]


def test_a_disputed_invoice_is_not_collected_from_a_new_card(practice: Practice) -> None:
    """A person decides; when the dispute is won, the money has come once."""
    person = member(practice)
    found = dispute(practice, newest(practice))

    give(practice, person, "pm_card_mastercard")
    pass_days(practice, 2)

    assert (statuses(practice), len(practice.all(ChargeAttempt))) == ([S.OVERDUE], 1)
    win(practice, found)
    assert (statuses(practice), len(practice.all(Payment)), ledger(practice)) == ([S.COMPLETED], 1, PRICE)
    assert differences(practice) == set()


def test_an_invoice_that_other_money_covers_is_not_owed_again(practice: Practice) -> None:
    """Disputed, paid by link, won, and the second payment disputed too: the first one pays for it."""
    person = member(practice)
    first = newest(practice)
    found = dispute(practice, first)
    give(practice, person, "pm_card_mastercard")
    pay_invoice(practice.context, practice.all(Invoice)[0].id, BACK)
    pass_days(practice, 1)
    win(practice, found)
    assert surpluses_told(practice) == [PRICE]
    assert differences(practice) == {DifferenceKind.KEPT_TOO_MUCH}

    dispute(practice, next(row for row in practice.all(Payment) if row.id != first.id))

    assert statuses(practice) == [S.COMPLETED]
    assert contract(practice, person.contract_id).status is AgreementStatus.ACTIVE
    assert surpluses_told(practice) == [0]
    assert (differences(practice), ledger(practice)) == (set(), PRICE)


def test_a_dispute_that_is_won_after_its_invoice_was_cancelled_is_told_to_staff(practice: Practice) -> None:
    """The invoice stays void, and its money is named until it is given back."""
    member(practice)
    found = dispute(practice, newest(practice))
    cancel_invoice(practice.context, practice.all(Invoice)[0].id, ACTOR)

    win(practice, found)

    assert (statuses(practice), surpluses_told(practice)) == ([S.CANCELLED], [PRICE])
    assert differences(practice) == {DifferenceKind.KEPT_TOO_MUCH}
    refund_payment(practice.context, newest(practice).id, aud(PRICE), "", ACTOR)
    pass_days(practice, 1)
    assert (surpluses_told(practice), differences(practice), ledger(practice)) == ([0], set(), 0)


@pytest.mark.parametrize("policy", ["notice", "charge_remainder"])
def test_a_setup_fee_that_the_old_contract_owes_is_not_charged_on_the_new_one(practice: Practice, policy: str) -> None:
    """The holder leaves before the dependent's first period was billed; it is still owed there."""
    practice.set_policy(early_cancel=policy)
    plan = sell(practice, "Bound", prices={"monthly": 2000}, setup_fee_cents=5000, lock_in_months=3)
    holder = practice.enrol(plan=plan)
    practice.work()
    kid = child(practice, holder.contract_id, 9, plan, email="kid@example.com")

    left = cancel_membership(practice.context, holder.contract_id, Consent(promote=kid.member_id), actor=ACTOR)
    assert left.new_contract_id is not None
    practice.sign_up(Enrolled(kid.member_id, left.new_contract_id, ""), "pm_card_mastercard")
    for _ in range(125):
        practice.advance(days=1)
        practice.charge()

    new = [row.id for row in practice.all(Invoice) if row.contract_id == left.new_contract_id]
    on_new = {row.kind for row in practice.all(InvoiceLine) if row.invoice_id in new}
    assert (new != [], on_new) == (True, {LineKind.PLAN})
    assert setup_fees(practice, kid.member_id) == ([5000] if policy == "notice" else [])
    assert verify_ledger(practice.context).faults == []


def test_a_setup_fee_that_was_never_billed_moves_with_the_dependent(practice: Practice) -> None:
    """Nothing of the dependent was charged on the old contract, so the fee is due on the new one, once."""
    plan = sell(practice, "Fee", prices={"monthly": 2000}, setup_fee_cents=5000)
    holder = practice.enrol(plan=plan)
    practice.work()
    kid = child(practice, holder.contract_id, 9, plan, email="kid@example.com")

    new = promote_dependent(practice.context, holder.contract_id, kid.member_id, actor=ACTOR)
    practice.sign_up(Enrolled(kid.member_id, new, ""), "pm_card_mastercard")
    move_to(practice, 2026, 10, 2, 9)
    practice.charge()

    assert setup_fees(practice, kid.member_id) == [5000]


def test_a_debit_that_fails_after_the_cancellation_is_not_repeated(practice: Practice) -> None:
    """It stays owed, can be paid by link, and then the contract is still cancelled."""
    practice.set_policy(early_cancel="allow")
    person = practice.enrol("pm_becs_failOnce_insufficient_funds")
    practice.charge()
    cancel_membership(practice.context, person.contract_id, Consent(override=True), actor=ACTOR)

    pass_days(practice, 20)

    assert [row.state for row in practice.all(ChargeAttempt)] == [AttemptState.FAILED]
    assert statuses(practice) == [S.OVERDUE]
    assert all(row.ended_at for row in practice.all(Recovery))
    assert [row.subject_id for row in practice.all(Message) if row.kind is MessageKind.OVERDUE_STAFF_NOTICE] == [
        practice.location.id
    ]
    pay_invoice(practice.context, practice.all(Invoice)[0].id, BACK)
    pass_days(practice, 5)
    assert statuses(practice) == [S.COMPLETED]
    assert contract(practice, person.contract_id).status is AgreementStatus.CANCELLED


def test_a_payment_with_a_fee_that_is_given_back_in_parts_leaves_nothing(practice: Practice) -> None:
    """The patient bore the fee, and each part takes its share of it."""
    practice.set_policy(fee_bearer="patient")
    practice.enrol(plan=sell(practice, "Hundred", prices={"monthly": 10_000}))
    practice.work()
    practice.settle()
    payment = newest(practice)
    assert (payment.amount_cents, ledger(practice)) == (10_500, 10_000)

    left = []
    for cents in (3_333, 3_333, 3_834):
        practice.advance(minutes=5)
        refund_payment(practice.context, payment.id, aud(cents), "", ACTOR)
        pass_days(practice, 1)
        left.append(ledger(practice))

    assert left == [6_826, 3_652, 0]
    assert verify_ledger(practice.context).faults == []


@pytest.mark.parametrize("refunded", [1_000, PRICE])
def test_a_refunded_payment_that_is_disputed_too_leaves_the_book_in_order(practice: Practice, refunded: int) -> None:
    """A ledger gives back no more than was in it; the day's report says that the practice gave more."""
    member(practice)
    payment = newest(practice)
    record_bank_refund(practice.context, payment.id, aud(refunded), practice.today, "", ACTOR)
    practice.advance(minutes=5)

    found = dispute(practice, payment)

    assert (ledger(practice), verify_ledger(practice.context).faults) == (0, [])
    assert DifferenceKind.GIVEN_BACK_TOO_MUCH in differences(practice)
    win(practice, found)
    assert (ledger(practice), verify_ledger(practice.context).faults) == (PRICE - refunded, [])


def test_a_missed_period_is_charged_only_when_a_person_releases_it(practice: Practice) -> None:
    """Also after a pause, and though its payer had tried to pay it on the page."""
    person = member(practice)
    practice.set_policy(catch_up="latest")
    move_to(practice, 2026, 12, 3, 9)
    practice.charge()
    waiting = [row.id for row in practice.all(Invoice) if row.status is S.WAITING]
    for _ in range(3):
        practice.stripe.post("faults", kind="reset_before", method="POST", path="/v1/payment_intents")
    pay_invoice(practice.context, waiting[0], BACK)
    assert Origin.PAYER in [row.origin for row in practice.all(ChargeAttempt)]

    practice.advance(minutes=1)
    suspend_member(practice.context, person.contract_id, actor=ACTOR)
    pass_days(practice, 2)
    reactivate_member(practice.context, person.contract_id, actor=ACTOR)
    pass_days(practice, 1)

    assert [row.id for row in practice.all(Invoice) if row.status is S.WAITING] == waiting


def test_a_part_refund_that_fails_is_entered_nowhere(practice: Practice) -> None:
    """The practice system had refused the part, so there is nothing to take back: both are closed."""
    member(practice, "pm_card_refundFail")
    refund_payment(practice.context, newest(practice).id, aud(1_000), "", ACTOR)
    practice.work()
    assert practice.write_back(Leg.REVERSAL).state is WriteBackState.REJECTED

    pass_days(practice, 3)

    original, *closed = practice.all(WriteBack)
    assert (original.state, [row.state for row in closed]) == (WriteBackState.CONFIRMED, [WriteBackState.RECORDED] * 2)
    assert all(row.reason and "cancel out" in row.reason for row in closed)
    assert sum(row["cents"] for row in practice.pms_rows()) == ledger(practice) == PRICE
    refund_payment(practice.context, newest(practice).id, aud(1_000), "", ACTOR)
    practice.work()
    assert practice.all(WriteBack)[-1].reverses_id == original.id
    assert verify_ledger(practice.context).faults == []


def test_a_cancelled_payment_plan_stays_cancelled(practice: Practice) -> None:
    """A dispute of one of its instalments is won: that is paid, and the plan is not complete."""
    person = member(practice)
    first = practice.today + timedelta(days=1)
    plan_id = start_payment_plan(practice.context, person.member_id, aud(60_000), 6, Frequency.MONTHLY, first)
    pass_days(practice, 2)
    instalment = next(row for row in practice.all(Payment) if row.amount_cents == 10_000)
    cancel_payment_plan(practice.context, plan_id, ACTOR)

    found = dispute(practice, instalment)
    give(practice, person, "pm_card_mastercard")
    pass_days(practice, 1)
    assert (statuses(practice), plan_of(practice).status) == ([S.COMPLETED, S.OVERDUE], AgreementStatus.CANCELLED)
    assert [row.ended_because for row in practice.all(Recovery)] == [DISPUTED]
    win(practice, found)

    assert (statuses(practice), plan_of(practice).status) == ([S.COMPLETED] * 2, AgreementStatus.CANCELLED)
