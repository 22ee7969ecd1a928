"""Whatever is changed about the days of a payment plan, its invoices add up to what was agreed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.instalment_terms import FREQUENCIES, PlanOffer
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.schedule import Frequency
from connector.billing.invoices import Invoice, InvoiceLine
from connector.billing.prices.pricing import LineKind
from connector.clock import MovableClock, business_date
from connector.errors import DomainError
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.invoices.issue_due import IssueTally, issue_due
from connector.use_cases.payment_plans.agree_payment_plan import accept_for_payer, propose_payment_plan
from connector.use_cases.payment_plans.change_payment_plan import change_payday, pause_plan, resume_plan, resume_plans
from connector.use_cases.payment_plans.list_payment_plans import show_payment_plan
from connector.use_cases.payment_plans.pay_plan_early import pay_early, pay_off
from tests.support.book import Book, opened_book
from tests.support.requests import STAFF, aud

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("early"), st.integers(1, 3)),
        st.tuples(st.just("payday"), st.integers(0, 31)),
        st.tuples(st.just("pause"), st.integers(1, 90)),
        st.tuples(st.just("resume"), st.just(0)),
        st.tuples(st.just("days"), st.integers(1, 40)),
        st.tuples(st.just("off"), st.just(0)),
    ),
    max_size=8,
)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Book]:
    """A payer without any membership that runs, for as many plans as there are examples."""
    folder = tmp_path_factory.mktemp("book")
    file = folder / "connector.sqlite3"
    file.write_bytes(template.read_bytes())
    with opened_book(f"sqlite:///{file.as_posix()}", folder) as opened:
        with opened.context.database.unit_of_work() as session:
            session.get_one(Contract, opened.contract_id).status = AgreementStatus.CANCELLED
        yield opened


def today(book: Book) -> date:
    return business_date(book.context.clock.now(), book.location.zone)


def run(book: Book, days: int = 0) -> None:
    """Days pass at one go, as if the daemon had been away; then the run ends pauses and issues what is due."""
    cast("MovableClock", book.context.clock).advance(timedelta(days=days))
    with book.context.database.unit_of_work() as session:
        resume_plans(session, book.location, today(book), book.context.clock.now())
    issue_due(book.context, book.location, IssueTally())


def change(book: Book, plan_id: str, kind: str, number: int) -> None:
    """One step, which may be refused."""
    context, day = book.context, today(book) + timedelta(days=number)
    match kind:
        case "early":
            pay_early(context, plan_id, number, STAFF)
        case "off":
            pay_off(context, plan_id, STAFF)
        case "payday":
            change_payday(context, plan_id, day, STAFF)
        case "pause":
            pause_plan(context, plan_id, day, STAFF)
        case "resume":
            resume_plan(context, plan_id, STAFF)
        case _:
            run(book, number)


@settings(max_examples=60)
@given(
    total=st.integers(5_000, 200_000),
    deposit=st.one_of(st.just(0), st.integers(50, 2_000)),
    fee=st.one_of(st.just(0), st.integers(50, 5_000)),
    count=st.integers(1, 9),
    frequency=st.sampled_from(FREQUENCIES),
    start=st.integers(0, 40),
    steps=STEPS,
)
def test_whatever_is_moved_paid_early_or_paused_the_invoices_add_up(
    book: Book,
    total: int,
    deposit: int,
    fee: int,
    count: int,
    frequency: Frequency,
    start: int,
    steps: list[tuple[str, int]],
) -> None:
    """To the total and the set-up fee, to the cent, with every instalment on one invoice, in the order of days."""
    wanted = PlanOffer(aud(total), aud(deposit), aud(fee), count, frequency, today(book) + timedelta(days=start))
    plan_id = propose_payment_plan(book.context, book.member_id, wanted, STAFF).plan_id
    accept_for_payer(book.context, plan_id, STAFF)

    for kind, number in steps:
        try:
            change(book, plan_id, kind, number)
        except DomainError as refusal:
            assert str(refusal).endswith(".")
        view = show_payment_plan(book.context, plan_id)
        assert sum(row.amount.cents for row in view.schedule) == total + fee
        assert view.progress.balance.cents == total + fee
        assert [row.due for row in view.schedule] == sorted(row.due for row in view.schedule)
    while (plan := _plan(book, plan_id)).next_due is not None:
        run(book, max(0, (plan.next_due - today(book)).days))

    with book.context.database.read() as session:
        invoices = session.scalars(select(Invoice).where(Invoice.payment_plan_id == plan_id)).all()
        of_plan = InvoiceLine.invoice_id.in_([row.id for row in invoices])
        lines = session.scalars(select(InvoiceLine).where(of_plan)).all()
    assert sum(row.amount_cents for row in invoices) == total + fee
    instalments = [row.description for row in lines if row.kind is LineKind.INSTALMENT]
    assert sorted(instalments) == sorted(f"Instalment {number} of {count}" for number in range(1, count + 1))
    assert sum(row.amount_cents for row in lines if row.kind is LineKind.DEPOSIT) == deposit


def test_the_book_of_all_these_plans_adds_up(book: Book) -> None:
    """Every invoice has its journal entry."""
    assert verify_ledger(book.context).faults == []


@settings(max_examples=25)
@given(pause=st.integers(1, 120), before=st.integers(0, 30), frequency=st.sampled_from(FREQUENCIES))
def test_no_instalment_falls_due_in_a_pause(book: Book, pause: int, before: int, frequency: Frequency) -> None:
    """Nor on a day that is none of the plan's own cycle, however long it lasts."""
    first = today(book)
    wanted = PlanOffer(aud(60_000), aud(0), aud(0), 6, frequency, first)
    plan_id = propose_payment_plan(book.context, book.member_id, wanted, STAFF).plan_id
    accept_for_payer(book.context, plan_id, STAFF)
    run(book)
    run(book, before)
    began, until = today(book), today(book) + timedelta(days=pause)
    pause_plan(book.context, plan_id, until, STAFF)

    while (plan := _plan(book, plan_id)).next_due is not None:
        run(book, max(0, (plan.next_due - today(book)).days))

    with book.context.database.read() as session:
        days = session.scalars(select(Invoice.due_date).where(Invoice.payment_plan_id == plan_id)).all()
    assert [day for day in days if began < day < until] == []
    if frequency is not Frequency.MONTHLY:
        assert {day.weekday() for day in days} == {first.weekday()}


def _plan(book: Book, plan_id: str) -> PaymentPlan:
    with book.context.database.read() as session:
        return session.get_one(PaymentPlan, plan_id)
