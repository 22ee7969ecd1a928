"""Charges that are called off while a run is under way, that come late, or that meet a decision of a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta

import pytest

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.payment_requests import HoldStatus
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import AttemptState, ChargeAttempt, Origin, Payment
from connector.billing.collecting.recovery import Recovery
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import PaymentMethod
from connector.errors import DomainError, EdgeError
from connector.ledger.write_back.models import WriteBack
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.money import Money
from connector.use_cases.collection.method_page import method_page
from connector.use_cases.collection.run_due import run_due
from connector.use_cases.invoices.release_invoice import cancel_invoice, release_invoices
from connector.use_cases.members.cancel_membership import Consent, cancel_membership
from connector.use_cases.members.suspend_member import suspend_member
from connector.use_cases.patient_pages.pay_invoice import Paid, pay_invoice
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan
from connector.use_cases.payment_plans.change_payment_plan import pause_plan
from connector.use_cases.recovery.work_recoveries import work_recoveries
from connector.use_cases.requests.hold_payment import authorise_hold
from connector.use_cases.requests.settle_hold import capture_hold
from tests.support.practice import Enrolled, Practice
from tests.support.requests import STAFF, give, held, hold_for, hold_of, method_of

S = InvoiceStatus
BACK = "https://pay.leura.example/back"
PRICE = 2_990


def pass_days(practice: Practice, days: int) -> None:
    for _ in range(days):
        practice.advance(days=1)
        practice.charge()


def invoice_of(practice: Practice, period: int) -> Invoice:
    return next(row for row in practice.all(Invoice) if row.period == period)


def debits(practice: Practice) -> Counter[date]:
    """How many debits were made on each day, by Stripe's own books."""
    made = (datetime.fromtimestamp(row["created"], practice.location.zone) for row in practice.stripe_listed("charges"))
    return Counter(at.date() for at in made)


def declined(practice: Practice, method: str, days: int = 31) -> Enrolled:
    """Somebody who has paid once, and whose second period that card did not pay."""
    person = practice.enrol()
    practice.charge()
    give(practice, person, method)
    practice.advance(days=days)
    practice.charge()
    return person


def with_retry_planned(practice: Practice) -> Enrolled:
    """Somebody whose second period was declined, and whose retry is planned for today."""
    person = declined(practice, "pm_card_declineOnce_insufficient_funds", days=30)
    while not any(row.state is AttemptState.PLANNED for row in practice.all(ChargeAttempt)):
        practice.advance(days=1)
        work_recoveries(practice.context, practice.location)
    return person


@pytest.mark.parametrize("how", ["cancelled", "suspended"])
def test_what_a_person_calls_off_while_a_run_is_under_way_is_not_charged(practice: Practice, how: str) -> None:
    """The run had listed the retry before; it finds it withdrawn, and goes on with the others."""
    person, other = with_retry_planned(practice), practice.enrol()

    def meanwhile(work: Callable[[str], None], items: Sequence[str]) -> Iterable[None]:
        listed = list(items)
        if how == "cancelled":
            cancel_invoice(practice.context, invoice_of(practice, 1).id, STAFF)
        else:
            suspend_member(practice.context, person.contract_id, actor=STAFF)
        return map(work, listed)

    found = run_due(practice.context, mapper=meanwhile)

    assert found.problems == []
    paid = Counter(row.member_id for row in practice.all(Payment))
    assert (paid[person.member_id], paid[other.member_id]) == (1, 1)
    assert [row.state for row in practice.all(ChargeAttempt)].count(AttemptState.WITHDRAWN) == 1
    practice.assert_exactly_once()


def test_a_payer_who_presses_pay_while_stripe_is_away_is_charged_when_it_was_due(practice: Practice) -> None:
    """Nothing was sent, so what was planned for Monday stands as if nobody had tried."""
    practice.enrol("pm_becs_success")
    practice.advance(days=4)
    practice.charge()
    (planned,) = practice.all(ChargeAttempt)
    practice.stripe.post("down", down=True)

    outcome = pay_invoice(practice.context, practice.all(Invoice)[0].id, BACK)
    practice.stripe.post("down", down=False)

    live = [row for row in practice.all(ChargeAttempt) if row.state is AttemptState.PLANNED]
    assert outcome.paid is Paid.NO
    assert [(row.origin, row.debit_on) for row in live] == [(Origin.SCHEDULE, planned.debit_on)]
    pass_days(practice, 6)
    assert [row.status for row in practice.all(Invoice)] == [S.COMPLETED]
    practice.assert_exactly_once()


def test_a_membership_that_runs_is_overdue_and_not_failed_when_its_first_period_is_declined_late(
    practice: Practice,
) -> None:
    """Periods were missed, the newest was paid, and the oldest is released and declined: it goes on being billed."""
    person = practice.enrol()
    practice.advance(days=65)
    practice.work()
    give(practice, person, "pm_card_chargeCustomerFail")

    release_invoices(practice.context, [invoice_of(practice, 0).id], None, STAFF)
    pass_days(practice, 2)

    (contract,) = practice.all(Contract)
    assert contract.status is AgreementStatus.OVERDUE
    assert [row.invoice_id for row in practice.all(Recovery)] == [invoice_of(practice, 0).id]
    pass_days(practice, 31)
    assert {row.period for row in practice.all(Invoice)} == {0, 1, 2, 3}


def test_the_weeks_limit_holds_for_debits_that_are_sent_side_by_side(practice: Practice) -> None:
    """Eight workers find room for three debits of 29.90 under 100.00; the others follow as the days go by."""
    practice.set_policy(becs_week_limit_cents="10000")
    for _ in range(8):
        practice.enrol("pm_becs_success")

    with ThreadPoolExecutor(8) as pool:
        assert run_due(practice.context, mapper=pool.map).problems == []

    assert len([row for row in practice.all(ChargeAttempt) if row.sent_at]) == 3
    pass_days(practice, 30)
    assert {row.status for row in practice.all(Invoice) if row.period == 0} == {S.COMPLETED}
    practice.assert_exactly_once()


def test_debits_that_waited_for_a_computer_that_was_off_keep_to_the_weeks_limit(practice: Practice) -> None:
    """Their days are long past; what counts is the day on which they are made."""
    practice.set_policy(becs_week_limit_cents="10000")
    for _ in range(9):
        practice.enrol("pm_becs_success")
    practice.charge()

    practice.advance(days=25)
    practice.charge()

    yesterday = practice.clock.now() - timedelta(days=1)
    newest = [row for row in practice.all(ChargeAttempt) if row.sent_at and row.sent_at > yesterday]
    assert len(newest) == 3
    assert {row.debit_on for row in newest} == {practice.location.calendar.roll_forward(practice.today)}


def test_missed_periods_are_charged_one_a_day_also_after_another_absence(practice: Practice) -> None:
    """Three are planned for three days, and the computer is off on two of them."""
    practice.set_policy(catch_up="all")
    practice.enrol()
    practice.charge()
    practice.advance(days=95)
    practice.charge()

    practice.advance(days=5)
    practice.charge()
    pass_days(practice, 3)

    assert set(debits(practice).values()) == {1}
    assert len(practice.all(Payment)) == 4


@pytest.mark.parametrize("method", ["pm_card_visa", "pm_becs_success"])
def test_missed_weeks_leave_the_days_free_on_which_the_next_ones_fall_due(practice: Practice, method: str) -> None:
    """Ten weeks are caught up with, one a day, while the weekly debits go on."""
    practice.set_policy(catch_up="all")
    practice.enrol(method, frequency=Frequency.WEEKLY)
    practice.charge()
    practice.advance(days=73)
    practice.charge()

    pass_days(practice, 25)

    assert set(Counter(row.debit_on for row in practice.all(ChargeAttempt)).values()) == {1}
    assert {row.status for row in practice.all(Invoice)} <= {S.COMPLETED, S.PROCESSING}


def test_missed_weeks_that_are_released_together_leave_those_days_free_too(practice: Practice) -> None:
    """Nobody said --same-day."""
    practice.enrol(frequency=Frequency.WEEKLY)
    practice.charge()
    practice.advance(days=73)
    practice.charge()
    waiting = [row.id for row in practice.all(Invoice) if row.status is S.WAITING]

    release_invoices(practice.context, waiting, None, STAFF)
    pass_days(practice, 25)

    assert len(waiting) == 9
    assert set(Counter(row.debit_on for row in practice.all(ChargeAttempt)).values()) == {1}


def renewed(practice: Practice, person: Enrolled) -> None:
    """The bank issues a new card two days later, and the payer does nothing."""
    practice.advance(days=2)
    with practice.context.database.read() as session:
        method = session.get_one(PaymentMethod, method_of(practice, person))
    practice.stripe.post("payment_methods/renewed", payment_method=method.processor_id, exp_year=2031)
    practice.work()
    practice.advance(minutes=20)
    practice.work()


@pytest.mark.parametrize("how", ["suspended", "cancelled"])
def test_a_card_that_its_bank_renews_is_not_charged_in_a_pause_nor_after_the_end(practice: Practice, how: str) -> None:
    """A pause is one although the card works again, and what a cancelled membership owes is not tried."""
    person = declined(practice, "pm_card_decline_expired_card")
    tried = len(practice.all(ChargeAttempt))
    if how == "suspended":
        suspend_member(practice.context, person.contract_id, actor=STAFF)
    else:
        cancel_membership(practice.context, person.contract_id, Consent(override=True), actor=STAFF)

    renewed(practice, person)

    assert len(practice.all(ChargeAttempt)) == tried
    assert len(practice.all(Payment)) == 1


def test_a_renewed_card_is_not_charged_in_a_hardship_pause(practice: Practice) -> None:
    """The instalment that was declined waits for the agreed day like the others."""
    person = practice.enrol()
    practice.charge()
    give(practice, person, "pm_card_decline_expired_card")
    plan_id = start_payment_plan(
        practice.context, person.member_id, Money(60_000, "aud"), 6, Frequency.FORTNIGHTLY, practice.today
    )
    practice.charge()
    tried = len(practice.all(ChargeAttempt))
    pause_plan(practice.context, plan_id, practice.today + timedelta(days=60), STAFF)

    renewed(practice, person)

    assert len(practice.all(ChargeAttempt)) == tried


def test_a_new_card_does_not_charge_what_a_cancelled_membership_owes(practice: Practice) -> None:
    """It was given for something else; the old debt is paid through its own link, which then does charge it."""
    person = declined(practice, "pm_card_decline_insufficient_funds")
    cancel_membership(practice.context, person.contract_id, Consent(override=True), actor=STAFF)

    first = practice.today + timedelta(days=20)
    plan_id = start_payment_plan(practice.context, person.member_id, Money(30_000, "aud"), 3, Frequency.MONTHLY, first)
    page = method_page(practice.context, person.member_id, plan_id, "aud")
    practice.stripe.client.post(page.url, data={"method": "pm_card_mastercard"})
    pass_days(practice, 2)
    assert practice.all(PaymentMethod)[-1].usable
    assert invoice_of(practice, 1).status is S.OVERDUE

    assert pay_invoice(practice.context, invoice_of(practice, 1).id, BACK).paid is Paid.YES
    assert [row.status for row in practice.all(Contract)] == [AgreementStatus.CANCELLED]


def test_a_cancellation_while_a_debit_is_planned_tells_staff_what_stays_owed(practice: Practice) -> None:
    """Due on a Saturday and cancelled before Monday: the debt does not vanish from view."""
    person = practice.enrol("pm_becs_success")
    practice.advance(days=4)
    practice.charge()

    cancel_membership(practice.context, person.contract_id, Consent(override=True), actor=STAFF)
    pass_days(practice, 3)

    (invoice,) = practice.all(Invoice)
    notices = [row for row in practice.all(Message) if row.kind is MessageKind.OVERDUE_STAFF_NOTICE]
    assert invoice.status is S.OVERDUE
    assert [row.detail["invoice_ids"] for row in notices] == [invoice.id]
    assert practice.stripe_listed("charges") == []


def test_the_first_invoice_of_a_membership_that_has_not_begun_cannot_be_voided_alone(practice: Practice) -> None:
    """The contract would be dead; the sentence names what can be done, and a new card still begins it."""
    person = practice.enrol("pm_card_chargeCustomerFail")
    practice.charge()
    (invoice,) = practice.all(Invoice)

    with pytest.raises(DomainError, match=r"cancel the contract .* or let its payer give another card"):
        cancel_invoice(practice.context, invoice.id, STAFF)
    practice.sign_up(person, "pm_card_visa")
    practice.charge()

    assert [row.status for row in practice.all(Contract)] == [AgreementStatus.ACTIVE]


def test_a_bank_account_given_on_a_weekend_is_debited_on_a_business_day(practice: Practice) -> None:
    """What is overdue is tried at once with a card, and on Monday with a bank account."""
    person = declined(practice, "pm_card_decline_insufficient_funds", days=30)
    practice.advance(days=2)
    assert practice.today.weekday() == 5

    give(practice, person, "pm_becs_success")

    newest = practice.all(ChargeAttempt)[-1]
    assert newest.origin is Origin.METHOD
    assert practice.location.calendar.is_business_day(newest.debit_on)
    assert newest.debit_on > practice.today


@pytest.mark.parametrize("taken", [12_000, 5_000])
def test_what_is_captured_at_the_dashboard_counts_although_another_sum_was_decided(
    practice: Practice, taken: int
) -> None:
    """The answer to our 80.00 was lost and somebody took another sum: it is booked and written, staff are told."""
    person = practice.enrol(frequency=Frequency.ANNUALLY)
    practice.work()
    hold_id = hold_for(practice, person)
    authorise_hold(practice.context, hold_id, method_of(practice, person))
    practice.stripe.post("down", down=True)
    with pytest.raises(EdgeError):
        capture_hold(practice.context, hold_id, Money(8_000, "aud"), STAFF)
    practice.stripe.post("down", down=False)
    practice.stripe_do(f"payment_intents/{hold_of(practice).processor_id}/capture", amount_to_capture=str(taken))

    practice.advance(hours=1)
    assert practice.charge() == []

    payment = practice.all(Payment)[-1]
    notices = {row.kind for row in practice.all(Message)}
    assert (payment.amount_cents, held(practice)) == (taken, HoldStatus.CAPTURED)
    assert [row.amount_cents for row in practice.all(WriteBack) if row.source_id == payment.id] == [taken]
    assert (MessageKind.KEPT_TOO_MUCH if taken > 8_000 else MessageKind.OVERDUE_STAFF_NOTICE) in notices
    practice.assert_exactly_once()
