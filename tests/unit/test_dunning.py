"""Recovery of unpaid invoices: agreed courses of events, and what holds for every policy, refusal and time offline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.collecting.business_days import BusinessCalendar, calendar_of
from connector.billing.collecting.declines import DeclineClass, Verdict, classify
from connector.billing.collecting.dunning import (
    Failure,
    Planned,
    RecoveryState,
    Step,
    StepKind,
    after_step,
    attempts_allowed,
    is_due,
    plan_next,
    steps,
    technical_retry_at,
)
from connector.billing.policy import BillingPolicy

RETRY, MESSAGE, STAFF = StepKind.RETRY, StepKind.MESSAGE, StepKind.STAFF_NOTICE
FINAL, CANCEL = StepKind.FINAL_NOTICE, StepKind.AUTO_CANCEL
NSW = calendar_of("Australia/Sydney")
POLICY = BillingPolicy()
DAY = timedelta(days=1)
START = date(2026, 12, 1)
SOFT = Verdict(DeclineClass.SOFT)
HARD = Verdict(DeclineClass.HARD)
CARD_REMINDERS = ("12-01 message", "12-04 message", "12-08 message", "12-15 message staff_notice")
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)

STARTS = st.dates(min_value=date(2026, 1, 1), max_value=date(2030, 12, 31))
CALENDARS = st.sampled_from([NSW, BusinessCalendar(), calendar_of("Australia/Melbourne")])
VERDICTS = st.builds(
    Verdict,
    st.sampled_from(DeclineClass),
    st.none() | st.sampled_from([timedelta(hours=1), timedelta(hours=72), timedelta(days=10)]),
)
RETRY_DAYS = st.lists(st.integers(1, 27), unique=True, max_size=4).map(lambda days: tuple(sorted(days)))
POLICIES = st.builds(
    BillingPolicy,
    card_retry_days=RETRY_DAYS,
    becs_retry_days=RETRY_DAYS,
    staff_notice_day=st.integers(0, 40),
    final_notice_day=st.just(28),
    auto_cancel_day=st.sampled_from([0, 28, 45]),
    upcoming_notice_days=st.integers(0, 10),
)
OFFLINE = st.sets(st.integers(0, 60), max_size=40).map(lambda days: {START + timedelta(days=day) for day in days})


def recover(
    failure: Failure,
    policy: BillingPolicy = POLICY,
    calendar: BusinessCalendar = NSW,
    *,
    offline: set[date] | None = None,
) -> Iterator[tuple[date, Step]]:
    """Every step of a recovery in which all retries fail like the first attempt, on the day on which it is made."""
    state, today = RecoveryState(failure.on), failure.on
    planned = plan_next(state, policy, failure, calendar, today)
    while planned is not None:
        while today in (offline or set()) or not is_due(planned.on, calendar, today):
            today += DAY
        step = planned.step
        yield today, step
        state = after_step(state, step, calendar, today)
        if step.kind is RETRY:
            failure = replace(failure, on=today, attempts=failure.attempts + 1)
        planned = plan_next(state, policy, failure, calendar, today)


def course(*text: str) -> list[tuple[date, StepKind]]:
    """'12-04 retry message' as dates of the winter of 2026 with their steps."""
    found = []
    for line in text:
        day, *kinds = line.split()
        on = date.fromisoformat(f"{'2027' if day.startswith('01') else '2026'}-{day}")
        found += [(on, StepKind(kind)) for kind in kinds]
    return found


def kinds(made: Iterator[tuple[date, Step]]) -> list[tuple[date, StepKind]]:
    return [(on, step.kind) for on, step in made]


def test_a_card_without_funds_is_tried_four_times_in_all() -> None:
    """Refused on 1 December: retries on 4, 8 and 15 December, then no more; final notice after the holidays."""
    failure = Failure(classify(True, "insufficient_funds", "try_again_later", None), True, START)

    assert kinds(recover(failure)) == course(
        "12-01 message",
        "12-04 retry message",
        "12-08 retry message",
        "12-15 retry message staff_notice",
        "12-29 final_notice",
    )


def test_a_bank_debit_that_came_back_is_repeated_after_the_payer_was_told() -> None:
    """Returned on 1 December: told at once, repeated on the seventh (5 days, a Sunday), told again, and once more."""
    failure = Failure(classify(False, "refer_to_customer", None, None), False, START)

    assert kinds(recover(failure)) == course(
        "12-01 message", "12-07 retry", "12-10 message", "12-14 retry", "12-15 staff_notice", "12-29 final_notice"
    )


@pytest.mark.parametrize(
    ("is_card", "code", "days"),
    [
        (True, "lost_card", CARD_REMINDERS),
        (True, "authentication_required", CARD_REMINDERS),
        (True, "expired_card", CARD_REMINDERS),
        (False, "account_closed", ("12-01 message", "12-10 message", "12-15 staff_notice")),
    ],
)
def test_what_only_the_payer_can_mend_is_never_retried(is_card: bool, code: str, days: tuple[str, ...]) -> None:
    """Reminders with the link, the word to the staff and the final notice stay."""
    failure = Failure(classify(is_card, code, None, None), is_card, START)

    assert kinds(recover(failure)) == course(*days, "12-29 final_notice")


def test_a_new_card_is_tried_at_once_and_costs_no_step() -> None:
    """The old card was lost; the new one has no funds on 9 December: the schedule goes on where it was."""
    lost = Failure(classify(True, "lost_card", "do_not_try_again", None), True, START)
    state = RecoveryState(START)
    for on, step in recover(lost):
        if on < date(2026, 12, 9):
            state = after_step(state, step, NSW, on)
    waiting = plan_next(state, POLICY, lost, NSW, date(2026, 12, 9))

    on_new_card = Failure(SOFT, True, date(2026, 12, 9))

    assert waiting == Planned(date(2026, 12, 15), Step(14, MESSAGE))
    assert plan_next(state, POLICY, on_new_card, NSW, on_new_card.on) == Planned(date(2026, 12, 15), Step(14, RETRY))


def test_a_card_is_not_tried_twice_on_the_day_of_its_failure() -> None:
    """A new card that failed on the very day of a retry is tried again at the next one."""
    state = RecoveryState(START, step=Step(3, MESSAGE).position + 1, done_on=date(2026, 12, 4))
    failure = Failure(SOFT, True, date(2026, 12, 8))

    assert plan_next(state, POLICY, failure, NSW, failure.on) == Planned(failure.on, Step(7, MESSAGE))


def test_a_payer_who_tried_on_the_link_is_not_debited_behind_the_scenes() -> None:
    """Pending retries are cancelled; reminders and the final notice stay."""
    failure = Failure(SOFT, True, START, by_payer=True)

    assert RETRY not in {kind for _, kind in kinds(recover(failure))}
    assert kinds(recover(failure))[-1] == (date(2026, 12, 29), FINAL)


@pytest.mark.parametrize("decline_class", [DeclineClass.SOFT_TWICE, DeclineClass.UNKNOWN])
def test_a_refusal_without_a_reason_is_tried_twice_in_all(decline_class: DeclineClass) -> None:
    """The first attempt and one retry, whatever else is scheduled."""
    made = list(recover(Failure(Verdict(decline_class), True, START)))

    assert [on for on, step in made if step.kind is RETRY] == [date(2026, 12, 4)]
    assert len(made) == 7


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (None, date(2026, 12, 4)),
        (timedelta(hours=1), date(2026, 12, 4)),
        (timedelta(hours=72), date(2026, 12, 4)),
        (timedelta(hours=73), date(2026, 12, 8)),
        (timedelta(days=10), date(2026, 12, 15)),
    ],
)
def test_no_retry_is_made_before_the_network_wants_it(wait: timedelta | None, expected: date) -> None:
    """Retries that come too soon are passed over."""
    made = recover(Failure(Verdict(DeclineClass.SOFT, wait), True, START))

    assert next(on for on, step in made if step.kind is RETRY) == expected


def test_the_payer_is_not_reminded_of_what_is_not_the_payers_fault() -> None:
    """The practice's own weekly limit: retried when the week has passed, without a word to the payer."""
    failure = Failure(classify(False, "charge_exceeds_source_limit", None, None), False, START)

    assert kinds(recover(failure)) == course("12-14 retry", "12-15 staff_notice")


def test_a_contract_is_cancelled_only_where_that_is_switched_on() -> None:
    """As the last step, on the day of the setting."""
    made = kinds(recover(Failure(HARD, True, START), POLICY.model_copy(update={"auto_cancel_day": 42})))

    assert made[-2:] == course("12-29 final_notice", "01-12 auto_cancel")


def test_days_offline_push_later_steps_back() -> None:
    """Away from 3 to 9 December: the retry of the fourth is made on the tenth, and all others keep their distance."""
    offline = {date(2026, 12, day) for day in range(3, 10)}

    assert kinds(recover(Failure(SOFT, True, START), offline=offline)) == course(
        "12-01 message",
        "12-10 retry message",
        "12-14 retry message",
        "12-21 retry message staff_notice",
        "01-04 final_notice",
    )


def test_a_step_made_early_does_not_bring_later_ones_nearer() -> None:
    """Whoever makes a step before its day gives the payer no less time for the next one."""
    early = after_step(RecoveryState(START), Step(3, RETRY), NSW, date(2026, 12, 2))

    assert early.shifted_days == 0
    assert plan_next(early, POLICY, Failure(SOFT, True, START), NSW, START) == Planned(
        date(2026, 12, 4), Step(3, MESSAGE)
    )


def test_steps_that_holidays_bring_together_are_kept_a_day_apart() -> None:
    """Days 9 and 12 after 16 December are Christmas and Boxing Day's substitute; both roll to the twenty-ninth."""
    made = kinds(recover(Failure(SOFT, False, date(2026, 12, 16))))

    assert (date(2026, 12, 29), MESSAGE) in made
    assert (date(2026, 12, 30), RETRY) in made


@pytest.mark.parametrize(
    ("retry_days", "notice_days", "messages"),
    [
        ((5, 12), 3, [0, 9]),
        ((5, 12), 0, [0, 11]),
        ((5, 6), 3, [0, 5]),
        ((5,), 3, [0]),
        ((), 3, [0]),
        ((2, 9, 20), 5, [0, 4, 15]),
    ],
)
def test_a_second_debit_is_announced(retry_days: tuple[int, ...], notice_days: int, messages: list[int]) -> None:
    """So many days ahead as any debit, but not before the first one was made."""
    policy = BillingPolicy(becs_retry_days=retry_days, upcoming_notice_days=notice_days)

    found = steps(policy, is_card=False)

    assert [step.day for step in found if step.kind is MESSAGE] == messages
    assert [step.day for step in found if step.kind is RETRY] == list(retry_days)


def test_a_recovery_finds_its_way_when_the_payer_changes_from_bank_to_card() -> None:
    """What was done counts by its day, not by its number in the schedule of the other method."""
    state = after_step(RecoveryState(START), Step(5, RETRY), NSW, date(2026, 12, 7))
    state = replace(state, shifted_days=0)

    found = plan_next(state, POLICY, Failure(SOFT, True, date(2026, 12, 7)), NSW, date(2026, 12, 7))

    assert found == Planned(date(2026, 12, 8), Step(7, RETRY))


@pytest.mark.parametrize(
    ("decline_class", "wait", "repeats", "hours"),
    [
        (DeclineClass.TECHNICAL, None, 0, 1),
        (DeclineClass.TECHNICAL, None, 1, 6),
        (DeclineClass.TECHNICAL, None, 2, None),
        (DeclineClass.TECHNICAL, timedelta(hours=1), 1, 6),
        (DeclineClass.TECHNICAL, timedelta(hours=24), 0, None),
        (DeclineClass.SOFT, None, 0, None),
        (DeclineClass.HARD, None, 0, None),
    ],
)
def test_technical_failures_are_repeated_within_hours(
    decline_class: DeclineClass, wait: timedelta | None, repeats: int, hours: int | None
) -> None:
    """After one hour and after six; then, or when the network wants a longer wait, the schedule goes on."""
    found = technical_retry_at(Verdict(decline_class, wait), NOON, repeats)

    assert found == (None if hours is None else NOON + timedelta(hours=hours))


def test_a_card_is_never_tried_more_than_fifteen_times_in_thirty_days() -> None:
    """Counted over all invoices, because the networks count so."""
    assert attempts_allowed(14)
    assert not attempts_allowed(15)
    assert not attempts_allowed(16)


@given(POLICIES, st.booleans())
def test_a_schedule_begins_with_a_message_and_lists_each_step_once(policy: BillingPolicy, is_card: bool) -> None:
    """In the order of days, with the retries of the policy, and cancelled last, if at all."""
    found = steps(policy, is_card)
    days = policy.card_retry_days if is_card else policy.becs_retry_days

    positions = [step.position for step in found]
    assert positions == sorted(set(positions))
    assert Step(0, MESSAGE) in found[:2]
    assert tuple(step.day for step in found if step.kind is RETRY) == days
    assert [step.day for step in found if step.kind is CANCEL] == [day for day in [policy.auto_cancel_day] if day]


@given(POLICIES, st.booleans())
def test_between_two_bank_debits_there_is_always_a_message(policy: BillingPolicy, is_card: bool) -> None:
    """For cards as well: the payer hears of each failure before the next attempt."""
    order = [step.kind for step in steps(policy, is_card) if step.kind in (RETRY, MESSAGE)]

    assert order[0] is MESSAGE
    assert not any(before is after is RETRY for before, after in pairwise(order))


@given(POLICIES, VERDICTS, st.booleans(), st.booleans(), CALENDARS, OFFLINE)
def test_every_recovery_ends_and_never_does_two_days_work_in_one(
    policy: BillingPolicy,
    verdict: Verdict,
    is_card: bool,
    by_payer: bool,
    calendar: BusinessCalendar,
    offline: set[date],
) -> None:
    """Each step at most once, in order, on a business day, never early; steps of different days on different days."""
    made = list(recover(Failure(verdict, is_card, START, by_payer=by_payer), policy, calendar, offline=offline))

    positions = [step.position for _, step in made]
    assert positions == sorted(set(positions))
    assert {step for _, step in made} <= set(steps(policy, is_card))
    assert all(calendar.is_business_day(on) and on not in offline for on, _ in made)
    assert all(on >= START + timedelta(days=step.day) for on, step in made)
    assert all(
        later > on if following.day > step.day else later >= on for (on, step), (later, following) in pairwise(made)
    )


@given(POLICIES, st.booleans(), OFFLINE)
def test_steps_keep_their_distance_however_long_the_daemon_was_away(
    policy: BillingPolicy, is_card: bool, offline: set[date]
) -> None:
    """A step is late by days offline or by weekends; the next one is never nearer to it but for a weekend's roll."""
    made = list(recover(Failure(SOFT, is_card, START), policy, BusinessCalendar(), offline=offline))

    assert all(
        later - on >= timedelta(days=following.day - step.day - 2) for (on, step), (later, following) in pairwise(made)
    )


@given(POLICIES, VERDICTS, st.booleans(), STARTS, CALENDARS)
def test_without_days_offline_every_step_is_made_on_its_day(
    policy: BillingPolicy, verdict: Verdict, is_card: bool, start: date, calendar: BusinessCalendar
) -> None:
    """Rolled forward to a business day; later only where holidays had brought two steps together."""
    made = list(recover(Failure(verdict, is_card, start), policy, calendar))

    days = [calendar.roll_forward(start + timedelta(days=step.day)) for _, step in made]
    if len(set(days)) == len({step.day for _, step in made}):
        assert [on for on, _ in made] == days
    assert all(on >= day for (on, _), day in zip(made, days, strict=True))


@given(POLICIES, VERDICTS, st.booleans(), CALENDARS, OFFLINE)
def test_retries_are_made_only_where_they_make_sense(
    policy: BillingPolicy, verdict: Verdict, is_card: bool, calendar: BusinessCalendar, offline: set[date]
) -> None:
    """Never more than the refusal allows, and never sooner after one another than a day or the network's wait."""
    made = list(recover(Failure(verdict, is_card, START), policy, calendar, offline=offline))

    tries = [START, *(on for on, step in made if step.kind is RETRY)]
    most = verdict.decline_class.most_attempts
    assert most is None or len(tries) <= most
    assert all(later - on >= max(DAY, verdict.wait or DAY) for on, later in pairwise(tries))


@given(POLICIES, VERDICTS, st.booleans(), CALENDARS, st.integers(0, 80), st.integers(0, 80))
def test_asking_again_later_gives_the_same_plan(
    policy: BillingPolicy, verdict: Verdict, is_card: bool, calendar: BusinessCalendar, done: int, days: int
) -> None:
    """Until its day has come a plan does not move, however often it is made."""
    made = list(recover(Failure(verdict, is_card, START), policy, calendar))
    state, failure = RecoveryState(START), Failure(verdict, is_card, START)
    for on, step in made[:done]:
        state = after_step(state, step, calendar, on)
        if step.kind is RETRY:
            failure = replace(failure, on=on, attempts=failure.attempts + 1)
    first = plan_next(state, policy, failure, calendar, START)

    again = plan_next(state, policy, failure, calendar, START + timedelta(days=days))

    if first is None or first.on >= START + timedelta(days=days):
        assert again == first
    else:
        assert again is not None
        assert again.on == calendar.roll_forward(START + timedelta(days=days))
