"""Who bears the platform's fee of an agreement: what was agreed never becomes dearer, and who stops, stops for all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

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
