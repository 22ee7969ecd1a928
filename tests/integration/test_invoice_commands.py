"""`connector invoices` and `connector payments`: what staff see of money, and decide about it."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import click
import pytest
from sqlalchemy import update

from connector.billing.activity import Activity
from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.collecting.charges import AttemptState, ChargeAttempt, Origin, Payment, RefundRequest
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import PaymentMethod
from connector.ledger.accounts import Account
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.collection.run_due import run_due
from tests.support.away import away_for_three_months, by_due_date
from tests.support.commands import assert_refused, command, document
from tests.support.practice import Practice

HERE = ("--location", "leura")


def test_missed_periods_are_listed_released_and_forgiven(practice: Practice) -> None:
    """Each release takes the payer's next free day; what is forgiven is owed no more and keeps its number."""
    away_for_three_months(practice, catch_up="ask")
    run_due(practice.context)
    oldest, middle, newest = by_due_date(practice)[1:]

    waiting = document(practice, "invoices", "waiting", *HERE)
    released = document(practice, "invoices", "release", oldest.id, newest.id)
    forgiven = document(practice, "invoices", "forgive", "leura-000003")

    assert {row["id"] for row in waiting} == {oldest.id, middle.id, newest.id}
    assert released == [
        {"id": oldest.id, "debit_on": "2027-11-20"},
        {"id": newest.id, "debit_on": "2027-11-21"},
    ]
    assert forgiven == {"id": middle.id, "status": "cancelled"}
    assert document(practice, "invoices", "waiting", *HERE) == []
    planned = [row for row in practice.all(ChargeAttempt) if row.state is AttemptState.PLANNED]
    assert {row.origin for row in planned} == {Origin.STAFF}
    for _ in range(2):
        practice.work()
        practice.advance(days=1)
    assert len(practice.stripe_charges()) == 3
    assert verify_ledger(practice.context).balances[Account.RECEIVABLE, "aud"] == 0
    actions = [row.action for row in practice.all(Activity) if row.actor.startswith("person:")]
    assert actions == ["Invoice Released", "Invoice Released", "Invoice Cancelled"]
    practice.settle()
    practice.assert_all_written()


def test_a_release_that_cannot_be_is_refused_as_a_whole(practice: Practice) -> None:
    """Two debits of a payer on one day need a word from a person; bank debits need a business day."""
    away_for_three_months(practice, "pm_becs_success", catch_up="ask")
    run_due(practice.context)
    first, second, third = by_due_date(practice)[1:]
    release = ("invoices", "release")

    assert_refused(practice, "bank debits: choose 23/11/2027", *release, first.id, "--on", "2027-11-21")
    assert_refused(practice, "is debited on 24/11/2027 already", *release, first.id, second.id, "--on", "2027-11-24")
    assert_refused(practice, "19/11/2027 has passed", *release, first.id, "--on", "2027-11-19")
    assert_refused(practice, "There is no invoice 'inv_x'", *release, first.id, "inv_x")
    assert {row.status for row in by_due_date(practice)[1:]} == {InvoiceStatus.WAITING}

    both = document(practice, *release, first.id, second.id, "--on", "2027-11-24", "--same-day")
    assert [row["debit_on"] for row in both] == ["2027-11-24"] * 2
    assert_refused(practice, "is open: only one that waits can be released", *release, first.id)
    assert_refused(practice, "is open: only one that waits can be forgiven", "invoices", "forgive", first.id)
    with practice.context.database.unit_of_work() as session:
        session.execute(update(PaymentMethod).values(usable=False))
    assert_refused(practice, "has no usable card or bank account", *release, third.id)


def test_an_unpaid_invoice_is_cancelled_and_one_under_way_or_paid_is_not(practice: Practice) -> None:
    """What was planned is called off, the membership is in order again, and the book owes nothing."""
    practice.enrol("pm_becs_success")
    practice.enrol("pm_card_chargeCustomerFail", adopted=True)
    practice.work()
    debit, declined = sorted(practice.all(Invoice), key=lambda row: row.status is InvoiceStatus.OVERDUE)
    assert practice.all(Contract)[1].status is AgreementStatus.OVERDUE

    assert_refused(practice, "is under way and cannot be called off", "invoices", "cancel", debit.id)
    done = command(practice, "invoices", "cancel", declined.id)

    assert (done.code, "is void: nothing is owed on it." in done.out) == (0, True)
    assert practice.all(Contract)[1].status is AgreementStatus.ACTIVE
    for _ in range(5):
        practice.advance(days=1)
        practice.work()
    assert_refused(practice, "is completed: only an unpaid one can be cancelled", "invoices", "cancel", debit.id)
    assert_refused(practice, "is cancelled: only an unpaid one can be cancelled", "invoices", "cancel", declined.id)
    assert verify_ledger(practice.context).balances[Account.RECEIVABLE, "aud"] == 0
    assert len(practice.stripe_charges()) == 1


def test_invoices_are_listed_shown_and_printed(practice: Practice, tmp_path: Path) -> None:
    """By id or by printed number; a PDF file, and a page of HTML."""
    person = practice.paid()
    practice.enrol("pm_card_chargeCustomerFail", adopted=True)
    practice.work()
    (mine,) = document(practice, "invoices", "list", *HERE, "--member", person.member_id)
    overdue = document(practice, "invoices", "list", *HERE, "--status", "overdue")
    table = command(practice, "invoices", "list", *HERE)
    shown = document(practice, "invoices", "show", "LEURA-000001")
    text = command(practice, "invoices", "show", mine["id"])
    pdf = document(practice, "invoices", "pdf", mine["id"], "--output", str(tmp_path / "invoice.pdf"))
    page = command(practice, "invoices", "html", "LEURA-000001")
    file = command(practice, "invoices", "html", mine["id"], "--output", str(tmp_path / "invoice.html"))

    assert (mine["number"], mine["status"], mine["amount_cents"]) == ("LEURA-000001", "completed", 2_990)
    assert [row["status"] for row in overdue] == ["overdue"]
    assert mine["number"] in table.out
    assert {**shown["invoice"], "name": "Ada Ferris"} == mine
    assert [row["state"] for row in shown["attempts"]] == ["succeeded"]
    assert shown["payment_ids"] == [practice.all(Payment)[0].id]
    assert shown["payment_ids"][0] in text.out
    assert (tmp_path / "invoice.pdf").read_bytes().startswith(b"%PDF")
    assert pdf["bytes"] == (tmp_path / "invoice.pdf").stat().st_size
    assert page.out.startswith("<!")
    assert (file.code, (tmp_path / "invoice.html").read_text(encoding="utf-8")) == (0, page.out)
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.glob("invoice.*")}
    assert modes == {0o600} or sys.platform == "win32"
    for verb in ("show", "pdf", "html", "cancel"):
        assert_refused(practice, "see `connector invoices list --location SLUG`", "invoices", verb, "LEURA-000009")


def test_payments_are_listed_shown_and_refunded(practice: Practice) -> None:
    """The sum is shown and confirmed first; what is left goes down, and everything stands on the payment's page."""
    person = practice.paid()
    practice.write()
    (payment,) = document(practice, "payments", "list", *HERE, "--member", person.member_id)
    refund = ("payments", "refund", payment["id"])
    unasked = command(practice, *refund, "--json")
    too_much = command(practice, *refund, "--amount", "30", "--yes")

    part = document(practice, *refund, "--amount", "9.90", "--reason", "goodwill", "--yes")
    shown = document(practice, "payments", "show", payment["id"])
    rest = command(practice, *refund, "--yes")
    text = command(practice, "payments", "show", payment["id"])

    assert (payment["amount_cents"], payment["returned_cents"]) == (2_990, 0)
    assert (unasked.code, "add --yes" in unasked.out) == (1, True)
    assert (too_much.code, "29.90 AUD are left" in too_much.err) == (1, True)
    assert (part["state"], part["amount_cents"]) == ("succeeded", 990)
    assert (shown["refundable_cents"], shown["payment"]["returned_cents"]) == (2_000, 990)
    assert [row["amount_cents"] for row in shown["write_backs"]] == [2_990, 990]
    assert (rest.code, "of 20.00 AUD is given back." in rest.out) == (0, True)
    assert "0.00 can be refunded" in text.out
    assert "goodwill" in text.out
    assert document(practice, "payments", "list", *HERE, "--from", "2026-09-02") == []
    assert len(document(practice, "payments", "list", *HERE, "--to", "2026-09-01")) == 1
    assert "29.90" in command(practice, "payments", "list", *HERE).out
    assert len(practice.all(RefundRequest)) == len(practice.stripe_listed("refunds")) == 2


def test_a_refund_that_a_person_does_not_confirm_is_not_made(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question names the exact sum."""
    practice.paid()
    (payment,) = practice.all(Payment)
    asked: list[str] = []

    def refuse(question: str, *, abort: bool) -> None:
        asked.append(question)
        raise click.Abort

    monkeypatch.setattr("click.confirm", refuse)
    done = command(practice, "payments", "refund", payment.id)

    assert (done.code, asked) == (1, [f"Give 29.90 AUD of the payment {payment.id} back through Stripe?"])
    assert practice.all(RefundRequest) == []


def test_a_refund_without_an_answer_says_that_it_goes_on_by_itself(practice: Practice) -> None:
    """And one that Stripe refuses says why."""
    practice.paid()
    (payment,) = practice.all(Payment)
    refund = ("payments", "refund", payment.id, "--yes")
    practice.stripe.post("faults", method="POST", path="/v1/refunds", kind="reset_after", count=3)

    assert_refused(practice, "do not ask a second time", *refund)

    (request,) = practice.all(RefundRequest)
    assert request.created_at.date() == date(2026, 8, 31)
    assert_refused(practice, "Nothing is left", *refund)
