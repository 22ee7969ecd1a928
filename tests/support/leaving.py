"""A practice that leaves one installation for another: both bill with the same account at Stripe."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pysqlite3.dbapi2 as sqlite
from sqlalchemy import select

from connector import ids
from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.clinics import Location
from connector.billing.invoices import Invoice
from connector.billing.members import Member
from connector.billing.offers.plans import offered_version, plan_by_name
from connector.billing.prices.pricing import Position
from connector.clock import MovableClock
from connector.database.engine import Database
from connector.errors import EdgeError
from connector.use_cases.context import Context
from connector.use_cases.invoices.issue_due import IssueTally, issue_due
from connector.use_cases.members.adopt_method import adopt_method
from connector.use_cases.members.draft_contract import draft_cover
from connector.use_cases.payment_plans.change_payment_plan import end_pause
from connector.use_cases.transfer.import_members import ImportReport, import_members
from tests.support.leura import added_leura
from tests.support.practice import Practice

Bill = tuple[str | None, date, int]
"""The payer's customer at Stripe, the due date, and the cents."""


@contextmanager
def new_installation(practice: Practice, template: Path, folder: Path) -> Iterator[Context]:
    """An empty installation with a location of the same name; it uses the practice's clock and both its servers."""
    file = folder / "other.sqlite3"
    shutil.copy(template, file)
    database = Database(f"sqlite:///{file.as_posix()}")
    context = replace(practice.context, database=database)
    try:
        added_leura(context, practice.location.pms_settings)
        yield context
    finally:
        database.close()


def add_dependent(practice: Practice, contract_id: str, given_name: str, price_cents: int) -> None:
    """A child on a running contract from its next period on, at a price of its own."""
    now = practice.clock.now()
    with practice.context.database.unit_of_work() as session:
        contract = session.get_one(Contract, contract_id)
        plan = plan_by_name(session, practice.location, "Premium")
        child = Member(
            id=ids.new_id("mem"),
            location_id=practice.location.id,
            external_id=f"child-{given_name}",
            given_name=given_name,
            family_name="Ferris",
            date_of_birth=date(2019, 5, 6),
            created_at=now,
        )
        session.add(child)
        session.flush()
        offer = plan, offered_version(session, plan)
        cover = draft_cover(contract, child.id, Position.DEPENDENT, offer, now, setup_fee=False)
        cover.price_cents, cover.starts_on = price_cents, practice.today
        session.add(cover)


def set_price(practice: Practice, contract_id: str, cents: int) -> None:
    """The account holder pays another price than the plan's."""
    with practice.context.database.unit_of_work() as session:
        session.scalars(select(Cover).where(Cover.contract_id == contract_id)).one().price_cents = cents


def end_contract(practice: Practice, contract_id: str) -> None:
    """The person is a member no more, and keeps the payment method."""
    with practice.context.database.unit_of_work() as session:
        contract = session.get_one(Contract, contract_id)
        contract.status, contract.next_due = AgreementStatus.CANCELLED, None


def adopt(context: Context, file: Path, plan_name: str = "") -> tuple[ImportReport, list[str]]:
    """Import members and adopt their methods, as the command does; returns the report and what went wrong."""
    report = import_members(context, file, location_slug="leura", plan_name=plan_name)
    problems = []
    for adoption in report.to_adopt:
        try:
            adopt_method(context, adoption)
        except EdgeError as error:
            problems.append(str(error))
    return report, problems


def future_bills(context: Context, folder: Path, days: int) -> list[Bill]:
    """What an installation would bill within so many days, found out with a copy of its database."""
    assert context.database.path is not None
    folder.mkdir()
    file = folder / "copy.sqlite3"
    connection = sqlite.connect(context.database.path)
    connection.execute("VACUUM INTO ?", (str(file),))
    connection.close()
    database = Database(f"sqlite:///{file.as_posix()}")
    clock = MovableClock(context.clock.now() + timedelta(days=days))
    twin = replace(context, database=database, clock=clock)
    with database.read() as session:
        before = set(session.scalars(select(Invoice.id)))
        location = session.scalars(select(Location)).one()
    with database.unit_of_work() as session:
        for plan in session.scalars(select(PaymentPlan).where(PaymentPlan.status == AgreementStatus.SUSPENDED)):
            assert plan.next_due is not None
            end_pause(session, plan, plan.next_due)  # As the daemon does when the pause is over.
    issue_due(twin, location, IssueTally())
    with database.read() as session:
        query = select(Invoice, Member.processor_customer_id).join(Member, Member.id == Invoice.member_id)
        found = [
            (customer, invoice.due_date, invoice.amount_cents)
            for invoice, customer in session.execute(query)
            if invoice.id not in before
        ]
    database.close()
    return sorted(found, key=str)


def read_csv(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by column."""
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, strict=True))
