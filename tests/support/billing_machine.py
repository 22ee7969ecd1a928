"""Billing as a state machine: its rules are what people and the world do, and the judge has the last word.

Hypothesis tells the stories and, when a promise breaks, shortens one to the fewest steps that still break it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from connector.billing.agreements.payment_requests import HoldStatus, InstantPayment, PaymentHold, RequestStatus
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import Payment
from connector.billing.invoices import UNPAID, InvoiceStatus
from connector.billing.members import MethodKind
from connector.billing.offers.plan_changes import PlanChange, PlanChangeStatus
from connector.billing.policy import CatchUp, EarlyCancel
from connector.simulation.agreed import Due, Instalments
from connector.simulation.faults import FaultKind
from connector.simulation.life import STAFF
from connector.simulation.simulate import SLUG
from connector.simulation.trouble import AT_OFFICE, AT_STRIPE
from connector.use_cases.practice.location_settings import change_settings
from tests.support import billing_acts as acts
from tests.support.billing_story import PLANS, Household, Story

GOOD = "pm_card_visa"
METHODS = (
    GOOD,
    "pm_becs_success",
    "pm_card_declineOnce_insufficient_funds",
    "pm_card_decline_insufficient_funds",
    "pm_card_decline_stolen_card",
    "pm_card_authenticationRequired",
    "pm_becs_failOnce_insufficient_funds",
    "pm_becs_fail_account_closed",
    "pm_becs_dispute",
    "pm_card_refundFail",
)
STORY_DAYS = 30
"""More would find no more, and take longer."""
CALM_DAYS, CALM_DAYS_MAX = 6, 14
"""So many days later debits, returns, refunds and retries have come to an end, or at least to be explained."""


@dataclass(frozen=True, slots=True)
class Turn:
    """So many days later it is the turn of one of those that there are, counted round."""

    days: int
    pick: int


FEW_CENTS = st.integers(200, 90_000)

turns = st.builds(Turn, st.sampled_from((0, 0, 1, 1, 3, 7)), st.integers(0, 7))
plans, methods = st.sampled_from(sorted(PLANS)), st.sampled_from(METHODS)
for_dependents = st.sampled_from(("Small", "Large"))
frequencies = st.sampled_from((Frequency.WEEKLY, Frequency.MONTHLY))
shares = st.sampled_from((1, 2, 3))
"""The whole, a half, a third."""
days = st.integers(1, 9)

T = TypeVar("T")
EVERYTHING = frozenset(
    {
        *("joined", "dependent added", "dependent dropped", "method given", "plan changed", "dearer plan accepted"),
        *("suspended", "reactivated", "cancelled", "notice given", "paid for leaving"),
        *("payment plan agreed", "Payday Changed", "Payment Plan Paused", "Payment Plan Resumed"),
        *("Instalments Paid Early", "Payment Plan Paid Off", "Payment Plan Cancelled"),
        *("payment requested", "request answered", "hold requested", "hold captured", "hold released"),
        *("paid at the desk", "bounced", "refunded", "refunded at Stripe", "refunded by bank"),
        *("disputed", "dispute won", "invoice cancelled", "missed period released"),
    }
)
"""What must have taken place in one story or another, or they would say little."""
SOMEBODY = precondition(lambda machine: machine.story.households)
PAID = precondition(lambda machine: machine.story.happened["joined"])
IN_PARTS = precondition(lambda machine: machine.story.happened["payment plan agreed"])


class Billing(RuleBasedStateMachine):
    """One story. A rule that finds nobody to act on, or is refused, changes nothing."""

    first_morning: Path
    happened: Counter[str]
    """In all stories together."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story(self.first_morning)
        self.days_left = STORY_DAYS
        self.early_cancel = EarlyCancel.BLOCK

    def one(self, turn: Turn, find: Callable[[], Sequence[T]]) -> T | None:
        self.pass_days(turn.days)
        found = find()
        return found[turn.pick % len(found)] if found else None

    def household(self, turn: Turn) -> Household:
        self.pass_days(turn.days)
        return self.story.households[turn.pick % len(self.story.households)]

    def plan_id(self, turn: Turn) -> str:
        self.pass_days(turn.days)
        found = [key for key, agreed in self.story.chronicle.agreed.items() if isinstance(agreed, Instalments)]
        return found[turn.pick % len(found)]

    def pass_days(self, count: int, *, working: bool = True) -> None:
        count = min(count, self.days_left)
        self.days_left -= count
        for _ in range(count):
            self.story.pass_day(working=working)
        if count:
            broken = self.story.broken()
            assert not broken, broken

    # -- time, and trouble until the next day is over

    @rule(count=days)
    def days_pass(self, count: int) -> None:
        self.pass_days(count)

    @rule(count=days)
    def daemon_is_off(self, count: int) -> None:
        self.pass_days(count, working=False)

    @rule()
    def daemon_works(self) -> None:
        self.story.work()

    @rule(passes=st.integers(1, 40) | st.integers(1, 900))
    def daemon_is_killed_after(self, passes: int) -> None:
        self.story.stage.light_fuse(passes)

    @rule(kind=st.sampled_from(AT_STRIPE))
    def stripe_is_in_trouble(self, kind: FaultKind) -> None:
        self.story.stage.around.stripe.disturb(kind)

    @rule(kind=st.sampled_from(AT_OFFICE))
    def office_is_in_trouble(self, kind: FaultKind) -> None:
        self.story.stage.around.office.disturb(kind)

    @rule(minutes=st.sampled_from((-60, -10, 60, 720)))
    def clock_is_wrong_for_a_day(self, minutes: int) -> None:
        self.story.wrong_by = timedelta(minutes=minutes)

    # -- memberships

    @initialize(plan=plans, frequency=frequencies, method=methods)
    def somebody_joins(self, plan: str, frequency: Frequency, method: str) -> None:
        self.story.join(plan, frequency, method, ())

    @rule(plan=plans, frequency=frequencies, method=methods, dependents=st.lists(for_dependents, max_size=2))
    def join(self, plan: str, frequency: Frequency, method: str, dependents: Sequence[str]) -> None:
        self.story.join(plan, frequency, method, dependents)

    @SOMEBODY
    @rule(turn=turns, method=methods)
    def give_another_method(self, turn: Turn, method: str) -> None:
        self.story.happened["method given"] += self.story.sign(self.household(turn), method)

    @SOMEBODY
    @rule(turn=turns, plan=for_dependents)
    def add_dependent(self, turn: Turn, plan: str) -> None:
        self.story.add_dependent(self.household(turn), plan)

    @SOMEBODY
    @rule(turn=turns)
    def drop_dependent(self, turn: Turn) -> None:
        household = self.household(turn)
        if household.dependents:
            acts.drop(self.story, household, household.dependents[turn.pick % len(household.dependents)])

    @SOMEBODY
    @rule(turn=turns, plan=plans)
    def change_plan(self, turn: Turn, plan: str) -> None:
        household = self.household(turn)
        acts.change(self.story, household, household.holder, plan)

    @PAID
    @rule(turn=turns)
    def accept_dearer_plan(self, turn: Turn) -> None:
        if found := self.one(turn, lambda: self.story.rows(PlanChange, PlanChange.status == PlanChangeStatus.OFFERED)):
            acts.accept(self.story, found)

    @SOMEBODY
    @rule(turn=turns)
    def suspend(self, turn: Turn) -> None:
        acts.suspend(self.story, self.household(turn))

    @SOMEBODY
    @rule(turn=turns)
    def reactivate(self, turn: Turn) -> None:
        acts.reactivate(self.story, self.household(turn))

    @SOMEBODY
    @rule(turn=turns, override=st.booleans())
    def cancel(self, turn: Turn, override: bool) -> None:
        acts.cancel(self.story, self.household(turn), self.early_cancel, override=override)

    @rule(early_cancel=st.sampled_from(EarlyCancel), catch_up=st.sampled_from(CatchUp))
    def change_policy(self, early_cancel: EarlyCancel, catch_up: CatchUp) -> None:
        self.early_cancel = early_cancel
        changes = {"early_cancel": early_cancel.value, "catch_up": catch_up.value}
        change_settings(self.story.stage.context, SLUG, changes, STAFF)

    # -- payment plans

    @SOMEBODY
    @rule(turn=turns, cents=FEW_CENTS, count=st.integers(2, 5), frequency=frequencies, ahead=days)
    def agree_payment_plan(self, turn: Turn, cents: int, count: int, frequency: Frequency, ahead: int) -> None:
        household, first = self.household(turn), self.story.today + timedelta(days=ahead)
        acts.agree_plan(self.story, household, cents, count, frequency, first)

    @IN_PARTS
    @rule(turn=turns, ahead=days)
    def change_payday(self, turn: Turn, ahead: int) -> None:
        plan_id = self.plan_id(turn)
        acts.change_payday(self.story, plan_id, self.story.today + timedelta(days=ahead))

    @IN_PARTS
    @rule(turn=turns, ahead=days)
    def pause_payment_plan(self, turn: Turn, ahead: int) -> None:
        plan_id = self.plan_id(turn)
        acts.pause_plan(self.story, plan_id, self.story.today + timedelta(days=2 * ahead))

    @IN_PARTS
    @rule(turn=turns)
    def resume_payment_plan(self, turn: Turn) -> None:
        acts.resume_plan(self.story, self.plan_id(turn))

    @IN_PARTS
    @rule(turn=turns, parts=st.integers(1, 3))
    def pay_parts_early(self, turn: Turn, parts: int) -> None:
        acts.pay_parts_early(self.story, self.plan_id(turn), parts)

    @IN_PARTS
    @rule(turn=turns)
    def pay_off(self, turn: Turn) -> None:
        acts.pay_all(self.story, self.plan_id(turn))

    @IN_PARTS
    @rule(turn=turns)
    def cancel_payment_plan(self, turn: Turn) -> None:
        acts.cancel_plan(self.story, self.plan_id(turn))

    # -- asked for once

    @SOMEBODY
    @rule(turn=turns, parts=st.lists(st.tuples(st.integers(0, 5), FEW_CENTS), min_size=1, max_size=2))
    def request_payment(self, turn: Turn, parts: Sequence[tuple[int, int]]) -> None:
        household = self.household(turn)
        dues = [Due(self.story.today + timedelta(days=ahead), cents) for ahead, cents in parts]
        acts.request(self.story, household, dues)

    @precondition(lambda machine: machine.story.happened["payment requested"])
    @rule(turn=turns, method=methods)
    def answer_request(self, turn: Turn, method: str) -> None:
        active = InstantPayment.status == RequestStatus.ACTIVE
        if found := self.one(turn, lambda: self.story.rows(InstantPayment, active)):
            acts.answer(self.story, found, method)

    def held(self) -> Sequence[PaymentHold]:
        return self.story.rows(PaymentHold, PaymentHold.status == HoldStatus.AUTHORISED)

    @PAID
    @rule(turn=turns, cents=FEW_CENTS)
    def hold(self, turn: Turn, cents: int) -> None:
        acts.hold(self.story, self.household(turn), cents)

    @precondition(lambda machine: machine.story.happened["hold requested"])
    @rule(turn=turns, share=shares)
    def capture(self, turn: Turn, share: int) -> None:
        if found := self.one(turn, self.held):
            acts.capture(self.story, found, found.amount_cents // share)

    @precondition(lambda machine: machine.story.happened["hold requested"])
    @rule(turn=turns)
    def release(self, turn: Turn) -> None:
        if found := self.one(turn, self.held):
            acts.release(self.story, found)

    # -- money by hand, and money that goes back

    @PAID
    @rule(turn=turns)
    def pay_at_desk(self, turn: Turn) -> None:
        if found := self.one(turn, lambda: self.story.invoices(*UNPAID)):
            acts.pay_at_desk(self.story, found)

    @PAID
    @rule(turn=turns)
    def bounce(self, turn: Turn) -> None:
        if found := self.one(turn, lambda: self.story.payments(Payment.method_kind == MethodKind.DESK)):
            acts.bounce(self.story, found)

    @PAID
    @rule(turn=turns, share=shares, where=st.sampled_from((acts.refund, acts.refund_at_stripe, acts.refund_by_bank)))
    def refund(self, turn: Turn, share: int, where: acts.Refund) -> None:
        if found := self.one(turn, self.story.payments):
            where(self.story, found, max(1, found.amount_cents // share))

    @PAID
    @rule(turn=turns, share=shares)
    def dispute(self, turn: Turn, share: int) -> None:
        if found := self.one(turn, lambda: self.story.payments(Payment.method_kind != MethodKind.DESK)):
            acts.dispute(self.story, found, max(1, found.amount_cents // share))

    @precondition(lambda machine: machine.story.disputes)
    @rule(turn=turns)
    def win_dispute(self, turn: Turn) -> None:
        if found := self.one(turn, lambda: self.story.disputes):
            acts.win(self.story, found)

    # -- invoices

    @PAID
    @rule(turn=turns)
    def cancel_invoice(self, turn: Turn) -> None:
        if found := self.one(turn, lambda: self.story.invoices(*UNPAID)):
            acts.give_up(self.story, found)

    @PAID
    @rule(turn=turns)
    def release_missed_period(self, turn: Turn) -> None:
        if found := self.one(turn, lambda: self.story.invoices(InvoiceStatus.WAITING)):
            acts.let_go(self.story, found)

    # -- the end

    def teardown(self) -> None:
        try:
            broken = self.left_broken()
            assert not broken, broken
        finally:
            Billing.happened += self.story.happened
            self.story.close()

    def left_broken(self) -> list[str]:
        """Once nothing goes wrong any more, everybody has a good card, and staff attend to what waits for them."""
        broken = ["not settled yet"]
        for day in range(CALM_DAYS_MAX):
            if day >= CALM_DAYS and not broken:
                break
            self.story.pass_day()
            acts.attend(self.story, GOOD)
            if day >= CALM_DAYS - 1:
                broken = self.story.broken(in_the_end=True) + acts.uncollected(self.story)
        return broken
