"""What people do about money in a billing story, and what is agreed by it, counted without the product's rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import date, timedelta
from functools import partial

from connector.billing.agreements.contracts import BILLABLE, AgreementStatus, Contract, Cover
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import InstantPayment, PaymentHold
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import Payment
from connector.billing.invoices import UNPAID, Invoice, InvoiceKind, InvoiceStatus
from connector.billing.members import MethodKind
from connector.billing.offers.plan_changes import PlanChange
from connector.billing.policy import EarlyCancel
from connector.simulation.agreed import Asked, Due, Instalments, day_of
from connector.simulation.chronicle import ByHand
from connector.simulation.life import STAFF
from connector.use_cases.collection.method_page import method_page
from connector.use_cases.collection.record_desk_payment import DeskMethod, record_desk_payment
from connector.use_cases.invoices.release_invoice import cancel_invoice, release_invoices
from connector.use_cases.members.cancel_membership import Consent, cancel_membership
from connector.use_cases.members.leave_household import drop_dependent
from connector.use_cases.members.suspend_member import reactivate_member, suspend_member
from connector.use_cases.payment_plans import change_payment_plan
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan
from connector.use_cases.payment_plans.end_payment_plan import cancel_payment_plan
from connector.use_cases.payment_plans.pay_plan_early import pay_early, pay_off
from connector.use_cases.plans.change_plan import change_plan
from connector.use_cases.plans.decide_plan_change import accept_plan_change
from connector.use_cases.requests.hold_payment import authorise_for_payer, request_hold
from connector.use_cases.requests.request_payment import request_payment
from connector.use_cases.requests.settle_hold import capture_hold, release_hold
from connector.use_cases.returns.record_bank_refund import record_bank_refund
from connector.use_cases.returns.record_bounced import record_bounced
from connector.use_cases.returns.refund_payment import refund_payment
from tests.support.billing_story import PLANS, Household, Story, price

NOTICE_DAYS = 14
"""Before a debit may rise."""
LEAVING_NOTICE_DAYS = 30
A_DAY = timedelta(days=1)
Refund = Callable[[Story, Payment, int], None]

# -- memberships


def drop(story: Story, household: Household, member_id: str) -> None:
    """A dependent is not counted from the next invoice on."""
    contract_id, agreed = household.contract_id, story.witness.membership(household.contract_id)
    until = story.witness.next_day(contract_id) if agreed.start else date.min
    drop_them = partial(drop_dependent, story.stage.context, contract_id, member_id, actor=STAFF)
    if story.took_place("dependent dropped", contract_id, "Dependent Dropped", drop_them):
        household.dependents.remove(member_id)
        for one in agreed.prices[member_id]:
            one.until = min(one.until, until)


def change(story: Story, household: Household, member_id: str, plan: str) -> None:
    """A plan that is not dearer counts from the next due date on; a dearer one once it is accepted."""
    contract_id, agreed = household.contract_id, story.witness.membership(household.contract_id)
    if agreed.start:
        changes = partial(change_plan, story.stage.context, contract_id, member_id, plan, STAFF)
        cents = price(plan, household.frequency)
        story.happened["plan changed"] += story.witness.plan_changed(contract_id, member_id, cents, changes)


def accept(story: Story, offered: PlanChange) -> None:
    """The payer accepts a dearer plan: it counts from the first due date after the notice, or from the next one."""
    (cover,) = story.rows(Cover, Cover.id == offered.cover_id)
    agreed = story.witness.membership(cover.contract_id)
    notice_ends = offered.created_at.astimezone(story.now.tzinfo).date() + timedelta(days=NOTICE_DAYS)
    since = story.witness.next_day(cover.contract_id, max(notice_ends, story.today))

    def accepts() -> None:
        with story.stage.database.unit_of_work() as session:
            accept_plan_change(session, offered.id, story.stage.clock.now())

    if story.took_place("dearer plan accepted", cover.contract_id, "Plan Change Accepted", accepts):
        agreed.change(cover.member_id, offered.price_cents, since)


def suspend(story: Story, household: Household) -> None:
    pause = partial(suspend_member, story.stage.context, household.contract_id, actor=STAFF)
    story.took_place("suspended", household.contract_id, "Membership Suspended", pause)


def reactivate(story: Story, household: Household) -> None:
    go_on = partial(reactivate_member, story.stage.context, household.contract_id, actor=STAFF)
    story.took_place("reactivated", household.contract_id, "Membership Reactivated", go_on)


def cancel(story: Story, household: Household, policy: EarlyCancel, *, override: bool) -> None:
    """Leaving costs what the policy says, counted from what was agreed."""
    contract_id, agreed = household.contract_id, story.witness.membership(household.contract_id)
    owed, ends = _leaving(story, household, policy)
    consent = Consent(override=override, with_dependents=True)
    leave = partial(cancel_membership, story.stage.context, contract_id, consent, actor=STAFF)
    if ends is not None:
        if story.took_place("notice given", contract_id, "Notice Given", leave):
            agreed.end = ends
    elif story.took_place("cancelled", contract_id, "Membership Cancelled", leave) and owed:
        agreed.for_leaving.append(Due(story.today, owed))
        story.happened["paid for leaving"] += 1


def _leaving(story: Story, household: Household, policy: EarlyCancel) -> tuple[int, date | None]:
    """Cents that are due at once, and of a membership that goes on under notice the day from which nothing is due."""
    (contract,) = story.rows(Contract, Contract.id == household.contract_id)
    suspended = contract.status is AgreementStatus.SUSPENDED
    agreed = deepcopy(story.witness.membership(household.contract_id))
    if agreed.start is None or not (suspended or contract.status in BILLABLE):
        return 0, None
    if suspended:
        agreed.pauses[-1].until = story.today
    first = story.witness.next_day(household.contract_id, story.today if suspended else date.min)
    bound = price("Bound", household.frequency)
    until = story.witness.invoiced_until(household.contract_id)
    is_bound = any(one.cents == bound and one.since <= until for one in agreed.prices[household.holder])
    free = day_of(agreed.start, "monthly", PLANS["Bound"]["lock_in_months"])
    if not is_bound or free <= story.today:
        return 0, None
    if policy is EarlyCancel.CHARGE_REMAINDER:
        rest = [due for due in agreed.dues(free - A_DAY) if due.day >= first]
        return sum(due.cents for due in rest), None
    ends = min(story.today + (LEAVING_NOTICE_DAYS + 1) * A_DAY, free)
    if policy is EarlyCancel.NOTICE and not suspended and first < ends:
        return 0, ends
    return 0, None


# -- payment plans


def agree_plan(story: Story, household: Household, cents: int, count: int, frequency: Frequency, first: date) -> None:
    """A treatment is paid in parts."""
    amount = story.money(cents)
    story.attempt(lambda: start_payment_plan(story.stage.context, household.holder, amount, count, frequency, first))
    for plan in story.rows(PaymentPlan, PaymentPlan.id.not_in(story.chronicle.agreed)):
        story.chronicle.agreed[plan.id] = Instalments(cents, count, frequency.value, first)
        story.happened["payment plan agreed"] += 1


def change_payday(story: Story, plan_id: str, day: date) -> None:
    act = partial(change_payment_plan.change_payday, story.stage.context, plan_id, day, STAFF)
    _change(story, plan_id, "Payday Changed", act, lambda agreed, part: agreed.move(part, day))


def pause_plan(story: Story, plan_id: str, until: date) -> None:
    act = partial(change_payment_plan.pause_plan, story.stage.context, plan_id, until, STAFF)
    _change(story, plan_id, "Payment Plan Paused", act, lambda agreed, part: agreed.rest(part, until))


def resume_plan(story: Story, plan_id: str) -> None:
    act = partial(change_payment_plan.resume_plan, story.stage.context, plan_id, STAFF)
    _change(story, plan_id, "Payment Plan Resumed", act, lambda agreed, part: agreed.go_on(part, story.today))


def pay_parts_early(story: Story, plan_id: str, parts: int) -> None:
    act = partial(pay_early, story.stage.context, plan_id, parts, STAFF)
    _change(
        story, plan_id, "Instalments Paid Early", act, lambda agreed, part: agreed.pay_early(part, parts, story.today)
    )


def pay_all(story: Story, plan_id: str) -> None:
    act = partial(pay_off, story.stage.context, plan_id, STAFF)
    _change(story, plan_id, "Payment Plan Paid Off", act, lambda agreed, part: agreed.pay_off(part, story.today))


def cancel_plan(story: Story, plan_id: str) -> None:
    act = partial(cancel_payment_plan, story.stage.context, plan_id, STAFF)
    _change(story, plan_id, "Payment Plan Cancelled", act, Instalments.end)


def _change(
    story: Story, plan_id: str, action: str, act: Callable[[], object], change: Callable[[Instalments, int], None]
) -> None:
    """Change what was agreed of the part that is invoiced next, and of all later ones."""
    before = story.chronicle.agreed[plan_id]
    assert isinstance(before, Instalments)
    after, part = deepcopy(before), story.witness.parts_invoiced(plan_id)
    if story.took_place(action, plan_id, action, act):
        change(after, part)
        story.chronicle.agreed[plan_id] = after


# -- asked for once


def request(story: Story, household: Household, parts: Sequence[Due]) -> None:
    """Amounts are asked for by link, each due on its day."""
    asked = [(story.money(part.cents), part.day) for part in parts]
    story.attempt(lambda: request_payment(story.stage.context, household.holder, asked, STAFF))
    for made in story.rows(InstantPayment, InstantPayment.id.not_in(story.chronicle.agreed)):
        story.chronicle.agreed[made.id] = Asked(parts)
        story.happened["payment requested"] += 1


def answer(story: Story, asked: InstantPayment, method: str) -> None:
    """The payer pays by the link."""
    page = partial(method_page, story.stage.context, asked.member_id, asked.id, story.location.currency)
    story.happened["request answered"] += story.give_method(method, lambda: page().url)


def hold(story: Story, household: Household, cents: int) -> None:
    """An amount is to be held on the card on file; nothing is due by that."""
    amount = story.money(cents)
    story.attempt(lambda: request_hold(story.stage.context, household.holder, amount, STAFF))
    for made in story.rows(PaymentHold, PaymentHold.id.not_in(story.chronicle.agreed)):
        story.chronicle.agreed[made.id] = Asked(())
        story.happened["hold requested"] += 1
        story.attempt(partial(authorise_for_payer, story.stage.context, made.id))


def capture(story: Story, held: PaymentHold, cents: int) -> None:
    """Staff take so much of what is held."""
    act = partial(capture_hold, story.stage.context, held.id, story.money(cents), STAFF)
    if story.took_place("hold captured", held.id, "Hold Captured", act):
        story.chronicle.agreed[held.id] = Asked((Due(story.today, cents),))


def release(story: Story, held: PaymentHold) -> None:
    story.took_place(
        "hold released", held.id, "Hold Released", partial(release_hold, story.stage.context, held.id, STAFF)
    )


# -- money by hand, and money that goes back


def pay_at_desk(story: Story, invoice: Invoice) -> None:
    """Somebody pays all that is owed in cash."""
    act = partial(record_desk_payment, story.stage.context, invoice.id, DeskMethod.CASH, story.today, STAFF)
    if story.took_place("paid at the desk", invoice.member_id, "Paid At The Practice", act):
        *_, paid = story.payments(Payment.invoice_id == invoice.id, Payment.method_kind == MethodKind.DESK)
        _note(story, paid, paid.amount_cents)


def bounce(story: Story, payment: Payment) -> None:
    """What was paid at the desk did not go through."""
    left = story.left_of(payment)
    act = partial(record_bounced, story.stage.context, payment.id, story.today, STAFF)
    if story.took_place("bounced", payment.member_id, "Payment Bounced", act):
        _note(story, payment, -left)
        story.bounced.add(payment.invoice_id)


def refund_by_bank(story: Story, payment: Payment, cents: int) -> None:
    """The practice has given so much back from its own account."""
    act = partial(record_bank_refund, story.stage.context, payment.id, story.money(cents), story.today, "", STAFF)
    if story.took_place("refunded by bank", payment.member_id, "Refund Recorded", act):
        _note(story, payment, -cents)


def _note(story: Story, payment: Payment, cents: int) -> None:
    mark = f"SP{payment.charge_id.partition('_')[2]}"
    story.chronicle.by_hand.append(ByHand(payment.invoice_id, mark, cents))


def refund(story: Story, payment: Payment, cents: int) -> None:
    """Staff give so much back through Stripe."""
    act = partial(refund_payment, story.stage.context, payment.id, story.money(cents), "", STAFF)
    if story.took_place("refunded", payment.member_id, "Refund Requested", act):
        story.chronicle.given_back[payment.processor_charge_id] += cents


def refund_at_stripe(story: Story, payment: Payment, cents: int) -> None:
    """Somebody gives so much back at Stripe's dashboard, behind our back."""
    story.calm()
    done = story.stage.around.stripe.do("refunds", charge=payment.processor_charge_id, amount=str(cents))
    story.chronicle.given_back[payment.processor_charge_id] += cents * done
    story.happened["refunded at Stripe"] += done


def dispute(story: Story, payment: Payment, cents: int) -> None:
    """The payer has so much fetched back by the bank."""
    made = story.happen("disputes", charge=payment.processor_charge_id, amount=cents)
    if made:
        story.happened["disputed"] += 1
        story.disputes.append(made["id"])


def win(story: Story, dispute_id: str) -> None:
    """The payer's bank decides for the practice."""
    if story.happen("disputes/won", dispute=dispute_id):
        story.disputes.remove(dispute_id)
        story.happened["dispute won"] += 1


# -- invoices


def give_up(story: Story, invoice: Invoice) -> None:
    """Nobody is to pay what is still owed on it."""
    act = partial(cancel_invoice, story.stage.context, invoice.id, STAFF)
    if story.took_place("invoice cancelled", invoice.member_id, "Invoice Cancelled", act):
        story.chronicle.given_up.add(invoice.id)


def let_go(story: Story, invoice: Invoice) -> None:
    """What was missed while nobody looked is collected after all."""
    act = partial(release_invoices, story.stage.context, [invoice.id], None, STAFF)
    story.took_place("missed period released", invoice.member_id, "Invoice Released", act)


# -- the end


def attend(story: Story, good: str) -> None:
    """Staff look at what waits for them, and whoever owes something gives a good card."""
    story.life.review_links(story.today)
    story.life.decide_held(story.today)
    for household in story.households:
        (contract,) = story.rows(Contract, Contract.id == household.contract_id)
        if contract.status is AgreementStatus.SUSPENDED:
            reactivate(story, household)
    for plan in story.rows(PaymentPlan, PaymentPlan.status == AgreementStatus.SUSPENDED):
        resume_plan(story, plan.id)
    for invoice in story.invoices(InvoiceStatus.WAITING):
        let_go(story, invoice)
    owing = {invoice.member_id for invoice in story.invoices(InvoiceStatus.OVERDUE)}
    for household in story.households:
        if household.holder in owing:
            story.sign(household, good)


def uncollected(story: Story) -> list[str]:
    """What is owed although nothing is in the way of collecting it."""
    over = (AgreementStatus.CANCELLED,)
    ended = {row.id for row in story.rows(Contract, Contract.status.in_(over))}
    ended |= {row.id for row in story.rows(PaymentPlan, PaymentPlan.status.in_(over))}
    by_bank = {it["charge"] for it in story.stage.around.stripe.listed("disputes")}
    disputed = {row.invoice_id for row in story.payments(Payment.processor_charge_id.in_(by_bank))} | story.bounced
    unanswered = {row.id for row in story.rows(InstantPayment, InstantPayment.accepted_at.is_(None))}
    found = []
    for row in story.invoices(*UNPAID):
        agreement = row.contract_id if row.kind is not InvoiceKind.EXIT else ""
        left_open = {agreement, row.payment_plan_id, row.instant_payment_id} & (ended | unanswered)
        if row.due_date < story.today - 5 * A_DAY and not left_open and row.id not in disputed:
            found.append(f"{row.kind.value} {row.id} of {row.due_date} is {row.status.value}")
    return found
