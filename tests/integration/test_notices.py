"""What is announced ahead: the next debit, and a card that will have expired by then."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from connector.billing.agreements.contracts import Contract
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.members import PaymentMethod
from connector.daemon.jobs import notices
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message, MessageState
from connector.money import Money
from connector.use_cases.members.show_member import show_member
from connector.use_cases.messages.notice_ahead import notice_ahead
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan
from connector.use_cases.plans.change_plan import change_plan
from tests.support.plan_changes import STAFF, accept, add, monthly
from tests.support.post import Post
from tests.support.practice import Practice

DEBIT, EXPIRY = MessageKind.UPCOMING_DEBIT, MessageKind.CARD_EXPIRING


@pytest.fixture
def post(practice: Practice, tmp_path: Path) -> Post:
    """A practice whose messages can be read."""
    return Post(practice, tmp_path / "outbox")


def tell(post: Post) -> None:
    """The job of a day."""
    with post.practice.context.database.read() as session:
        notice_ahead(post.practice.context, session.get_one(Location, post.practice.location.id))


def each_day(post: Post, until: date) -> list[tuple[MessageKind, date]]:
    """Run the job on every day up to that one; what was queued, and on which day."""
    while post.practice.today < until:
        post.practice.advance(days=1)
        tell(post)
    return post.queued(DEBIT, EXPIRY)


def expires(post: Post, year: int, month: int) -> None:
    with post.practice.context.database.unit_of_work() as session:
        session.query(PaymentMethod).update({PaymentMethod.expiry_year: year, PaymentMethod.expiry_month: month})


def test_a_debit_is_announced_once_three_days_before_it(post: Post) -> None:
    """With amount, day and the last digits of the card. 1 October 2026 is a Thursday."""
    post.enrol()
    post.practice.charge()

    told = each_day(post, date(2026, 9, 30))
    post.send()

    assert told == [(DEBIT, date(2026, 9, 28))]
    (mail,) = (mail for mail in post.mails() if "we will charge" in mail)
    # The page is the processor's and closes after a day, wherever our own pages are.
    closes = "The page is open for one day. If it has closed, please ask us for a new link."
    for words in ("On 01/10/2026 we will charge $", "card ending in 4242", "Leura Dental", closes):
        assert words in mail


def test_what_falls_due_after_a_weekend_is_announced_before_it(post: Post) -> None:
    """Nothing goes out at the weekend: for Tuesday, 8 September, the third day before is a Saturday."""
    post.enrol(frequency=Frequency.WEEKLY)
    post.practice.charge()

    told = each_day(post, date(2026, 9, 7))

    assert told == [(DEBIT, date(2026, 9, 4))]
    assert all(
        row.not_before.astimezone(post.practice.location.zone).date() <= date(2026, 9, 4)
        for row in post.practice.all(Message)
    )


def test_after_days_offline_a_debit_that_is_still_to_come_is_announced(post: Post) -> None:
    """Late is better than never, and what was charged meanwhile is not announced."""
    post.enrol()
    post.practice.charge()
    post.practice.advance(days=29)

    tell(post)
    assert post.queued(DEBIT) == [(DEBIT, date(2026, 9, 30))]

    # The first business day after the weekend and Labour Day.
    post.practice.advance(days=6)
    post.practice.charge()
    tell(post)
    assert len(post.queued(DEBIT)) == 1
    post.send()
    assert {row.state for row in post.practice.all(Message) if row.kind is DEBIT} == {MessageState.DROPPED}


def test_instalments_are_announced_too(post: Post) -> None:
    """Each with its own amount and day."""
    person = post.enrol()
    post.practice.charge()
    plan_id = start_payment_plan(
        post.practice.context, person.member_id, Money(100_000, "aud"), 3, Frequency.FORTNIGHTLY, date(2026, 9, 9)
    )

    each_day(post, date(2026, 9, 8))

    (row,) = (row for row in post.practice.all(Message) if row.subject_id == plan_id)
    assert (row.detail["amount_cents"], row.detail["due_on"]) == (33_333, "2026-09-09")


def announced(post: Post) -> list[int]:
    """Cents of all announced debits, oldest first."""
    rows = [row for row in post.practice.all(Message) if row.kind is DEBIT and row.channel == "email"]
    return [row.detail["amount_cents"] for row in rows]


def test_a_debit_is_announced_at_the_price_that_was_accepted_for_it(post: Post) -> None:
    """A dearer plan counts from November: October is announced, shown and charged as it was, November at its price."""
    practice = post.practice
    add(practice.context, "Gold", monthly(9_000))
    person = post.enrol()
    practice.charge()
    each_day(post, date(2026, 9, 20))
    change_id = change_plan(practice.context, person.contract_id, person.member_id, "Gold", STAFF)
    accept(practice.context, change_id)

    shown = []
    for eve, due in ((date(2026, 9, 30), date(2026, 10, 1)), (date(2026, 10, 31), date(2026, 11, 1))):
        each_day(post, eve)
        sheet = show_member(practice.context, person.member_id)
        shown.append((sheet.next_amount_cents, [(one.on, one.cents) for one in sheet.coming]))
        practice.advance(days=1)
        assert practice.charge() == []
        assert practice.today == due

    assert announced(post) == [2_990, 9_000]
    assert shown == [(2_990, [(date(2026, 10, 1), 2_990)]), (9_000, [(date(2026, 11, 1), 9_000)])]
    assert sorted(charge["amount"] for charge in practice.stripe_charges()) == [2_990, 2_990, 9_000]


def test_what_is_announced_and_shown_contains_the_fee_that_the_payer_bears(post: Post) -> None:
    """Of a membership and of an instalment, as both are charged."""
    practice = post.practice
    practice.set_policy(fee_bearer="patient", platform_tier="free")
    person = post.enrol()
    practice.charge()
    first = date(2026, 10, 1)
    start_payment_plan(practice.context, person.member_id, Money(30_000, "aud"), 3, Frequency.MONTHLY, first)

    each_day(post, date(2026, 9, 30))
    sheet = show_member(practice.context, person.member_id)
    practice.advance(days=1)
    assert practice.charge() == []

    assert sorted(announced(post)) == [3_140, 10_350]
    assert sorted(one.cents for one in sheet.coming) == [3_140, 10_350]
    assert sorted(charge["amount"] for charge in practice.stripe_charges())[-2:] == [3_140, 10_350]


@pytest.mark.parametrize(("days", "count"), [("", 1), ("0", 0)])
def test_a_practice_may_leave_announcements_out(post: Post, days: str, count: int) -> None:
    """By its setting; the default is three days."""
    post.practice.set_policy(upcoming_notice_days=days)
    post.enrol()
    post.practice.charge()

    assert len(each_day(post, date(2026, 9, 30))) == count


def test_whoever_cannot_be_charged_gets_no_announcement(post: Post) -> None:
    """And neither does somebody whose contract ends before."""
    post.enrol()
    post.enrol()
    post.practice.charge()
    first, second = post.practice.all(Contract)
    with post.practice.context.database.unit_of_work() as session:
        session.get_one(Contract, first.id).ends_on = date(2026, 9, 30)
        session.query(PaymentMethod).filter_by(member_id=second.member_id).update({PaymentMethod.usable: False})

    assert each_day(post, date(2026, 9, 30)) == []


def test_a_card_that_ends_before_an_annual_debit_is_asked_about_twice(post: Post) -> None:
    """Thirty and seven days before the debit that it would not live to see; not when it lives."""
    post.enrol(frequency=Frequency.ANNUALLY)
    post.practice.charge()
    expires(post, 2027, 8)
    post.go_to(date(2027, 7, 28))

    told = each_day(post, date(2027, 8, 31))
    post.send()

    assert [pair for pair in told if pair[0] is EXPIRY] == [(EXPIRY, date(2027, 8, 2)), (EXPIRY, date(2027, 8, 25))]
    assert any("expires at the end of 08/2027" in mail and "01/09/2027" in mail for mail in post.mails())


def test_a_card_is_good_to_the_end_of_its_month(post: Post) -> None:
    """A debit within that month needs no new card."""
    post.enrol(frequency=Frequency.ANNUALLY)
    post.practice.charge()
    expires(post, 2027, 9)
    post.go_to(date(2027, 7, 28))

    assert [pair for pair in each_day(post, date(2027, 8, 31)) if pair[0] is EXPIRY] == []


def test_a_card_that_the_bank_renewed_meanwhile_is_not_asked_about(post: Post) -> None:
    """The message is dropped when its time comes."""
    post.enrol(frequency=Frequency.ANNUALLY)
    post.practice.charge()
    expires(post, 2027, 8)
    post.go_to(date(2027, 8, 20))
    tell(post)
    expires(post, 2031, 8)

    post.send()

    assert {row.state for row in post.practice.all(Message) if row.kind is EXPIRY} == {MessageState.DROPPED}


def test_after_days_offline_only_the_more_urgent_prompt_is_sent(post: Post) -> None:
    """Five days before the debit the one of thirty days has lost its point."""
    post.enrol(frequency=Frequency.ANNUALLY)
    post.practice.charge()
    expires(post, 2027, 8)
    post.go_to(date(2027, 8, 27))

    assert [kind for kind, _ in each_day(post, date(2027, 8, 31)) if kind is EXPIRY] == [EXPIRY]


def test_the_job_runs_once_a_day_at_each_location(post: Post) -> None:
    """However often it ticks."""
    post.enrol()
    post.practice.charge()
    post.go_to(date(2026, 9, 28))

    with ThreadPoolExecutor(1) as pool:
        assert notices(post.practice.context, pool) == []
        first = len(post.queued(DEBIT))
        with post.practice.context.database.unit_of_work() as session:
            session.query(Message).delete()
        assert notices(post.practice.context, pool) == []

    assert (first, post.queued(DEBIT)) == (1, [])
