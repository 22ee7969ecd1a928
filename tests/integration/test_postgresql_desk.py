"""The front desk beside a run that charges, on a real PostgreSQL server: whoever comes second knows of the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import AttemptState, ChargeAttempt, Payment
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.collection.collect_charge import collect_charge
from connector.use_cases.collection.record_desk_payment import DeskMethod, record_desk_payment
from connector.use_cases.invoices.issue_due import IssueTally, issue_due
from connector.use_cases.invoices.release_invoice import cancel_invoice
from connector.use_cases.members.suspend_member import suspend_member
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan
from connector.use_cases.payment_plans.end_payment_plan import cancel_payment_plan
from tests.support.at_once import beside
from tests.support.postgres import PostgresServer
from tests.support.practice import Practice
from tests.support.practice_setup import running_practice
from tests.support.requests import STAFF, aud, give

AT_THE_ATTEMPT = "UPDATE charge_attempt"
"""How the statement begins by which an attempt is let go, or called off."""

Verb = Callable[[Practice, Invoice], object]


@pytest.fixture
def practice(postgres: PostgresServer, tmp_path: Path, hasty_stripe: None) -> Iterator[Practice]:
    """A practice of its own, with its book on the server."""
    with running_practice(tmp_path, database_url=postgres.new_database()) as running:
        yield running


def cash(practice: Practice, invoice: Invoice, *, anyway: bool = False) -> Payment:
    """Somebody has paid it at the desk."""
    return record_desk_payment(practice.context, invoice.id, DeskMethod.CASH, practice.today, STAFF, anyway=anyway)


def cancel(practice: Practice, invoice: Invoice) -> object:
    return cancel_invoice(practice.context, invoice.id, STAFF)


def suspend(practice: Practice, invoice: Invoice) -> None:
    suspend_member(practice.context, invoice.contract_id or "", actor=STAFF)


def end_plan(practice: Practice, invoice: Invoice) -> object:
    return cancel_payment_plan(practice.context, invoice.payment_plan_id or "", STAFF)


def planned(practice: Practice, verb: Verb) -> tuple[Invoice, str]:
    """An invoice that the run is about to charge, and the id of the attempt."""
    person = practice.enrol(frequency=Frequency.ANNUALLY)
    if verb is end_plan:
        assert practice.charge() == []
        start_payment_plan(practice.context, person.member_id, aud(9_000), 3, Frequency.MONTHLY, practice.today)
    issue_due(practice.context, practice.location, IssueTally())
    (attempt,) = (row for row in practice.all(ChargeAttempt) if row.state is AttemptState.PLANNED)
    return practice.all(Invoice)[-1], attempt.id


@pytest.mark.parametrize("verb", [cash, cancel, suspend, end_plan])
def test_what_the_desk_has_called_off_is_not_sent(practice: Practice, verb: Verb) -> None:
    """The run has looked at the attempt, and comes to send it while the desk is at work."""
    invoice, attempt_id = planned(practice, verb)
    before = len(practice.stripe_charges())

    _, sent = beside(
        practice.context.database,
        AT_THE_ATTEMPT,
        lambda: verb(practice, invoice),
        lambda: collect_charge(practice.context, attempt_id),
    )

    assert sent is None
    assert practice.charge() == []
    assert len(practice.stripe_charges()) == before
    assert practice.all(ChargeAttempt)[-1].state is AttemptState.WITHDRAWN
    assert verify_ledger(practice.context).faults == []


@pytest.mark.parametrize("verb", [cash, cancel, end_plan])
def test_what_a_run_sends_is_told_to_the_desk(practice: Practice, verb: Verb) -> None:
    """The desk has come a moment too late: it hears that money is under way, and nothing is noted or void."""
    invoice, attempt_id = planned(practice, verb)

    _, said = beside(
        practice.context.database,
        AT_THE_ATTEMPT,
        lambda: collect_charge(practice.context, attempt_id),
        lambda: verb(practice, invoice),
    )

    assert "under way" in str(said)
    assert practice.all(Invoice)[-1].status is InvoiceStatus.COMPLETED
    assert len(practice.stripe_charges()) == len(practice.all(Payment))
    practice.assert_exactly_once()


def test_a_decline_beside_cash_leaves_the_invoice_paid(practice: Practice) -> None:
    """The desk is told of the debit under way and takes the cash nevertheless, while the refusal is being noted."""
    person = practice.enrol()
    assert practice.charge() == []
    give(practice, person, "pm_card_decline_insufficient_funds")
    practice.advance(days=30)
    issue_due(practice.context, practice.location, IssueTally())
    attempt, invoice = practice.all(ChargeAttempt)[-1], practice.all(Invoice)[-1]

    beside(
        practice.context.database,
        "UPDATE contract",
        lambda: collect_charge(practice.context, attempt.id),
        lambda: cash(practice, invoice, anyway=True),
    )

    for _ in range(5):
        practice.advance(days=1)
        assert practice.charge() == []
    assert practice.all(Invoice)[-1].status is InvoiceStatus.COMPLETED
    assert [row.status for row in practice.all(Contract)] == [AgreementStatus.ACTIVE]
    assert len(practice.all(Payment)) == 2
    assert verify_ledger(practice.context).faults == []
