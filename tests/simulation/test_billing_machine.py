"""Whatever people and the world do, in any order, every due amount is charged once.

For a long search: `pytest tests/simulation/test_billing_machine.py --hypothesis-profile search`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from connector.billing.agreements.schedule import Frequency
from connector.billing.policy import CatchUp, EarlyCancel
from tests.support import billing_acts as acts
from tests.support.billing_machine import EVERYTHING, GOOD, Billing, Turn

STEPS = 20
EXAMPLES_A_STORY = 8
"""A story takes so much longer than the examples of other tests that there are fewer of them."""
LONG_STORY_DAYS = 60
WEEKLY, MONTHLY = Frequency.WEEKLY, Frequency.MONTHLY


@pytest.fixture
def billing(first_morning: Path) -> type[Billing]:
    Billing.first_morning, Billing.happened = first_morning, Counter()
    return Billing


def test_whatever_happens_every_due_amount_is_charged_once(billing: type[Billing]) -> None:
    """Enrolments, changes, refunds, disputes, kills and lost answers: the judge finds nothing, and nothing is left."""
    few = settings().max_examples // EXAMPLES_A_STORY
    run_state_machine_as_test(billing, settings=settings(max_examples=few, stateful_step_count=STEPS))

    assert len([name for name in EVERYTHING if billing.happened[name]]) > len(EVERYTHING) / 2


@pytest.fixture
def story(billing: type[Billing]) -> Iterator[Billing]:
    story = billing()
    try:
        yield story
    finally:
        story.story.close()


def test_a_story_in_which_everything_happens(story: Billing) -> None:
    """Each thing that the stories above may or may not tell takes place here, and the judge finds nothing."""
    story.days_left = LONG_STORY_DAYS
    _people_join(story)
    _money_is_asked_for(story)
    _money_goes_back(story)
    _people_leave(story)
    _nobody_looks_for_a_while(story)

    assert {name for name in EVERYTHING if not story.story.happened[name]} == set()
    assert story.left_broken() == []


def _people_join(story: Billing) -> None:
    story.join(plan="Large", frequency=WEEKLY, method=GOOD, dependents=[])
    story.join(plan="Bound", frequency=WEEKLY, method="pm_becs_success", dependents=["Small"])
    story.join(plan="Small", frequency=MONTHLY, method=GOOD, dependents=[])
    story.join(plan="Bound", frequency=MONTHLY, method=GOOD, dependents=[])
    story.add_dependent(turn=Turn(3, 0), plan="Large")
    story.change_plan(turn=Turn(1, 0), plan="Small")
    story.change_plan(turn=Turn(0, 2), plan="Large")
    story.accept_dearer_plan(turn=Turn(1, 0))


def _money_is_asked_for(story: Billing) -> None:
    story.agree_payment_plan(turn=Turn(0, 0), cents=10_001, count=4, frequency=WEEKLY, ahead=2)
    story.agree_payment_plan(turn=Turn(0, 2), cents=20_000, count=3, frequency=WEEKLY, ahead=2)
    story.agree_payment_plan(turn=Turn(0, 1), cents=9_999, count=5, frequency=WEEKLY, ahead=3)
    story.request_payment(turn=Turn(0, 2), parts=[(0, 5_000), (3, 2_500)])
    story.answer_request(turn=Turn(0, 0), method=GOOD)
    story.hold(turn=Turn(0, 0), cents=30_000)
    story.hold(turn=Turn(0, 2), cents=10_000)
    story.capture(turn=Turn(1, 0), share=2)
    story.release(turn=Turn(0, 0))
    story.change_payday(turn=Turn(3, 0), ahead=2)
    story.pause_payment_plan(turn=Turn(0, 1), ahead=5)
    story.resume_payment_plan(turn=Turn(3, 1))
    story.pay_parts_early(turn=Turn(0, 2), parts=2)
    story.pay_off(turn=Turn(1, 1))
    story.cancel_payment_plan(turn=Turn(1, 0))


def _money_goes_back(story: Billing) -> None:
    story.refund(turn=Turn(0, 0), share=2, where=acts.refund)
    story.refund(turn=Turn(0, 1), share=2, where=acts.refund_at_stripe)
    story.refund(turn=Turn(0, 2), share=3, where=acts.refund_by_bank)
    story.dispute(turn=Turn(0, 0), share=1)
    story.win_dispute(turn=Turn(1, 0))
    story.dispute(turn=Turn(0, 4), share=2)
    story.cancel_invoice(turn=Turn(1, 0))


def _people_leave(story: Billing) -> None:
    story.drop_dependent(turn=Turn(0, 0))
    story.suspend(turn=Turn(0, 0))
    story.reactivate(turn=Turn(7, 0))
    story.change_policy(early_cancel=EarlyCancel.CHARGE_REMAINDER, catch_up=CatchUp.LATEST)
    story.cancel(turn=Turn(0, 1), override=False)
    story.change_policy(early_cancel=EarlyCancel.NOTICE, catch_up=CatchUp.LATEST)
    story.cancel(turn=Turn(0, 3), override=False)


def _nobody_looks_for_a_while(story: Billing) -> None:
    story.join(plan="Small", frequency=WEEKLY, method="pm_card_decline_insufficient_funds", dependents=[])
    story.pay_at_desk(turn=Turn(1, 0))
    story.bounce(turn=Turn(1, 0))
    story.give_another_method(turn=Turn(0, 4), method=GOOD)
    story.days_pass(count=1)
    story.daemon_is_off(count=16)
    story.days_pass(count=1)
    story.release_missed_period(turn=Turn(0, 0))
