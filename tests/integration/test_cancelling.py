"""Cancelling: what each lock-in policy asks for, to the cent, and what is left of a membership afterwards."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import select

from connector.billing.activity import CONNECTOR, Activity
from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import AttemptState, ChargeAttempt
from connector.billing.collecting.recovery import Recovery
from connector.billing.invoices import Invoice, InvoiceKind, InvoiceLine, InvoiceStatus
from connector.billing.links import LinkKind, SecureLink, mint
from connector.billing.members import PaymentMethod
from connector.billing.offers.plan_changes import PlanChange, PlanChangeStatus
from connector.billing.offers.plans import offered_version, plan_by_name
from connector.billing.prices.pricing import LineKind, PromoScope, PromoTerms
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.money import Money
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.invoices.issue_due import IssueTally, issue_due
from connector.use_cases.members.cancel_membership import Consent, cancel_membership, preview_cancel
from connector.use_cases.members.suspend_member import suspend_member
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan
from connector.use_cases.plans.promo_codes import add_promo_code, redeem
from tests.support.membership_life import (
    ACTOR,
    child,
    command,
    contract,
    decide,
    document,
    dues,
    everything,
    history,
    live,
    messages,
    sell,
)
from tests.support.practice import Enrolled, Practice

S = AgreementStatus
QUARTER = ("2026-09-01", "2026-10-01", "2026-11-01", "2026-12-01", "2026-12-10")
"""Four periods are paid, and it is the tenth of the fourth."""


def bound(practice: Practice, policy: str, **settings: object) -> Enrolled:
    """Somebody in the fourth month of twelve that they are bound for."""
    decide(practice, early_cancel=policy, **settings)
    one = practice.enrol(plan=sell(practice, "A year", lock_in_months=12))
    live(practice, *QUARTER)
    return one


def _accept(practice: Practice, plan_name: str, cents: int, effective_on: date) -> None:
    """The only member has accepted that plan at that price from the first due date on or after that day."""
    with practice.context.database.unit_of_work() as session:
        plan = plan_by_name(session, practice.location, plan_name)
        session.add(
            PlanChange(
                id="chg_1",
                cover_id=session.scalars(select(Cover.id)).one(),
                plan_version_id=offered_version(session, plan).id,
                price_cents=cents,
                effective_on=effective_on,
                status=PlanChangeStatus.ACCEPTED,
                actor=ACTOR,
                created_at=practice.clock.now(),
            )
        )


@pytest.mark.parametrize(
    ("policy", "owed", "status", "last_day"),
    [
        ("allow", 0, S.CANCELLED, date(2026, 12, 31)),
        ("notice", 2990, S.ACTIVE, date(2027, 1, 31)),
        ("charge_remainder", 8 * 2990, S.CANCELLED, date(2027, 8, 31)),
    ],
)
def test_each_policy_has_its_price(
    practice: Practice, policy: str, owed: int, status: AgreementStatus, last_day: date
) -> None:
    """What was shown is what it comes to; looking changes nothing."""
    one = bound(practice, policy)
    before = everything(practice)

    shown = preview_cancel(practice.context, one.contract_id)
    assert everything(practice) == before
    left = cancel_membership(practice.context, one.contract_id, Consent(agreed=shown.owed), actor=ACTOR)

    assert (shown.owed, shown.last_day, left.terms) == (Money(owed, "aud"), last_day, shown)
    after = contract(practice, one.contract_id)
    assert (after.status, after.ends_on, left.status) == (status, last_day, status)
    assert messages(practice, one.contract_id) == ["membership_cancelled:email"]
    (told,) = (row for row in practice.all(Message) if row.kind is MessageKind.MEMBERSHIP_CANCELLED)
    assert told.detail == {"ends_on": last_day.isoformat()}


def test_the_remainder_is_one_invoice_that_is_collected_at_once(practice: Practice) -> None:
    """Eight periods in one sum, and nothing more ever."""
    one = bound(practice, "charge_remainder")

    cancel_membership(practice.context, one.contract_id, Consent(), actor=ACTOR)
    live(practice, "2026-12-10", "2027-01-01", "2027-02-01")
    practice.work()
    practice.settle()

    (exit_invoice,) = (row for row in practice.all(Invoice) if row.kind is InvoiceKind.EXIT)
    assert (exit_invoice.amount_cents, exit_invoice.due_date) == (8 * 2990, date(2026, 12, 10))
    assert exit_invoice.status is InvoiceStatus.COMPLETED
    assert len(dues(practice, one.contract_id)) == 5
    practice.assert_all_written()


def test_the_remainder_of_a_household_is_each_persons_own(practice: Practice) -> None:
    """With the fee of a child that has joined and was not billed yet: exactly what would have been billed."""
    one = bound(practice, "charge_remainder")
    kids = sell(practice, "Kids", prices={"monthly": 1000}, setup_fee_cents=500)
    added = child(practice, one.contract_id, 9, kids)
    consent = Consent(with_dependents=True)

    shown = preview_cancel(practice.context, one.contract_id)
    cancel_membership(practice.context, one.contract_id, consent, actor=ACTOR)

    (exit_invoice,) = (row for row in practice.all(Invoice) if row.kind is InvoiceKind.EXIT)
    lines = {row.member_id: row for row in practice.all(InvoiceLine) if row.invoice_id == exit_invoice.id}
    assert {row.kind for row in lines.values()} == {LineKind.EXIT_FEE}
    assert lines[one.member_id].amount_cents == 8 * (2990 - 299)
    assert lines[added.member_id].amount_cents == 8 * (1000 - 100) + 500
    assert shown.owed.cents == exit_invoice.amount_cents == 8 * 3591 + 500
    assert str(shown.owed) in shown.reason


def test_whoever_cannot_be_charged_the_remainder_owes_it(practice: Practice) -> None:
    """Without a usable method it is overdue, and its recovery begins."""
    one = bound(practice, "charge_remainder")
    with practice.context.database.unit_of_work() as session:
        for method in session.query(PaymentMethod):
            method.usable = False

    cancel_membership(practice.context, one.contract_id, Consent(), actor=ACTOR)

    (exit_invoice,) = (row for row in practice.all(Invoice) if row.kind is InvoiceKind.EXIT)
    assert exit_invoice.status is InvoiceStatus.OVERDUE
    assert [row.ended_at for row in practice.all(Recovery)] == [None]


def test_a_notice_is_billed_to_its_end_and_then_it_is_over(practice: Practice) -> None:
    """January falls into it; on the first of February it ends, before anything else is billed."""
    one = bound(practice, "notice", cancel_notice_days=30)
    cancel_membership(practice.context, one.contract_id, Consent(), actor=ACTOR)
    with pytest.raises(DomainError, match=r"under notice already: it ends on 31/01/2027\."):
        cancel_membership(practice.context, one.contract_id, Consent(), actor=ACTOR)
    with pytest.raises(DomainError, match=r"ends on 31/01/2027: it cannot be suspended\."):
        suspend_member(practice.context, one.contract_id, actor=ACTOR)

    live(practice, "2026-12-31", "2027-01-01", "2027-01-31")
    assert contract(practice, one.contract_id).status is S.ACTIVE
    live(practice, "2027-02-01", "2027-03-01")

    assert [due for due, _ in dues(practice, one.contract_id)] == [*QUARTER[:4], "2027-01-01"]
    assert contract(practice, one.contract_id).status is S.CANCELLED
    assert history(practice, one.contract_id)[-2:] == ["Notice Given", "Membership Cancelled"]
    assert [row.actor for row in practice.all(Activity)][-1] == CONNECTOR
    assert messages(practice, one.contract_id) == ["membership_cancelled:email"]


def test_a_notice_that_ran_out_while_nothing_ran_is_collected_first(practice: Practice) -> None:
    """After days offline the invoice of January is issued and paid, and none for February; then it is over."""
    one = bound(practice, "notice")
    cancel_membership(practice.context, one.contract_id, Consent(), actor=ACTOR)

    live(practice, "2027-02-20")
    assert contract(practice, one.contract_id).status is S.ACTIVE
    live(practice, "2027-02-21")

    assert contract(practice, one.contract_id).status is S.CANCELLED
    assert [due for due, _ in dues(practice, one.contract_id)] == [*QUARTER[:4], "2027-01-01"]
    assert {row.status for row in practice.all(Invoice)} == {InvoiceStatus.COMPLETED}


def test_a_lock_in_that_blocks_needs_an_override_and_charges_nothing(practice: Practice) -> None:
    """Refused first, with the date; overridden, the paid month is enjoyed to its end."""
    one = bound(practice, "block")
    before = everything(practice)
    with pytest.raises(DomainError, match=r"lock-in ends on 01/09/2027.*Repeat with --override"):
        cancel_membership(practice.context, one.contract_id, Consent(), actor=ACTOR)
    assert everything(practice) == before

    cancel_membership(practice.context, one.contract_id, Consent(override=True), actor=ACTOR)

    after = contract(practice, one.contract_id)
    assert (after.status, after.ends_on) == (S.CANCELLED, date(2026, 12, 31))
    assert len(dues(practice, one.contract_id)) == 4
    assert history(practice, one.contract_id)[-2:] == ["Lock-in Overridden", "Membership Cancelled"]


def test_a_sum_that_has_changed_since_it_was_shown_is_refused(practice: Practice) -> None:
    """Nobody is charged what nobody has agreed to."""
    one = bound(practice, "charge_remainder")
    shown = preview_cancel(practice.context, one.contract_id)
    child(practice, one.contract_id, 9)

    with pytest.raises(DomainError, match=r"has changed meanwhile, to 430\.56 AUD"):
        consent = Consent(with_dependents=True, agreed=shown.owed)
        cancel_membership(practice.context, one.contract_id, consent, actor=ACTOR)

    assert contract(practice, one.contract_id).status is S.ACTIVE


def test_the_remainder_of_a_paused_contract_counts_from_today(practice: Practice) -> None:
    """What fell due in the pause is not part of it."""
    one = bound(practice, "charge_remainder")
    suspend_member(practice.context, one.contract_id, actor=ACTOR)
    live(practice, "2027-03-20")

    shown = preview_cancel(practice.context, one.contract_id)

    # April to August.
    assert (shown.owed.cents, shown.due[0]) == (5 * 2990, date(2027, 4, 1))


@pytest.mark.parametrize(("policy", "periods"), [("charge_remainder", 8), ("notice", 1)])
@pytest.mark.parametrize("cents", [1000, 9000])
def test_what_leaving_costs_knows_the_change_of_plan_that_was_accepted(
    practice: Practice, policy: str, periods: int, cents: int
) -> None:
    """The periods that are owed have the price that was agreed for them, a lower or a higher one."""
    one = bound(practice, policy)
    _accept(practice, sell(practice, "Other", prices={"monthly": cents}), cents, date(2027, 1, 1))
    before = {invoice.id for invoice in practice.all(Invoice)}

    shown = preview_cancel(practice.context, one.contract_id)
    cancel_membership(practice.context, one.contract_id, Consent(agreed=shown.owed), actor=ACTOR)
    live(practice, "2026-12-31", "2027-01-01", "2027-02-01")

    new = [invoice.amount_cents for invoice in practice.all(Invoice) if invoice.id not in before]
    assert (shown.owed.cents, new) == (periods * cents, [periods * cents])
    assert str(shown.owed) in shown.reason


def test_a_change_that_counts_later_leaves_the_periods_before_it_as_they_are(practice: Practice) -> None:
    """Accepted from May on: four periods at the old price, and four at the new one."""
    one = bound(practice, "charge_remainder")
    _accept(practice, sell(practice, "Other", prices={"monthly": 1000}), 1000, date(2027, 5, 1))

    shown = preview_cancel(practice.context, one.contract_id)

    assert shown.owed.cents == 4 * 2990 + 4 * 1000


def test_a_pause_uses_up_neither_a_promo_code_nor_a_fee_of_what_leaving_costs(practice: Practice) -> None:
    """Half price for six periods, four of which were billed: the next two after the pause are still reduced."""
    decide(practice, early_cancel="charge_remainder")
    terms = PromoTerms("HALF", percent=Decimal(50), scope=PromoScope.RECURRING, periods=6)
    add_promo_code(practice.context, location_slug=practice.location.slug, terms=terms, actor=ACTOR)
    one = practice.enrol(None, plan=sell(practice, "A year", lock_in_months=12))
    with practice.context.database.unit_of_work() as session:
        signed = session.get_one(Contract, one.contract_id)
        redeem(session, practice.location, signed, "HALF", practice.clock.now())
    practice.sign_up(one, "pm_card_visa")
    live(practice, *QUARTER)
    child(practice, one.contract_id, 9, sell(practice, "Kids", prices={"monthly": 1000}, setup_fee_cents=500))
    suspend_member(practice.context, one.contract_id, actor=ACTOR)
    live(practice, "2027-03-20")

    shown = preview_cancel(practice.context, one.contract_id, Consent(with_dependents=True))

    # April and May are reduced, June to August are not; the child's fee comes with April.
    full = 2990 - 299 + 1000 - 100
    reduced = (2990 - 299) - (2990 - 299 + 1) // 2 + (1000 - 100) // 2
    assert (shown.due[0], shown.owed.cents) == (date(2027, 4, 1), 2 * reduced + 3 * full + 500)


def test_no_notice_runs_in_a_pause(practice: Practice) -> None:
    """Nothing would be billed in it, so the contract ends at once."""
    one = bound(practice, "notice")
    suspend_member(practice.context, one.contract_id, actor=ACTOR)

    left = cancel_membership(practice.context, one.contract_id, Consent(), actor=ACTOR)

    assert (left.status, left.terms.owed.cents, left.terms.due) == (S.CANCELLED, 0, ())


def test_what_is_owed_stays_owed_without_retries(practice: Practice) -> None:
    """The link to pay stays good, and the one to sign up is dead."""
    one = practice.enrol()
    live(practice, "2026-09-01")
    practice.sign_up(one, "pm_card_chargeCustomerFail")
    live(practice, "2026-10-01")
    (overdue,) = (row for row in practice.all(Invoice) if row.status is InvoiceStatus.OVERDUE)
    with practice.context.database.unit_of_work() as session:
        now = practice.clock.now()
        mint(session, LinkKind.OVERDUE, overdue.id, one.member_id, now, now.replace(year=2027))
        mint(session, LinkKind.SIGNUP, one.contract_id, one.member_id, now, now.replace(year=2027))

    cancel_membership(practice.context, one.contract_id, Consent(), actor=ACTOR)
    live(practice, "2026-10-20", "2026-11-01")

    rows = {row.id: row.status for row in practice.all(Invoice)}
    assert rows[overdue.id] is InvoiceStatus.OVERDUE
    assert [row.ended_because for row in practice.all(Recovery)] == ["cancelled"]
    ends = {row.kind: row.ended_because for row in practice.all(SecureLink)}
    assert ends == {LinkKind.OVERDUE: None, LinkKind.SIGNUP: "cancelled"}
    assert len(rows) == 2


def test_what_was_planned_and_not_sent_is_called_off(practice: Practice) -> None:
    """Due before the end, it is still owed; nothing is taken any more."""
    one = practice.enrol()
    issue_due(practice.context, practice.location, IssueTally())

    cancel_membership(practice.context, one.contract_id, Consent(), actor=ACTOR)
    live(practice, "2026-09-02")

    assert [row.state for row in practice.all(ChargeAttempt)] == [AttemptState.WITHDRAWN]
    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.OVERDUE]
    assert practice.stripe_charges() == []


def test_what_has_not_begun_ends_without_a_debt(practice: Practice) -> None:
    """The first invoice of a declined card is void, and a pending contract has none."""
    failed, pending = practice.enrol("pm_card_chargeCustomerFail"), practice.enrol(None)
    live(practice, "2026-09-01")

    for one in (failed, pending):
        shown = preview_cancel(practice.context, one.contract_id)
        assert (shown.owed.cents, shown.reason) == (0, "The membership has not begun: nothing is owed.")
        cancel_membership(practice.context, one.contract_id, Consent(), actor=ACTOR)

    assert [row.status for row in practice.all(Invoice)] == [InvoiceStatus.CANCELLED]
    assert {row.status for row in practice.all(Contract)} == {S.CANCELLED}
    assert messages(practice, pending.contract_id) == []
    practice.assert_exactly_once()


def test_payment_plans_survive_the_membership(practice: Practice) -> None:
    """What was financed is still paid off."""
    one = practice.paid()
    total, first = Money(30_000, "aud"), date(2026, 9, 15)
    start_payment_plan(practice.context, one.member_id, total, 3, Frequency.MONTHLY, first)

    cancel_membership(practice.context, one.contract_id, Consent(), actor=ACTOR)
    live(practice, "2026-09-15", "2026-10-15")

    (plan,) = practice.all(PaymentPlan)
    assert (plan.status, plan.next_due) == (S.ACTIVE, date(2026, 11, 15))
    practice.assert_exactly_once()


def test_announced_changes_of_plan_do_not_outlive_the_contract(practice: Practice) -> None:
    """An accepted one, too."""
    one = practice.paid()
    _accept(practice, "Essential", 3990, date(2026, 11, 1))

    cancel_membership(practice.context, one.contract_id, Consent(), actor=ACTOR)

    assert [row.status for row in practice.all(PlanChange)] == [PlanChangeStatus.WITHDRAWN]


def test_at_the_command_line_the_sum_is_shown_before_anybody_confirms(practice: Practice) -> None:
    """A machine must say --yes; a person may still say no."""
    one = bound(practice, "charge_remainder")
    before = everything(practice)

    machine = command(practice, "members", "cancel", one.contract_id, "--json")
    no = command(practice, "members", "cancel", one.contract_id, given="n\n")
    assert (machine.returncode, no.returncode) == (1, 1)
    assert "Owed: 239.20 AUD. Repeat with --yes to cancel." in machine.stdout
    assert "8 periods until then are owed at once, 239.20 AUD in all." in no.stdout
    assert everything(practice) == before
    done = document(practice, "members", "cancel", one.contract_id, "--yes")

    assert (done["status"], done["owed_cents"], done["last_day"]) == ("cancelled", 23920, "2027-08-31")
    again = command(practice, "members", "cancel", one.contract_id, "--yes")
    assert again.stderr == f"Error: The contract {one.contract_id} is cancelled already: a cancellation is final.\n"


@pytest.mark.parametrize("policy", ["notice", "charge_remainder"])
def test_the_sum_that_is_agreed_contains_the_fee_that_the_patient_bears(practice: Practice, policy: str) -> None:
    """What is shown before anybody confirms is what the invoices of leaving come to."""
    one = bound(practice, policy, fee_bearer="patient")
    before = {invoice.id for invoice in practice.all(Invoice)}
    shown = preview_cancel(practice.context, one.contract_id)

    cancel_membership(practice.context, one.contract_id, Consent(agreed=shown.owed), actor=ACTOR)
    for _ in range(35):
        practice.advance(days=1)
        practice.charge()

    new = [invoice for invoice in practice.all(Invoice) if invoice.id not in before]
    kinds = [line.kind for line in practice.all(InvoiceLine) if line.invoice_id in {invoice.id for invoice in new}]
    assert sum(invoice.amount_cents for invoice in new) == shown.owed.cents
    assert LineKind.PLATFORM_FEE in kinds
    assert verify_ledger(practice.context).faults == []
