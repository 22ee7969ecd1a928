"""The dry run: what it shows is what the real run then does, and showing it changes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from connector.billing.agreements.schedule import Frequency
from connector.rehearsal.actions import ActionKind, actions_since
from connector.rehearsal.rehearse import Nowhere, rehearse
from connector.use_cases.make_round import make_round
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan
from connector.use_cases.payment_plans.pay_plan_early import pay_early
from connector.use_cases.tables import METADATA
from tests.support.practice import Practice
from tests.support.requests import STAFF, aud

DAYS = 45


def test_the_real_run_does_exactly_what_the_dry_run_has_shown(practice: Practice) -> None:
    """Six weeks of weekly and monthly members by card and by bank debit, day by day."""
    practice.enrol("pm_card_visa", frequency=Frequency.WEEKLY)
    practice.enrol("pm_becs_success", frequency=Frequency.FORTNIGHTLY)
    practice.enrol("pm_card_visa", linked=False)
    declined = practice.enrol("pm_card_declineOnce_insufficient_funds", adopted=True)
    make_round(practice.context, Nowhere(), Nowhere())
    practice.advance(days=1)
    start = practice.clock.now()
    until = practice.today + timedelta(days=DAYS)

    shown = rehearse(practice.context, until)

    for _ in range(DAYS + 1):
        make_round(practice.context, Nowhere(), Nowhere())
        practice.advance(days=1)
    with practice.context.database.read() as session:
        done = [action for action in actions_since(session, start) if action.on <= until]
    assert shown.problems == []
    assert shown.actions == done
    assert {action.kind for action in done} == set(ActionKind)
    assert [action.on for action in done if action.kind is ActionKind.RETRY and action.member_id == declined.member_id]
    practice.assert_exactly_once()


def test_a_dry_run_changes_nothing_here_nor_outside(practice: Practice) -> None:
    """Neither a row of ours, nor an object at Stripe, nor an entry in the practice system."""
    practice.enrol(frequency=Frequency.WEEKLY)
    before = _counts(practice), len(practice.stripe_listed("events")), practice.pms_rows()

    shown = rehearse(practice.context, practice.today + timedelta(days=30))

    assert len([action for action in shown.actions if action.kind is ActionKind.CHARGE]) == 5
    assert (_counts(practice), len(practice.stripe_listed("events")), practice.pms_rows()) == before


def test_what_was_done_at_this_very_instant_is_not_still_to_come(practice: Practice) -> None:
    """A clock that stands still, as on a practice's first trial, shows only what the next run does."""
    practice.enrol()
    practice.enrol()
    make_round(practice.context, Nowhere(), Nowhere())
    nothing = rehearse(practice.context, None)
    practice.enrol()

    shown = rehearse(practice.context, None)

    assert nothing.actions == []
    assert [action.kind for action in shown.actions if action.cents] == [
        ActionKind.CHARGE,
        ActionKind.INVOICE,
        ActionKind.WRITE_BACK,
    ]


def test_what_somebody_asks_for_is_a_charge_and_no_retry(practice: Practice) -> None:
    """An instalment that staff take early."""
    person = practice.paid()
    in_a_week = practice.today + timedelta(days=7)
    plan_id = start_payment_plan(practice.context, person.member_id, aud(10_000), 2, Frequency.MONTHLY, in_a_week)
    practice.advance(days=1)
    pay_early(practice.context, plan_id, 1, STAFF)

    shown = rehearse(practice.context, None)

    tries = (ActionKind.CHARGE, ActionKind.RETRY)
    assert [(action.kind, action.cents) for action in shown.actions if action.kind in tries] == [
        (ActionKind.CHARGE, 5_000)
    ]


def _counts(practice: Practice) -> dict[str, int]:
    with practice.context.database.read() as session:
        return {
            table.name: session.scalar(select(func.count()).select_from(table)) or 0 for table in METADATA.sorted_tables
        }


@pytest.mark.parametrize("hour", [7, 23])
def test_whatever_the_hour_it_shows_what_a_daemon_that_works_all_day_then_does(practice: Practice, hour: int) -> None:
    """Over the change to summer time, with messages that keep to the hours for them, work every two hours."""
    practice.enrol("pm_card_visa", frequency=Frequency.WEEKLY)
    practice.enrol("pm_becs_success", frequency=Frequency.FORTNIGHTLY)
    make_round(practice.context, Nowhere(), Nowhere())
    practice.clock.move_to(datetime(2026, 9, 24, hour, 30, tzinfo=practice.location.zone))
    practice.advance()
    make_round(practice.context, Nowhere(), Nowhere())
    practice.advance(minutes=1)
    start, until = practice.clock.now(), practice.today + timedelta(days=14)

    shown = rehearse(practice.context, until)

    while practice.today <= until:
        make_round(practice.context, Nowhere(), Nowhere())
        practice.advance(hours=2)
    with practice.context.database.read() as session:
        done = [action for action in actions_since(session, start) if action.on <= until]
    assert shown.actions == done
    assert [action for action in done if action.subject.startswith("upcoming_debit")]
