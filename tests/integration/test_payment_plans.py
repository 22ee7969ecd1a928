"""Payment plans over HTTP: proposed, accepted, collected to the cent, paid early, moved, paused and ended."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.agreements.instalment_terms import PlanOffer
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import ChargeAttempt, Origin, Payment
from connector.billing.collecting.recovery import Recovery
from connector.billing.invoices import InvoiceLine, InvoiceStatus
from connector.billing.prices.pricing import LineKind
from connector.clock import business_date
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.payment_plans.agree_payment_plan import (
    accept_for_payer,
    propose_payment_plan,
    start_payment_plan,
)
from connector.use_cases.payment_plans.change_payment_plan import change_payday, pause_plan, resume_plan, resume_plans
from connector.use_cases.payment_plans.end_payment_plan import archive_payment_plan, cancel_payment_plan
from connector.use_cases.payment_plans.list_payment_plans import show_payment_plan
from connector.use_cases.payment_plans.pay_plan_early import pay_early, pay_off
from tests.support.practice import Enrolled, Practice
from tests.support.requests import STAFF, aud, give, invoices, plan_of


def payer(practice: Practice, method: str = "pm_card_visa") -> Enrolled:
    """Somebody whose membership is paid for the year."""
    person = practice.enrol(method, frequency=Frequency.ANNUALLY)
    practice.work()
    return person


def offer(first_due: date, count: int = 6, frequency: Frequency = Frequency.FORTNIGHTLY, **cents: int) -> PlanOffer:
    """1,000.01 dollars unless said otherwise."""
    amounts = {"total": 100_001, "deposit": 0, "setup_fee": 0} | cents
    return PlanOffer(
        **{name: aud(amount) for name, amount in amounts.items()}, count=count, frequency=frequency, first_due=first_due
    )


def agreed(practice: Practice, person: Enrolled, wanted: PlanOffer) -> str:
    """A plan that its payer has accepted at the desk; returns its id."""
    proposed = propose_payment_plan(practice.context, person.member_id, wanted, STAFF)
    accept_for_payer(practice.context, proposed.plan_id, STAFF)
    return proposed.plan_id


def to(practice: Practice, day: date) -> None:
    """Every day until then the runs do their work, that day's included."""
    while True:
        now = practice.clock.now()
        today = business_date(now, practice.location.zone)
        with practice.context.database.unit_of_work() as session:
            resume_plans(session, practice.location, today, now)
        practice.work()
        if practice.today >= day:
            return
        practice.advance(days=1)


def schedule(practice: Practice) -> list[tuple[int, str, int, str]]:
    """Number, due date, cents and status of each part of the only plan."""
    view = show_payment_plan(practice.context, plan_of(practice).id)
    return [(row.number, f"{row.due:%m-%d}", row.amount.cents, row.status) for row in view.schedule]


def standing(practice: Practice) -> tuple[str, int]:
    """Progress and balance of the only plan."""
    progress = show_payment_plan(practice.context, plan_of(practice).id).progress
    return str(progress), progress.balance.cents


def total_invoiced(practice: Practice) -> int:
    return sum(row.amount_cents for row in invoices(practice))


def total_paid(practice: Practice) -> int:
    """Cents of all payments of the plan's invoices."""
    of_plan = {row.id for row in invoices(practice)}
    return sum(row.amount_cents for row in practice.all(Payment) if row.invoice_id in of_plan)


def test_six_fortnightly_instalments_fall_due_on_their_days_and_add_up(practice: Practice) -> None:
    """From 27 November, across the new year; then the plan is completed (D13)."""
    practice.advance(days=87)
    person = payer(practice)
    agreed(practice, person, offer(date(2026, 11, 27)))
    days = ["11-27", "12-11", "12-25", "01-08", "01-22", "02-05"]
    amounts = [16_666] * 5 + [16_671]
    planned = list(zip(range(1, 7), days, amounts, ["planned"] * 6, strict=True))
    assert (practice.today, schedule(practice)) == (date(2026, 11, 27), planned)

    to(practice, date(2026, 12, 25))
    assert standing(practice) == ("3/6", 100_001 - 3 * 16_666)
    to(practice, date(2027, 2, 5))

    rows = invoices(practice)
    assert [f"{row.due_date:%m-%d}" for row in rows] == days
    assert [row.amount_cents for row in rows] == amounts
    assert (plan_of(practice).status, standing(practice)) == (AgreementStatus.COMPLETED, ("6/6", 0))
    practice.assert_exactly_once()


def test_a_proposal_asks_the_payer_and_charges_nothing(practice: Practice) -> None:
    """It is pending until it is accepted, which can be done once, and only when somebody can be charged."""
    person = practice.enrol(None)
    wanted = offer(practice.today)
    plan_id = propose_payment_plan(practice.context, person.member_id, wanted, STAFF, "Braces").plan_id

    to(practice, practice.today + timedelta(days=2))

    asked = [row for row in practice.all(Message) if row.subject_id == plan_id]
    detail = {
        "is_plan": True,
        "amount_cents": 100_001,
        "due_on": "2026-09-01",
        "expires_on": "2026-09-15",
        "urgent": True,
    }
    assert [(row.kind, row.detail) for row in asked] == [(MessageKind.PAYMENT_REQUEST, detail)] * 2
    assert (plan_of(practice).status, invoices(practice)) == (AgreementStatus.PENDING, [])
    with pytest.raises(DomainError, match="has no usable payment method: let them open their link"):
        accept_for_payer(practice.context, plan_id, STAFF)
    practice.sign_up(person, "pm_card_visa")
    accept_for_payer(practice.context, plan_id, STAFF)
    with pytest.raises(DomainError, match="is active: it cannot be accepted any more"):
        accept_for_payer(practice.context, plan_id, STAFF)
    # The agreed day has passed meanwhile, so the plan begins today.
    assert plan_of(practice).next_due == practice.today


def test_deposit_and_fee_are_due_on_acceptance_and_the_first_instalment_later(practice: Practice) -> None:
    """One invoice with two lines today; the agreed day is the same, so the first instalment is a period later."""
    wanted = offer(practice.today, 3, Frequency.MONTHLY, total=90_000, deposit=15_000, setup_fee=2_500)
    agreed(practice, payer(practice), wanted)

    to(practice, practice.today)

    (invoice,) = invoices(practice)
    lines = [row for row in practice.all(InvoiceLine) if row.invoice_id == invoice.id]
    assert {row.kind: row.amount_cents for row in lines} == {LineKind.DEPOSIT: 15_000, LineKind.SETUP_FEE: 2_500}
    assert schedule(practice) == [
        (0, "09-01", 17_500, "completed"),
        (1, "10-01", 25_000, "planned"),
        (2, "11-01", 25_000, "planned"),
        (3, "12-01", 25_000, "planned"),
    ]
    assert standing(practice) == ("0/3", 75_000)


def test_instalments_are_paid_early_and_the_others_keep_their_days(practice: Practice) -> None:
    """Staff asked for it, so it is collected at once; at the end the amounts add up."""
    plan_id = agreed(practice, payer(practice), offer(practice.today + timedelta(days=3)))

    pay_early(practice.context, plan_id, 2, STAFF)
    practice.work()

    assert schedule(practice)[:3] == [
        (1, "09-01", 16_666, "completed"),
        (2, "09-01", 16_666, "completed"),
        (3, "10-02", 16_666, "planned"),
    ]
    assert [row.origin for row in practice.all(ChargeAttempt)][-2:] == [Origin.STAFF] * 2
    with pytest.raises(DomainError, match="has 4 parts left to invoice: pay 1 to 4 early"):
        pay_early(practice.context, plan_id, 5, STAFF)
    to(practice, date(2026, 11, 13))
    assert (total_invoiced(practice), plan_of(practice).status) == (100_001, AgreementStatus.COMPLETED)
    practice.assert_exactly_once()


@pytest.mark.parametrize("paused", [False, True])
def test_the_rest_is_paid_off_with_one_invoice(practice: Practice, paused: bool) -> None:
    """A line for each instalment, one payment, and the plan is completed."""
    plan_id = agreed(practice, payer(practice), offer(practice.today))
    to(practice, practice.today)
    if paused:
        pause_plan(practice.context, plan_id, practice.today + timedelta(days=60), STAFF)

    issued = pay_off(practice.context, plan_id, STAFF)
    practice.work()

    assert (issued.draft.period, len(issued.draft.lines), issued.draft.total.cents) == (2, 5, 83_335)
    assert (plan_of(practice).status, standing(practice)) == (AgreementStatus.COMPLETED, ("6/6", 0))
    assert [row.status for row in invoices(practice)] == [InvoiceStatus.COMPLETED] * 2
    with pytest.raises(DomainError, match="is completed: nothing of it can be paid early"):
        pay_off(practice.context, plan_id, STAFF)
    practice.assert_exactly_once()


def test_a_new_payday_moves_the_next_instalment_and_all_that_follow(practice: Practice) -> None:
    """At most one period later, and never into the past."""
    plan_id = agreed(practice, payer(practice), offer(practice.today, 4, Frequency.MONTHLY))
    to(practice, practice.today)

    change_payday(practice.context, plan_id, date(2026, 10, 15), STAFF)

    assert [due for _, due, _, _ in schedule(practice)] == ["09-01", "10-15", "11-15", "12-15"]
    for day, sentence in (
        (date(2026, 11, 16), "at most one period later, 2026-11-15: to wait longer, pause the plan"),
        (date(2026, 8, 31), "cannot lie in the past"),
    ):
        with pytest.raises(DomainError, match=sentence):
            change_payday(practice.context, plan_id, day, STAFF)
    to(practice, date(2026, 12, 15))
    assert [f"{row.due_date:%m-%d}" for row in invoices(practice)] == ["09-01", "10-15", "11-15", "12-15"]
    assert total_invoiced(practice) == 100_001


def test_a_paused_plan_takes_nothing_and_goes_on_by_itself_on_a_payday(practice: Practice) -> None:
    """The payer is told what is outstanding; afterwards the plan's own weekday is kept."""
    plan_id = agreed(practice, payer(practice), offer(practice.today))
    to(practice, practice.today)

    pause_plan(practice.context, plan_id, date(2026, 10, 10), STAFF)

    (told,) = [row for row in practice.all(Message) if row.kind is MessageKind.PAYMENT_PLAN_PAUSED]
    assert (told.subject_id, told.detail) == (plan_id, {"amount_cents": 83_335, "paused_on": "2026-09-01"})
    assert [due for _, due, _, _ in schedule(practice)] == ["09-01", "10-13", "10-27", "11-10", "11-24", "12-08"]
    with pytest.raises(DomainError, match="is suspended: its dates cannot be changed"):
        change_payday(practice.context, plan_id, date(2026, 10, 1), STAFF)
    to(practice, date(2026, 10, 12))
    assert (len(invoices(practice)), plan_of(practice).status) == (1, AgreementStatus.ACTIVE)
    to(practice, date(2026, 12, 8))
    assert (total_invoiced(practice), plan_of(practice).status) == (100_001, AgreementStatus.COMPLETED)


def test_a_pause_that_ends_early_gives_the_agreed_days_back(practice: Practice) -> None:
    """Nothing has passed meanwhile, so nothing moves; a plan that is not paused is not resumed."""
    plan_id = agreed(practice, payer(practice), offer(practice.today))
    to(practice, practice.today)
    pause_plan(practice.context, plan_id, date(2026, 12, 1), STAFF)

    practice.advance(days=3)
    resume_plan(practice.context, plan_id, STAFF)

    assert [due for _, due, _, _ in schedule(practice)] == ["09-01", "09-15", "09-29", "10-13", "10-27", "11-10"]
    with pytest.raises(DomainError, match="is active, not paused"):
        resume_plan(practice.context, plan_id, STAFF)
    with pytest.raises(DomainError, match="a later day than today"):
        pause_plan(practice.context, plan_id, practice.today, STAFF)


def test_in_a_pause_an_instalment_may_be_paid_and_what_was_planned_is_put_off(practice: Practice) -> None:
    """The payer may pay what they like; a debit that waits for Monday waits for the end of the pause instead."""
    plan_id = agreed(practice, payer(practice, "pm_becs_success"), offer(practice.today + timedelta(days=30)))
    practice.advance(days=4)
    pay_early(practice.context, plan_id, 1, STAFF)
    until = date(2026, 10, 21)
    assert [row.debit_on for row in practice.all(ChargeAttempt)][-1] == date(2026, 9, 7)

    pause_plan(practice.context, plan_id, until, STAFF)
    pay_early(practice.context, plan_id, 1, STAFF)

    assert [row.debit_on for row in practice.all(ChargeAttempt)][-2:] == [until, date(2026, 9, 7)]
    assert (plan_of(practice).status, plan_of(practice).next_due) == (AgreementStatus.SUSPENDED, until)
    assert [due for _, due, _, _ in schedule(practice)] == ["09-05", "09-05", "10-29", "11-12", "11-26", "12-10"]


@pytest.mark.parametrize("resume", [True, False])
def test_a_pause_that_ends_early_brings_back_what_it_put_off(practice: Practice, resume: bool) -> None:
    """What was paid early is collected with the rest that is paid off, whether the plan was resumed first or not."""
    plan_id = agreed(practice, payer(practice), offer(practice.today + timedelta(days=30)))
    pay_early(practice.context, plan_id, 1, STAFF)
    pause_plan(practice.context, plan_id, date(2026, 12, 1), STAFF)
    practice.work()
    assert total_paid(practice) == 0

    if resume:
        resume_plan(practice.context, plan_id, STAFF)
    pay_off(practice.context, plan_id, STAFF)
    practice.work()

    assert total_paid(practice) == 100_001
    assert plan_of(practice).status is AgreementStatus.COMPLETED
    practice.assert_exactly_once()


def test_what_fell_due_by_itself_comes_back_one_a_day(practice: Practice) -> None:
    """Debits that were missed and then put off: from the day on which the pause ends, on days that are free."""
    practice.set_policy(catch_up="all")
    plan_id = agreed(practice, payer(practice), offer(practice.today + timedelta(days=1), 4, Frequency.WEEKLY))
    practice.advance(days=16)
    practice.work()
    pause_plan(practice.context, plan_id, date(2026, 12, 1), STAFF)
    practice.advance(days=2)

    resume_plan(practice.context, plan_id, STAFF)

    today = practice.today
    assert (today, plan_of(practice).next_due) == (date(2026, 9, 19), date(2026, 9, 23))
    assert [row.debit_on for row in practice.all(ChargeAttempt)][-2:] == [today, today + timedelta(days=1)]


def test_in_a_pause_what_is_overdue_is_left_alone_too(practice: Practice) -> None:
    """Its recovery rests, and goes on no earlier than the plan; then the plan shows that it is overdue."""
    person = payer(practice)
    give(practice, person, "pm_card_chargeCustomerFail")
    plan_id = agreed(practice, person, offer(practice.today))
    to(practice, practice.today)
    assert plan_of(practice).status is AgreementStatus.OVERDUE

    pause_plan(practice.context, plan_id, date(2026, 10, 10), STAFF)

    assert [row.paused for row in practice.all(Recovery)] == [True]
    to(practice, date(2026, 10, 7))
    (recovery,) = practice.all(Recovery)
    assert (recovery.paused, recovery.next_on) == (False, date(2026, 10, 10))
    assert plan_of(practice).status is AgreementStatus.OVERDUE


def test_a_cancelled_plan_voids_what_is_unpaid_and_keeps_what_was_paid(practice: Practice) -> None:
    """Nothing is charged any more, the books are even, and only then can it be put away."""
    person = payer(practice)
    plan_id = agreed(practice, person, offer(practice.today))
    to(practice, practice.today)
    give(practice, person, "pm_card_chargeCustomerFail")
    to(practice, practice.today + timedelta(days=14))
    with pytest.raises(DomainError, match="is overdue: only one that is over is archived"):
        archive_payment_plan(practice.context, plan_id, STAFF)

    assert cancel_payment_plan(practice.context, plan_id, STAFF) == 1

    assert [row.status for row in invoices(practice)] == [InvoiceStatus.COMPLETED, InvoiceStatus.CANCELLED]
    assert [row[3] for row in schedule(practice)] == ["completed", *["cancelled"] * 5]
    assert standing(practice) == ("1/6", 0)
    assert [row.ended_because for row in practice.all(Recovery)] == ["cancelled"]
    with pytest.raises(DomainError, match="is cancelled already"):
        cancel_payment_plan(practice.context, plan_id, STAFF)
    archive_payment_plan(practice.context, plan_id, STAFF)
    to(practice, practice.today + timedelta(days=30))
    assert len(invoices(practice)) == 2
    assert verify_ledger(practice.context).faults == []


def test_a_plan_is_not_cancelled_while_a_bank_debit_is_under_way(practice: Practice) -> None:
    """A debit that was sent cannot be called back; once it has ended, the plan can be cancelled."""
    person = payer(practice, "pm_becs_success")
    to(practice, practice.today + timedelta(days=6))
    plan_id = agreed(practice, person, offer(practice.today))
    practice.work()
    assert invoices(practice)[0].status is InvoiceStatus.PROCESSING

    with pytest.raises(DomainError, match="is under way: cancel the plan once it has ended"):
        cancel_payment_plan(practice.context, plan_id, STAFF)

    to(practice, practice.today + timedelta(days=5))
    assert cancel_payment_plan(practice.context, plan_id, STAFF) == 0
    assert standing(practice) == ("1/6", 0)


def test_a_plan_agreed_at_the_desk_starts_at_once(practice: Practice) -> None:
    """Without a link; terms that cannot be are refused as for any other plan."""
    person, context = payer(practice), practice.context

    start_payment_plan(context, person.member_id, aud(100), 2, Frequency.WEEKLY, practice.today)

    assert (plan_of(practice).status, plan_of(practice).next_due) == (AgreementStatus.ACTIVE, practice.today)
    for count, currency, sentence in (
        (3, "aud", "too small: the least is 0.50 AUD"),
        (0, "aud", "1 to 260 instalments"),
        (2, "nzd", "charges in aud, not in nzd"),
    ):
        with pytest.raises(DomainError, match=sentence):
            wanted = aud(100) if currency == "aud" else type(aud(1))(100, currency)
            start_payment_plan(context, person.member_id, wanted, count, Frequency.WEEKLY, practice.today)
