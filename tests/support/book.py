"""A location's book made through the real use cases, without any outside system: nothing is called, all is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from sqlalchemy import select

from connector import ids
from connector.billing.activity import remember
from connector.billing.agreements.contracts import Contract
from connector.billing.clinics import Location
from connector.billing.collecting.charges import Charge, Payment, Payout, ReturnKind
from connector.billing.members import MethodKind, PaymentMethod
from connector.billing.offers.benefit_uses import BenefitUse
from connector.billing.prices.platform_fees import FeeStatement
from connector.billing.processor import (
    ChargeReport,
    ChargeStatus,
    ListedCharge,
    MoneyBack,
    PaymentProcessor,
    ReturnReport,
    ReturnState,
    Settlement,
)
from connector.clock import MovableClock, business_date
from connector.database.engine import Database
from connector.database.migrate import prepare
from connector.ledger import recipes
from connector.ledger.journal import Booking, post
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.states import WriteBackState
from connector.matching.models import PatientLink
from connector.money import Money
from connector.reconciliation.models import DayClose
from connector.use_cases.books.move_entries import move_entries
from connector.use_cases.collection.settle_charge import settle_charge
from connector.use_cases.context import Context, PmsConnections
from connector.use_cases.invoices.issue_due import IssueTally, issue_due
from connector.use_cases.members.enrol_member import activate
from connector.use_cases.returns.record_return import record_return
from connector.use_cases.transfer.import_members import import_members
from tests.support.leura import added_leura

NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
"""Saturday 21 November, nine o'clock in Sydney."""
PRICE = Money(2_990, "aud")
FEE = Money(81, "aud")
_SETTINGS = {"base_url": "http://127.0.0.1:9/api/v1", "developer_key": "d", "customer_key": "c"}


class NoOutside:
    """Stands where the payment processor would; answers only what a test has put there."""

    def __init__(self) -> None:
        self.returns: dict[str, ReturnReport] = {}
        self.seal = ""

    def write_seal(self, _key: str, text: str, _kept_as: str | None = None) -> str:
        """Only one seal is kept here."""
        self.seal = text
        return "kept"

    def charges_since(self, _instant: datetime) -> Iterator[ListedCharge]:
        """Nothing was charged before."""
        return iter(())

    def read_seal(self, _kept_as: str) -> str:
        return self.seal

    def read_return(self, _kind: ReturnKind, processor_id: str) -> ReturnReport:
        """The refund or dispute that was put there."""
        return self.returns[processor_id]

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"Nothing outside may be called here ({name}).")


@dataclass(frozen=True)
class Book:
    """One location with one member who pays the plan `Essential` monthly by card, from today on."""

    context: Context
    outside: NoOutside
    location: Location
    member_id: str
    contract_id: str

    def issue(self) -> str:
        """Issue the next invoice, which falls due at once; returns the id of its charge."""
        with self.context.database.read() as session:
            due = session.get_one(Contract, self.contract_id).next_due
        assert due is not None
        clock = cast("MovableClock", self.context.clock)
        while business_date(clock.now(), self.location.zone) < due:
            clock.advance(timedelta(days=1))
        issue_due(self.context, self.location, IssueTally())
        with self.context.database.read() as session:
            return session.scalars(select(Charge.id).order_by(Charge.created_at.desc()).limit(1)).one()

    def pay(self, charge_id: str) -> Payment:
        """The processor knows the charge and reports it as settled."""
        with self.context.database.unit_of_work() as session:
            charge = session.get_one(Charge, charge_id)
            charge.processor_id = charge.processor_id or ids.new_id("pi")
        settled = Settlement(ids.new_id("py"), PRICE, FEE, self.context.clock.now())
        report = ChargeReport(charge.processor_id, ChargeStatus.SUCCEEDED, settlement=settled)
        settle_charge(self.context, charge_id, report)
        with self.context.database.read() as session:
            return session.scalars(select(Payment).where(Payment.charge_id == charge_id)).one()

    def refund(self, payment: Payment) -> str:
        """The processor reports the whole payment as refunded; returns its id of the refund."""
        refund_id = ids.new_id("re")
        with self.context.database.read() as session:
            charge = session.get_one(Charge, payment.charge_id)
        self.outside.returns[refund_id] = ReturnReport(
            processor_id=refund_id,
            kind=ReturnKind.REFUND,
            payment_object_id=charge.processor_id or "",
            processor_charge_id=payment.processor_charge_id,
            amount=payment.amount,
            fee=Money.zero("aud"),
            at=self.context.clock.now(),
            final=True,
        )
        record_return(self.context, ReturnKind.REFUND, refund_id)
        return refund_id

    def refund_fails(self, refund_id: str) -> None:
        """The processor reports that the payer's bank did not take the refund after all."""
        report = self.outside.returns[refund_id]
        back = MoneyBack(report.amount, Money.zero("aud"), self.context.clock.now())
        self.outside.returns[refund_id] = replace(report, final=False, state=ReturnState.FAILED, back=back)
        record_return(self.context, ReturnKind.REFUND, refund_id)

    def pay_out(self, amount: Money) -> None:
        """Stripe has moved money to the bank."""
        now = self.context.clock.now()
        with self.context.database.unit_of_work() as session:
            payout = Payout(
                id=ids.new_id("po"),
                processor_id=ids.new_id("po"),
                amount_cents=amount.cents,
                currency=amount.currency,
                arrival_date=now.date(),
                recorded_at=now,
            )
            session.add(payout)
            session.flush()
            post(session, [Booking(recipes.payout(payout.id, amount), None, payout.arrival_date)], now)

    def close_today(self) -> None:
        """Keep an empty report of the day."""
        now = self.context.clock.now()
        with self.context.database.unit_of_work() as session:
            session.add(
                DayClose(
                    id=ids.new_id("day"),
                    location_id=self.location.id,
                    business_date=business_date(now, self.location.zone),
                    number=1,
                    closed_at=now,
                    report={},
                )
            )

    def whole_story(self) -> Payment:
        """At least one row in every table of what has happened: paid, given back, paid out, closed."""
        payment = self.pay(self.issue())
        self.refund_fails(self.refund(payment))
        self.pay_out(Money(1_000, "aud"))
        self._relink()
        self.close_today()
        self._side_stories(payment)
        return payment

    def _relink(self) -> None:
        """All that is written stood with a wrong patient, and is moved."""
        now = self.context.clock.now()
        with self.context.database.unit_of_work() as session:
            for row in session.scalars(select(WriteBack)):
                row.state, row.sent_to_patient_id = WriteBackState.CONFIRMED, "1"
            session.add(
                PatientLink(
                    id=ids.new_id("lnk"),
                    location_id=self.location.id,
                    member_id=self.member_id,
                    pms_patient_id="2",
                    linked_at=now,
                    linked_by="person:test",
                )
            )
        move_entries(self.context, self.location, self.member_id, "person:test")

    def _side_stories(self, payment: Payment) -> None:
        """A visit, and the statement of the platform's fees."""
        now, today = self.context.clock.now(), payment.business_date
        with self.context.database.unit_of_work() as session:
            money = {"location_id": self.location.id, "currency": "aud", "amount_cents": 100}
            session.add_all(
                [
                    BenefitUse(
                        id=ids.new_id("use"),
                        member_id=self.member_id,
                        procedure_code="012",
                        quantity=1,
                        used_on=today,
                        actor="person:test",
                        recorded_at=now,
                    ),
                    FeeStatement(
                        id=ids.new_id("fst"),
                        month=today.replace(day=1),
                        payments=1,
                        gst_cents=6,
                        created_at=now,
                        **money,
                    ),
                ]
            )
            remember(session, self.member_id, "Visited", now)


@contextmanager
def opened_book(url: str, folder: Path) -> Iterator[Book]:
    """A new book in the empty database at that address."""
    database = Database(url)
    prepare(database)
    clock = MovableClock(NOW)
    outside = NoOutside()
    connections = PmsConnections(clock)
    context = Context(database, clock, cast("PaymentProcessor", outside), connections)
    try:
        location = added_leura(context, _SETTINGS)
        yield Book(context, outside, location, *_member(context, location, folder))
    finally:
        connections.close()
        database.close()


def _member(context: Context, location: Location, folder: Path) -> tuple[str, str]:
    """Import one member and start the contract, as the hosted page would; returns both ids."""
    file = folder / "members.csv"
    file.write_text("id,given_name,family_name,date_of_birth\nM-1,Ada,Ferris,1960-01-05\n", encoding="utf-8")
    report = import_members(context, file, location_slug="leura", plan_name="Essential", invite=False)
    assert report.imported == 1, report.refusals
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        contract = session.scalars(select(Contract)).one()
        activate(session, location, contract, now)
        session.add(
            PaymentMethod(
                id=ids.new_id("pm"),
                member_id=contract.member_id,
                kind=MethodKind.CARD,
                processor_id="pm_1",
                last4="4242",
                created_at=now,
            )
        )
        return contract.member_id, contract.id
