"""Who bears the platform's fee of an agreement: what was agreed never becomes dearer, and who stops, stops for all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from connector.billing.agreements.contracts import Contract
from connector.billing.agreements.instalment_terms import PlanOffer
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.invoices import Invoice
from connector.billing.policy import FeeBearer
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.use_cases.members.cancel_membership import preview_cancel
from connector.use_cases.messages.notice_ahead import notice_ahead
from connector.use_cases.patient_pages.show_signup import dues as dues_now
from connector.use_cases.payment_plans.agree_payment_plan import (
    accept_for_payer,
    propose_payment_plan,
    start_payment_plan,
)
from connector.use_cases.payment_plans.pay_plan_early import pay_early
from connector.use_cases.transfer.export_everything import export_everything
from connector.use_cases.transfer.import_members import import_members
from connector.use_cases.transfer.import_payment_plans import import_payment_plans
from tests.support.leaving import adopt, future_bills, new_installation
from tests.support.membership_life import decide, sell
from tests.support.practice import Enrolled, Practice
from tests.support.requests import STAFF, aud

PATIENT, PRACTICE = FeeBearer.PATIENT, FeeBearer.PRACTICE


def location_now(practice: Practice) -> Location:
    """The location with its present settings."""
    with practice.context.database.read() as session:
        return session.get_one(Location, practice.location.id)


def bears(practice: Practice, bearer: FeeBearer | str) -> None:
    practice.set_policy(fee_bearer=str(bearer))


def at_the_desk(practice: Practice, person: Enrolled) -> str:
    return start_payment_plan(
        practice.context, person.member_id, aud(30_000), 3, Frequency.WEEKLY, practice.today + timedelta(days=7)
    )


def proposed_and_accepted(practice: Practice, person: Enrolled) -> str:
    offer = PlanOffer(aud(30_000), aud(0), aud(0), 3, Frequency.WEEKLY, practice.today + timedelta(days=7))
    plan_id = propose_payment_plan(practice.context, person.member_id, offer, STAFF).plan_id
    return accept_for_payer(practice.context, plan_id, STAFF).id


def billed(practice: Practice, agreement_id: str) -> list[int]:
    """Cents of the invoices of a contract or payment plan, in the order of their periods."""
    rows = [row for row in practice.all(Invoice) if agreement_id in (row.contract_id, row.payment_plan_id)]
    return [row.amount_cents for row in sorted(rows, key=lambda row: row.period)]


def announced(practice: Practice, agreement_id: str) -> set[int]:
    """Cents of the debits that were announced."""
    rows = (row for row in practice.all(Message) if row.kind is MessageKind.UPCOMING_DEBIT)
    return {row.detail["amount_cents"] for row in rows if row.subject_id == agreement_id}


def weeks(practice: Practice, count: int) -> None:
    """So many weeks go by, with announcements and charges on each day."""
    for _ in range(7 * count):
        practice.advance(days=1)
        notice_ahead(practice.context, location_now(practice))
        assert practice.charge() == []


def test_a_membership_that_was_signed_before_patients_bear_the_fee_stays_without_it(practice: Practice) -> None:
    """Whoever signs afterwards bears it, until the practice stops: then nobody does."""
    plan = sell(practice, "Weekly", prices={"weekly": 1_000})
    before = practice.enrol(plan=plan, frequency=Frequency.WEEKLY)
    assert practice.charge() == []
    bears(practice, PATIENT)
    after = practice.enrol(plan=plan, frequency=Frequency.WEEKLY)
    assert practice.charge() == []

    weeks(practice, 1)
    told = announced(practice, before.contract_id), announced(practice, after.contract_id)
    bears(practice, PRACTICE)
    weeks(practice, 1)

    assert [row.fee_bearer for row in practice.all(Contract)] == [PRACTICE, PATIENT]
    assert told == ({1_000}, {1_050})
    assert billed(practice, before.contract_id) == [1_000, 1_000, 1_000]
    assert billed(practice, after.contract_id) == [1_050, 1_050, 1_000]


@pytest.mark.parametrize("agree", [at_the_desk, proposed_and_accepted])
def test_a_payment_plan_that_was_agreed_before_patients_bear_the_fee_stays_without_it(
    practice: Practice, agree: Callable[[Practice, Enrolled], str]
) -> None:
    """Also what is announced of it and paid early; a plan that is agreed afterwards has the fee on top."""
    person = practice.paid()
    before = agree(practice, person)
    bears(practice, PATIENT)
    after = agree(practice, person)

    weeks(practice, 1)
    for plan_id in (before, after):
        pay_early(practice.context, plan_id, 1, STAFF)
    bears(practice, PRACTICE)
    weeks(practice, 2)

    assert [row.fee_bearer for row in practice.all(PaymentPlan)] == [PRACTICE, PATIENT]
    assert announced(practice, before) == {10_000}
    assert 10_350 in announced(practice, after)
    assert billed(practice, before) == [10_000, 10_000, 10_000]
    assert billed(practice, after) == [10_350, 10_350, 10_000]


def test_leaving_costs_what_was_agreed_without_the_fee(practice: Practice) -> None:
    """Twelve months were signed while the practice bore it, and eleven are owed."""
    decide(practice, early_cancel="charge_remainder")
    one = practice.enrol(plan=sell(practice, "A year", lock_in_months=12))
    assert practice.charge() == []
    bears(practice, PATIENT)

    assert preview_cancel(practice.context, one.contract_id).owed == aud(11 * 2_990)


@pytest.mark.parametrize(("method", "first"), [(None, 3_140), ("pm_card_chargeCustomerFail", 2_990)])
def test_the_page_of_a_contract_knows_whether_it_was_signed(practice: Practice, method: str | None, first: int) -> None:
    """Whoever has not signed is shown the fee; of a declined first payment nothing but the card is asked for."""
    one = practice.enrol(method)
    practice.charge()
    bears(practice, PATIENT)

    with practice.context.database.read() as session:
        contract = session.get_one(Contract, one.contract_id)
        found = dues_now(practice.context, session, location_now(practice), contract)

    assert (found.first, found.later) == (aud(first), aud(first))


def test_an_agreement_from_before_it_was_kept_follows_the_location(practice: Practice) -> None:
    """As it always did."""
    one = practice.enrol(plan=sell(practice, "Weekly", prices={"weekly": 1_000}), frequency=Frequency.WEEKLY)
    assert practice.charge() == []
    with practice.context.database.unit_of_work() as session:
        session.execute(update(Contract).values(fee_bearer=None))
    bears(practice, PATIENT)

    weeks(practice, 1)

    assert billed(practice, one.contract_id) == [1_000, 1_050]


@pytest.mark.parametrize(("cell", "month", "part"), [("", 1_000, 5_000), ("patient", 1_050, 5_175)])
def test_what_was_agreed_elsewhere_does_not_become_dearer_by_moving_here(
    practice: Practice, tmp_path: Path, cell: str, month: int, part: int
) -> None:
    """Patients bear the fee at this location; of what is imported only where the file says that it was agreed so."""
    bears(practice, PATIENT)
    members, plans = tmp_path / "members.csv", tmp_path / "plans.csv"
    members.write_text(
        "id,given_name,family_name,plan,price,next_due,fee_bearer,stripe_payment_method\n"
        f"M1,Ada,Ferris,Essential,10.00,2026-09-05,{cell},pm_card_visa\n"
    )
    plans.write_text(
        "id,member,total,paid,instalments_left,frequency,next_due,fee_bearer\n"
        f"X1,M1,150.00,50.00,2,weekly,2026-09-06,{cell}\n"
    )

    adopt(practice.context, members)
    assert import_payment_plans(practice.context, plans, location_slug="leura").imported == 1
    weeks(practice, 2)

    ((contract,), (plan,)) = practice.all(Contract), practice.all(PaymentPlan)
    assert contract.signed_at
    assert billed(practice, contract.id) == [month]
    assert billed(practice, plan.id) == [part, part]
    assert announced(practice, plan.id) == {part}


def test_whoever_joins_by_a_file_agrees_to_the_fee_on_the_page(practice: Practice, tmp_path: Path) -> None:
    """Nothing was agreed elsewhere, so the location decides, as for anybody who joins."""
    bears(practice, PATIENT)
    file = tmp_path / "members.csv"
    file.write_text("id,given_name,family_name,email,price\nM1,Ada,Ferris,a@x.au,10.00\n")
    import_members(practice.context, file, location_slug="leura", plan_name="Essential")
    (contract,) = practice.all(Contract)

    with practice.context.database.read() as session:
        page = dues_now(practice.context, session, location_now(practice), contract)
    practice.sign_up(Enrolled(contract.member_id, contract.id, ""), "pm_card_visa")
    assert practice.charge() == []

    assert page.first == aud(1_050)
    assert billed(practice, contract.id) == [1_050]


def test_who_bears_the_fee_moves_to_another_installation(practice: Practice, template: Path, tmp_path: Path) -> None:
    """The same bills for a quarter: some agreements with the fee, some without."""
    for bearer in (PRACTICE, PATIENT):
        bears(practice, bearer)
        person = practice.enrol()
        practice.charge()
        at_the_desk(practice, person)
    expected = future_bills(practice.context, tmp_path / "a", days=90)

    export_everything(practice.context, tmp_path / "export", stop=True)
    with new_installation(practice, template, tmp_path) as other:
        with other.database.unit_of_work() as session:
            found = session.scalars(select(Location)).one()
            found.settings = found.settings | {"fee_bearer": "patient"}
        imported, _ = adopt(other, tmp_path / "export" / "members.csv")
        again, _ = adopt(other, tmp_path / "export" / "members.csv")
        plans = import_payment_plans(other, tmp_path / "export" / "payment-plans.csv", location_slug="leura")

        assert (imported.imported, again.differences, plans.refusals) == (2, [], [])
        assert {cents for _, _, cents in expected} == {2_990, 3_140, 10_000, 10_350}
        assert future_bills(other, tmp_path / "b", days=90) == expected


@pytest.mark.parametrize("cells", ["Premium,M1,patient", "none,,practice", "Premium,,the bank"])
def test_a_bearer_that_cannot_be_is_refused(practice: Practice, tmp_path: Path, cells: str) -> None:
    """Of a dependent, of somebody who only pays, and a word that is none."""
    file = tmp_path / "members.csv"
    file.write_text(f"id,given_name,family_name,email,plan,holder,fee_bearer\nK1,Ina,Ferris,a@x.au,{cells}\n")

    report = import_members(practice.context, file, location_slug="leura")

    assert [refusal.column for refusal in report.refusals] == ["fee_bearer"]
