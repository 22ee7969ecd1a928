"""What happens to an unpaid invoice, day by day: retries, messages, the final notice, and what stops them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from connector.billing.activity import Activity
from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.collecting import dunning
from connector.billing.collecting.charges import AttemptState, ChargeAttempt, Origin
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import PaymentMethod
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message, MessageState
from connector.use_cases.invoices.issue_due import IssueTally, issue_due
from connector.use_cases.make_round import make_round
from connector.use_cases.members.suspend_member import suspend_member
from connector.use_cases.recovery.recover import FINISHED
from tests.support.post import Post
from tests.support.practice import Practice

FAILED, AGAIN, FINAL = MessageKind.PAYMENT_FAILED, MessageKind.PAYMENT_FAILED_AGAIN, MessageKind.FINAL_NOTICE
DECEMBER = date(2026, 12, 1)
"""A Tuesday; its month has two holidays and the twenty-eighth, which stands in for a third."""


@pytest.fixture
def post(practice: Practice, tmp_path: Path) -> Post:
    """A practice whose messages can be read."""
    return Post(practice, tmp_path / "outbox")


def december(*days: int) -> list[date]:
    return [date(2026, 12, day) for day in days]


def test_a_card_without_funds_is_tried_four_times_and_then_given_up(post: Post) -> None:
    """Retries after 3, 7 and 14 days, a message with each, the final notice on the first business day after 28."""
    post.go_to(DECEMBER)
    post.enrol("pm_card_decline_insufficient_funds")

    post.round()
    post.until(date(2026, 12, 31))

    assert post.tries() == december(1, 4, 8, 15)
    assert post.queued(FAILED, AGAIN, FINAL) == [
        (FAILED, DECEMBER),
        *((AGAIN, day) for day in december(4, 8, 15)),
        (FINAL, date(2026, 12, 29)),
    ]
    assert post.queued(MessageKind.OVERDUE_STAFF_NOTICE) == [(MessageKind.OVERDUE_STAFF_NOTICE, date(2026, 12, 15))]
    contract = post.practice.all(Contract)[0]
    assert (contract.status, contract.frozen_at is not None) == (AgreementStatus.OVERDUE, True)
    assert (post.recovery().ended_because, post.recovery().next_on) == (FINISHED, None)


def test_messages_name_the_day_of_the_next_retry(post: Post) -> None:
    """And say so when there is none left."""
    post.go_to(DECEMBER)
    post.enrol("pm_card_decline_insufficient_funds")

    post.round()
    post.until(date(2026, 12, 16))

    retries = [row.detail["retry_on"] for row in post.practice.all(Message) if row.kind in (FAILED, AGAIN)]
    assert list(dict.fromkeys(retries)) == ["2026-12-04", "2026-12-08", "2026-12-15", None]


def test_a_returned_debit_is_presented_once_more_after_five_days(post: Post) -> None:
    """The mandate is kept, the payer is told once, and the second debit pays."""
    post.go_to(DECEMBER)
    post.enrol("pm_becs_failOnce_refer_to_customer")

    post.round()
    post.until(date(2026, 12, 14))

    started = post.recovery().started_on
    assert started == date(2026, 12, 3)
    assert post.tries() == december(1, 8)
    assert post.queued(FAILED, AGAIN, FINAL) == [(FAILED, started)]
    assert post.recovery().ended_because == "paid"
    assert post.practice.all(Contract)[0].status is AgreementStatus.ACTIVE
    assert post.practice.all(PaymentMethod)[0].usable
    post.practice.assert_exactly_once()


def test_a_debit_that_keeps_failing_is_presented_again_only_after_its_owner_was_told(post: Post) -> None:
    """Twelve days after the first return, three days after a message that names the day."""
    post.go_to(DECEMBER)
    post.enrol("pm_becs_fail_refer_to_customer")

    post.round()
    post.until(date(2026, 12, 16))

    assert post.tries() == december(1, 8, 15)
    told = [(row.kind, row.detail["retry_on"]) for row in post.practice.all(Message) if row.channel == "email"]
    assert told[:2] == [(FAILED, "2026-12-08"), (AGAIN, "2026-12-15")]


def test_a_closed_account_is_never_debited_again(post: Post) -> None:
    """The payer is asked for another account or card, and so they are with the next period's invoice."""
    post.enrol("pm_becs_fail_account_closed")

    post.round()
    post.days(34)

    assert len(post.tries()) == 1
    assert not post.practice.all(PaymentMethod)[0].usable
    assert [invoice.status for invoice in post.practice.all(Invoice)] == [InvoiceStatus.OVERDUE] * 2
    assert len(post.queued(FAILED)) > 1
    assert post.queued(AGAIN) == []


def test_a_disputed_debit_ends_the_authority_to_debit(post: Post) -> None:
    """The contract pauses, staff are told, and nothing is taken from that account any more."""
    post.enrol("pm_becs_dispute")

    post.round()
    post.days(34)

    assert len(post.tries()) == 1
    assert not post.practice.all(PaymentMethod)[0].usable
    assert post.practice.all(Contract)[0].status is AgreementStatus.SUSPENDED
    assert len(post.queued(MessageKind.OVERDUE_STAFF_NOTICE)) >= 1
    assert {row.action for row in post.practice.all(Activity)} >= {"Payment Method Ended"}
    assert "disputed" in {row.detail.get("code") for row in post.practice.all(Activity)}


def test_a_lost_card_waits_for_another_one_which_is_charged_at_once(post: Post) -> None:
    """No automatic retry; the new card's attempt takes no step of the schedule."""
    person = post.enrol("pm_card_decline_lost_card")
    post.round()
    post.days(8)
    assert len(post.tries()) == 1
    before = post.recovery().step

    post.practice.sign_up(person, "pm_card_visa")
    post.round()

    assert len(post.tries()) == 2
    assert post.practice.all(ChargeAttempt)[-1].origin is Origin.METHOD
    assert (post.recovery().step, post.recovery().ended_because) == (before, "paid")


def test_a_card_that_was_refused_for_good_is_not_charged_for_the_next_period_either(post: Post) -> None:
    """Its owner's history says why."""
    post.enrol("pm_card_decline_stolen_card", frequency=Frequency.WEEKLY)

    post.round()
    post.days(8)

    assert len(post.tries()) == 1
    assert [invoice.status for invoice in post.practice.all(Invoice)] == [InvoiceStatus.OVERDUE] * 2
    (ended,) = (row for row in post.practice.all(Activity) if row.action == "Payment Method Ended")
    assert ended.detail["code"] == "stolen_card"


def test_a_bank_that_wants_its_customer_is_not_asked_again_without(post: Post) -> None:
    """Authentication needs the payer: a link, and no retry."""
    post.enrol("pm_card_authenticationRequired")

    post.round()
    post.days(16)

    assert len(post.tries()) == 1
    assert post.practice.all(PaymentMethod)[0].usable
    assert len(post.queued(FAILED)) == 4


def test_a_method_that_has_gone_before_the_charge_costs_no_attempt_at_the_network(post: Post) -> None:
    """The attempt fails here, and the payer is asked for another method."""
    post.enrol()
    issue_due(post.practice.context, post.practice.location, IssueTally())
    with post.practice.context.database.unit_of_work() as session:
        session.query(PaymentMethod).update({PaymentMethod.usable: False})
    post.round()
    post.days(4)

    assert post.tries() == []
    assert post.practice.stripe_charges("failed") == []
    assert [row.failure_code for row in post.practice.all(ChargeAttempt)] == ["method_gone"]
    assert post.queued(FAILED)[0][1] == post.recovery().started_on


def test_technical_failures_are_repeated_after_one_and_six_hours_without_taking_a_step(post: Post) -> None:
    """Nobody is told, because nobody refused."""
    post.enrol("pm_card_declineTwice_processing_error")
    post.round()
    assert [row.origin for row in post.planned()] == [Origin.TECHNICAL]

    post.practice.advance(minutes=59)
    post.round()
    assert len(post.tries()) == 1
    post.practice.advance(minutes=1)
    post.round()
    assert len(post.tries()) == 2
    post.practice.advance(hours=5, minutes=59)
    post.round()
    assert len(post.tries()) == 2
    post.practice.advance(minutes=1)
    post.round()

    assert [row.state for row in post.practice.all(ChargeAttempt)][-1] is AttemptState.SUCCEEDED
    assert (post.recovery().step, post.recovery().ended_because) == (0, "paid")
    assert post.queued(FAILED, AGAIN) == []


def test_a_technical_failure_that_stays_comes_to_the_schedule(post: Post) -> None:
    """After two repeats the payer is told, and the retries follow."""
    post.enrol("pm_card_decline_processing_error")
    post.round()
    for hours in (1, 6):
        post.practice.advance(hours=hours)
        post.round()

    assert len(post.tries()) == 3
    assert len(post.queued(AGAIN)) == 1
    post.days(3)
    assert [row.origin for row in post.practice.all(ChargeAttempt)][3] is Origin.RETRY


def test_steps_that_were_missed_come_one_a_day_and_push_the_later_ones_back(post: Post) -> None:
    """Ten days away: no second step on the day of return, no heap of messages, and the distances stay."""
    post.go_to(DECEMBER)
    post.enrol("pm_card_decline_insufficient_funds")
    post.round()

    post.away_until(date(2026, 12, 11))
    post.round()
    post.until(date(2027, 1, 12))

    # The retry of 4 December is made seven days late, so those of 8 and 15 December move by seven.
    assert post.tries()[:4] == december(1, 11, 15, 22)
    days = [day for _, day in post.queued(FAILED, AGAIN, FINAL)]
    assert len(days) == len(set(days))
    assert post.queued(FINAL) == [(FINAL, date(2027, 1, 5))]


def test_steps_fall_on_business_days(post: Post) -> None:
    """Friday, 18 December: a retry on Monday, the next after Christmas and its substitute holiday."""
    post.go_to(date(2026, 12, 18))
    post.enrol("pm_card_decline_insufficient_funds")

    post.round()
    post.until(date(2026, 12, 30))

    assert post.tries() == december(18, 21, 29)


def test_a_retry_moves_away_from_the_day_of_the_next_debit(post: Post) -> None:
    """The seventh day is the next due date of a weekly contract: move, do not stack."""
    post.go_to(DECEMBER)
    post.enrol("pm_card_declineTwice_insufficient_funds", frequency=Frequency.WEEKLY)
    post.round()
    post.until(date(2026, 12, 10))

    assert post.tries() == december(1, 4, 8, 9)
    assert post.practice.all(Contract)[0].status is AgreementStatus.ACTIVE
    post.practice.assert_exactly_once()


def test_the_networks_limit_passes_a_retry_over_and_the_messages_go_on(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All attempts with one card and amount count, whatever they were for."""
    monkeypatch.setattr(dunning, "NETWORK_ATTEMPTS_MAX", 2)
    post.go_to(DECEMBER)
    post.enrol("pm_card_decline_insufficient_funds")

    post.round()
    post.until(date(2026, 12, 16))

    assert post.tries() == december(1, 4)
    # What was not tried again has not failed again.
    assert post.queued(FAILED, AGAIN) == list(zip((FAILED, AGAIN, FAILED, FAILED), december(1, 4, 8, 15), strict=True))


def test_one_run_a_day_is_enough_to_tell_a_failure_on_its_own_day(post: Post) -> None:
    """And so the retries fall on the days of the schedule."""
    post.go_to(DECEMBER)
    post.enrol("pm_card_decline_insufficient_funds")

    for _ in range(31):
        make_round(post.practice.context, post.mail, post.sms)
        post.practice.advance(days=1)

    assert post.tries() == december(1, 4, 8, 15)
    assert post.queued(FAILED, AGAIN, FINAL) == [
        (FAILED, DECEMBER),
        *((AGAIN, day) for day in december(4, 8, 15)),
        (FINAL, date(2026, 12, 29)),
    ]
    assert "did not go through" in post.mails()[0]


def test_nobody_is_told_of_another_attempt_that_was_not_made(post: Post) -> None:
    """A lost card is not tried again: each reminder says that the payment failed, on an occasion of its own."""
    post.go_to(DECEMBER)
    post.enrol("pm_card_decline_lost_card")

    post.round()
    post.until(date(2026, 12, 16))

    assert post.tries() == [DECEMBER]
    assert post.queued(FAILED, AGAIN) == [(FAILED, day) for day in december(1, 4, 8, 15)]


def test_a_contract_is_cancelled_where_the_practice_wants_it(post: Post) -> None:
    """The member is told the last day; nothing is owed less by it."""
    post.practice.set_policy(auto_cancel_day="30")
    (post.practice.location,) = post.practice.all(Location)
    post.enrol("pm_card_decline_lost_card", frequency=Frequency.ANNUALLY)

    post.round()
    post.days(32)

    contract = post.practice.all(Contract)[0]
    assert (contract.status, contract.next_due) == (AgreementStatus.CANCELLED, None)
    assert post.queued(MessageKind.MEMBERSHIP_CANCELLED) != []
    assert post.practice.all(Invoice)[0].status is InvoiceStatus.OVERDUE
    assert post.recovery().ended_at is not None


def test_staff_get_one_notice_a_day_with_all_contracts(post: Post) -> None:
    """It names ids and the sum, and nobody."""
    with post.practice.context.database.unit_of_work() as session:
        session.get_one(Location, post.practice.location.id).email = "desk@example.org"
    people = [post.enrol("pm_card_decline_lost_card") for _ in range(2)]
    post.round()
    post.days(14)

    (notice,) = (mail for mail in post.mails() if "overdue at" in mail)

    assert notice.startswith("desk@example.org\n2 overdue at Leura Dental")
    assert all(person.contract_id in notice for person in people)


def test_a_payer_with_two_unpaid_invoices_gets_one_reminder_a_day(post: Post) -> None:
    """The second waits for the next business day."""
    post.enrol("pm_card_decline_lost_card", frequency=Frequency.WEEKLY)
    post.round()
    post.days(60)

    days = [day for _, day in post.queued(FAILED, AGAIN, FINAL)]
    assert len(post.practice.all(Invoice)) == 9
    assert len(days) == len(set(days)) > 20


def test_a_suspended_contract_is_left_alone(post: Post) -> None:
    """No step while it lasts."""
    person = post.enrol("pm_card_decline_insufficient_funds")
    post.round()
    suspend_member(post.practice.context, person.contract_id, actor="person:test")
    before = len(post.practice.all(Message))

    post.days(10)

    assert len(post.tries()) == 1
    assert len(post.practice.all(Message)) == before


def test_a_first_charge_that_fails_is_told_at_once(post: Post) -> None:
    """There is no recovery, because nothing has begun; the link pays and begins it."""
    post.enrol("pm_card_decline_insufficient_funds", adopted=False)

    post.round()

    assert post.queued(FAILED) == [(FAILED, post.practice.today)]
    assert post.states() == [MessageState.SENT] * 2
    assert post.practice.all(Contract)[0].status is AgreementStatus.FAILED
