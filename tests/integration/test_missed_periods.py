"""Periods that fell due while nobody was there: invoiced once, with their own dates, and charged as was decided."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import pytest

from connector.billing.agreements.contracts import Contract
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import AttemptState, Charge, ChargeAttempt, Payment
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.ledger.accounts import Account
from connector.money import Money
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.collection.run_due import run_due
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan
from tests.support.away import away_for_three_months, by_due_date, debit_days, move_to
from tests.support.practice import Practice

DUE = [date(2027, month, 15) for month in (8, 9, 10, 11)]
PRICE = 2_990


def test_after_three_months_one_period_is_charged_and_the_older_ones_wait(practice: Practice) -> None:
    """However often it runs: one invoice for each period with its own date, one charge that day, nothing more."""
    away_for_three_months(practice)

    first = run_due(practice.context)
    again = run_due(practice.context)
    practice.work()

    invoices = by_due_date(practice)
    assert (first.invoiced, first.waiting, again.invoiced) == (3, 2, 0)
    assert [row.due_date for row in invoices] == DUE
    assert [row.status for row in invoices] == [
        InvoiceStatus.COMPLETED,
        InvoiceStatus.WAITING,
        InvoiceStatus.WAITING,
        InvoiceStatus.COMPLETED,
    ]
    assert debit_days(practice) == ["08-15", "11-20"]
    assert practice.all(Contract)[0].next_due == date(2027, 12, 15)
    for _ in range(10):
        practice.advance(days=1)
        practice.work()
    assert len(practice.stripe_charges()) == 2
    practice.assert_all_written()


def test_a_practice_that_wants_all_of_them_charges_one_a_day(practice: Practice) -> None:
    """The oldest first; nobody finds two debits on one day."""
    away_for_three_months(practice, catch_up="all")

    for _ in range(4):
        practice.work()
        practice.advance(days=1)

    paid_on = {row.invoice_id: row.business_date for row in practice.all(Payment)}
    assert [paid_on[row.id] for row in by_due_date(practice)] == [
        date(2027, 8, 15),
        *(date(2027, 11, 20) + timedelta(days=later) for later in range(3)),
    ]
    practice.settle()
    practice.assert_all_written()


def test_a_practice_that_wants_to_be_asked_charges_none_of_them(practice: Practice) -> None:
    """Not even the newest; the next period that falls due in time is charged as ever."""
    away_for_three_months(practice, catch_up="ask")

    report = run_due(practice.context)

    assert (report.invoiced, report.waiting) == (3, 3)
    assert len(practice.stripe_charges()) == 1
    move_to(practice, 2027, 12, 15, 9)
    practice.work()
    statuses = Counter(row.status for row in practice.all(Invoice))
    assert statuses == {InvoiceStatus.COMPLETED: 2, InvoiceStatus.WAITING: 3}
    practice.settle()
    practice.assert_all_written()


@pytest.mark.parametrize("catch_up", ["latest", "all"])
def test_what_was_missed_of_several_agreements_is_debited_on_days_of_its_own(practice: Practice, catch_up: str) -> None:
    """What falls due today keeps its day; the membership and the plan that fell due before follow, the oldest first."""
    practice.set_policy(catch_up=catch_up)
    person = practice.paid()
    for first in (date(2026, 10, 4), date(2026, 10, 8)):
        start_payment_plan(practice.context, person.member_id, Money(30_000, "aud"), 2, Frequency.MONTHLY, first)

    move_to(practice, 2026, 10, 8, 9)
    for _ in range(5):
        practice.work()
        practice.advance(days=1)

    due = {row.id: row.due_date for row in practice.all(Invoice)}
    assert [(due[row.invoice_id], row.business_date) for row in practice.all(Payment)][1:] == [
        (date(2026, 10, 8), date(2026, 10, 8)),
        (date(2026, 10, 1), date(2026, 10, 9)),
        (date(2026, 10, 4), date(2026, 10, 10)),
    ]


def test_all_missed_bank_debits_fall_on_business_days_of_their_own(practice: Practice) -> None:
    """20 November is a Saturday: they follow from Monday on, with one that was planned already."""
    away_for_three_months(practice, "pm_becs_success", catch_up="all")

    for _ in range(10):
        practice.work()
        practice.advance(days=1)

    assert debit_days(practice) == ["11-22", "11-23", "11-24", "11-25"]
    assert {row.status for row in practice.all(Invoice)} == {InvoiceStatus.COMPLETED}
    practice.settle()
    practice.assert_all_written()


@pytest.mark.parametrize("days", [1, 91])
def test_one_leap_and_day_by_day_come_to_the_same_invoices(practice: Practice, days: int) -> None:
    """Same numbers, dates, amounts and balances, whether it ran every day or came back after three months."""
    practice.set_policy(catch_up="all")
    practice.enrol("pm_card_visa")
    practice.charge()

    for _ in range(0, 91, days):
        practice.advance(days=days)
        practice.charge()

    found = [(row.number, row.period, row.due_date, row.amount_cents) for row in by_due_date(practice)]
    assert found == [(n + 1, n, date(2026, 9 + n, 1), PRICE) for n in range(4)]
    for _ in range(3):
        practice.advance(days=1)
        practice.work()
    assert {row.status for row in practice.all(Invoice)} == {InvoiceStatus.COMPLETED}
    practice.settle()
    practice.assert_all_written()
    fees, platform, gst = sum(row.fee_cents for row in practice.all(Payment)), 4 * 150, 4 * 9
    balance = {account: cents for (account, _), cents in verify_ledger(practice.context).balances.items() if cents}
    # How much of it Stripe has paid out already depends on when it was taken.
    assert balance.pop(Account.BANK) + balance.pop(Account.PROCESSOR_CLEARING, 0) == 4 * PRICE - fees
    assert balance == {
        Account.MEMBERSHIP_INCOME: -4 * PRICE,
        Account.PROCESSOR_FEES: fees,
        Account.PLATFORM_FEES: platform - gst,
        Account.GST_ON_FEES: gst,
        Account.PLATFORM_PAYABLE: -platform,
    }


def test_debits_above_the_weeks_limit_wait_for_the_next_business_days(practice: Practice) -> None:
    """Stripe would refuse them; so each week has one, none is lost, and no payer is blamed."""
    practice.set_policy(becs_week_limit_cents="5000")
    for _ in range(3):
        practice.enrol("pm_becs_success")

    practice.work()
    assert sorted(row.state for row in practice.all(ChargeAttempt)) == [
        AttemptState.PLANNED,
        AttemptState.PLANNED,
        AttemptState.PROCESSING,
    ]
    assert debit_days(practice) == ["09-01", "09-02", "09-02"]
    for _ in range(20):
        practice.advance(days=1)
        practice.work()

    assert debit_days(practice) == ["09-01", "09-08", "09-15"]
    assert {row.status for row in practice.all(Invoice)} == {InvoiceStatus.COMPLETED}
    assert {row.state for row in practice.all(ChargeAttempt)} == {AttemptState.SUCCEEDED}
    practice.settle()
    practice.assert_all_written()


def test_a_single_debit_above_the_limit_is_sent_rather_than_postponed_for_ever(practice: Practice) -> None:
    """Whether it is too large is for Stripe to say."""
    practice.set_policy(becs_week_limit_cents="1000")
    practice.enrol("pm_becs_success")

    practice.work()

    assert [row.state for row in practice.all(ChargeAttempt)] == [AttemptState.PROCESSING]


def test_a_bank_debit_that_is_due_at_christmas_is_made_on_the_next_business_day(practice: Practice) -> None:
    """Friday the 25th: weekend, then the substitute holiday, so the 29th; the cycle itself does not move."""
    move_to(practice, 2026, 11, 25, 9)
    practice.enrol("pm_becs_success")
    practice.work()
    sent_before = len(practice.stripe_listed("payment_intents"))
    for day in (25, 26, 27, 28):
        move_to(practice, 2026, 12, day, 9)
        practice.work()
        assert len(practice.stripe_listed("payment_intents")) == sent_before == 1

    move_to(practice, 2026, 12, 29, 9)
    practice.work()

    newest = by_due_date(practice)[-1]
    assert (newest.due_date, newest.status) == (date(2026, 12, 25), InvoiceStatus.PROCESSING)
    assert debit_days(practice) == ["11-25", "12-29"]
    assert practice.all(Contract)[0].next_due == date(2027, 1, 25)
    for day in (30, 31):
        move_to(practice, 2026, 12, day, 18)
        practice.work()
    assert {row.status for row in practice.all(Invoice)} == {InvoiceStatus.COMPLETED}
    assert len(practice.all(Charge)) == 2
