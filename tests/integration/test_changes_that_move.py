"""Dependents who leave a household take a change of plan along that was accepted for them."""

from __future__ import annotations

from datetime import date

import pytest

from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.invoices import Invoice
from connector.billing.offers.plan_changes import PlanChange, PlanChangeStatus
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.members.cancel_membership import Consent, cancel_membership, preview_cancel
from connector.use_cases.members.leave_household import drop_dependent, promote_dependent
from connector.use_cases.patient_pages.show_signup import Dues, offer_key
from connector.use_cases.patient_pages.show_signup import dues as dues_now
from connector.use_cases.patient_pages.sign_up import SignupForm, choose
from connector.use_cases.plans.change_plan import change_plan
from tests.support.membership_life import ACTOR, child, decide, dues, live, sell
from tests.support.plan_changes import accept
from tests.support.practice import Enrolled, Practice
from tests.support.requests import aud

BIG, DEAR = "Big", "Dear"


def household(practice: Practice, frequency: Frequency = Frequency.MONTHLY) -> tuple[Enrolled, str]:
    """A holder and a child on one plan since 1 September; the child has accepted a dearer one on the tenth."""
    sell(practice, BIG, prices={"monthly": 3_000, "weekly": 800}, lock_in_months=4)
    sell(practice, DEAR, prices={"monthly": 5_000, "weekly": 1_000}, lock_in_months=4)
    holder = practice.enrol(None, plan=BIG, frequency=frequency)
    one = child(practice, holder.contract_id, 9, BIG, email="b@x.au").member_id
    practice.sign_up(holder, "pm_card_visa")
    live(practice, "2026-09-01", "2026-09-08", "2026-09-10")
    accept(practice.context, change_plan(practice.context, holder.contract_id, one, DEAR, ACTOR))
    return holder, one


def shown(practice: Practice, contract_id: str, form: SignupForm | None = None) -> Dues:
    """What the page of an invitation says, once that was chosen on it."""
    with practice.context.database.unit_of_work() as session:
        location, row = session.get_one(Location, practice.location.id), session.get_one(Contract, contract_id)
        if form:
            choose(session, location, row, form, practice.clock.now())
        return dues_now(practice.context, session, location, row)


def statuses(practice: Practice) -> list[PlanChangeStatus]:
    return [row.status for row in practice.all(PlanChange)]


def weekly(first: date, count: int) -> list[str]:
    """So many days in a row, a week apart."""
    return [date.fromordinal(first.toordinal() + 7 * week).isoformat() for week in range(count)]


@pytest.mark.parametrize("policy", ["notice", "charge_remainder"])
@pytest.mark.parametrize("bearer", ["practice", "patient"])
def test_whoever_leaves_and_promotes_is_charged_what_was_shown(practice: Practice, policy: str, bearer: str) -> None:
    """The child's dearer plan counts within the notice, and on the new contract from its first day."""
    practice.set_policy(fee_bearer=bearer)
    decide(practice, early_cancel=policy, cancel_notice_days=40)
    holder, one = household(practice)
    terms = preview_cancel(practice.context, holder.contract_id, Consent(promote=one))
    before = len(practice.all(Invoice))

    left = cancel_membership(practice.context, holder.contract_id, Consent(promote=one, agreed=terms.owed), actor=ACTOR)
    assert left.new_contract_id
    practice.sign_up(Enrolled(one, left.new_contract_id, ""), "pm_card_visa")
    live(practice, "2026-09-11", "2026-10-01", "2026-11-01", "2026-12-01", "2027-01-01", "2027-02-01")

    old = [row.amount_cents for row in practice.all(Invoice)[before:] if row.contract_id == holder.contract_id]
    assert aud(sum(old)) == terms.owed
    fee = 250 if bearer == "patient" else 0
    first = dues(practice, left.new_contract_id)[0]
    assert first == ("2026-11-01" if policy == "notice" else "2027-01-01", 5_000 + fee)
    assert verify_ledger(practice.context).faults == []


def test_a_change_that_counts_from_the_start_is_what_a_promoted_dependent_signs(practice: Practice) -> None:
    """The page names the new plan and its price, and so do all invoices."""
    holder, one = household(practice)
    live(practice, "2026-09-20")

    new_id = promote_dependent(practice.context, holder.contract_id, one, actor=ACTOR)
    page = shown(practice, new_id)
    practice.sign_up(Enrolled(one, new_id, ""), "pm_card_visa")
    live(practice, "2026-10-01", "2026-11-01")

    assert (page.first, page.later, page.changes) == (aud(5_000), aud(5_000), False)
    assert page.lines[0].line.description.startswith(DEAR)
    assert dues(practice, new_id) == [("2026-10-01", 5_000), ("2026-11-01", 5_000)]
    assert statuses(practice) == [PlanChangeStatus.APPLIED]


def test_a_change_that_counts_later_is_shown_before_a_promoted_dependent_signs(practice: Practice) -> None:
    """The notice of a fortnight ends on the 29th: two weeks at the old price, then the one that was accepted."""
    holder, one = household(practice, Frequency.WEEKLY)

    new_id = promote_dependent(practice.context, holder.contract_id, one, actor=ACTOR)
    page = shown(practice, new_id)
    practice.sign_up(Enrolled(one, new_id, ""), "pm_card_visa")
    live(practice, *weekly(date(2026, 9, 15), 4))

    assert (page.first, page.later) == (aud(800), aud(800))
    assert (page.afterwards, page.afterwards_due) == (aud(1_000), date(2026, 9, 29))
    assert dues(practice, new_id) == [
        ("2026-09-15", 800),
        ("2026-09-22", 800),
        ("2026-09-29", 1_000),
        ("2026-10-06", 1_000),
    ]
    assert [cents for _, cents in dues(practice, holder.contract_id)][2:] == [800] * 4
    assert statuses(practice) == [PlanChangeStatus.APPLIED]


def test_whoever_chooses_otherwise_has_what_was_chosen(practice: Practice) -> None:
    """A plan that the new account holder chooses on the page takes the place of the change."""
    holder, one = household(practice, Frequency.WEEKLY)
    new_id = promote_dependent(practice.context, holder.contract_id, one, actor=ACTOR)
    (cover,) = (row for row in practice.all(Cover) if row.contract_id == new_id)

    page = shown(practice, new_id, SignupForm(chosen=offer_key(cover.plan_version_id, Frequency.MONTHLY)))

    assert (page.later, page.changes) == (aud(3_000), False)
    assert statuses(practice) == [PlanChangeStatus.WITHDRAWN]


def test_a_change_of_somebody_who_is_dropped_ends_with_the_cover(practice: Practice) -> None:
    """It would begin with the first period that is not billed any more."""
    holder, one = household(practice)

    drop_dependent(practice.context, holder.contract_id, one, actor=ACTOR)
    live(practice, "2026-10-01")

    assert statuses(practice) == [PlanChangeStatus.WITHDRAWN]
    assert [cents for _, cents in dues(practice, holder.contract_id)] == [5_400, 3_000]
