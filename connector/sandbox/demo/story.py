"""Three months of the demo practice, day by day: what patients, front desk and bad luck do, and our own work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from sqlalchemy import func, select

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment
from connector.billing.members import Member
from connector.clock import MovableClock
from connector.database.sums import summed
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.states import WAITING, WriteBackState
from connector.matching.models import LinkReview, PatientLink
from connector.money import Money
from connector.sandbox.demo.practice import method_of
from connector.sandbox.demo.processes import Sandbox
from connector.use_cases.books.link_members import link_by_person
from connector.use_cases.books.work_write_backs import work_write_backs
from connector.use_cases.collection.read_news import read_news
from connector.use_cases.collection.run_due import run_due
from connector.use_cases.context import Context
from connector.use_cases.members.enrol_member import invite_member
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan

FIRST_DAY = date(2026, 8, 31)
DAYS = 91
OPENS = time(9, 0)
ENROLMENT_DAYS = 10
OUTAGE = range(43, 46)
"""Days on which the practice system does not answer."""
TROUBLE = {20: "reset_after", 27: "status_after", 34: "truncate", 55: "reset_after", 62: "html_200"}
"""Day -> what goes wrong with some of the writes of that day."""
LATE_WRITES_DAY = 69
FRIDAY = 4
SURE_ENOUGH = 0.99
"""The front desk links whoever looks like this and leaves the others."""
A_MORNING = 40
"""Decisions that the front desk gets through on a Friday."""


@dataclass
class Story:
    """The state of a demo run."""

    context: Context
    clock: MovableClock
    location: Location
    stripe: Sandbox
    office: Sandbox
    tell: Callable[[str], None]
    problems: set[str] = field(default_factory=set)

    def days(self) -> Iterator[int]:
        """Play day after day; yields the number of each day when it is done."""
        waves = self._waves()
        for number in range(DAYS):
            day = FIRST_DAY + timedelta(days=number)
            self._move_to(datetime.combine(day, OPENS, self.location.zone))
            self._bad_luck(number)
            if number < ENROLMENT_DAYS:
                self._sign_up(waves[number])
            self._work()
            if number == ENROLMENT_DAYS + 4:
                self._agree_payment_plans(day)
            if day.weekday() == FRIDAY:
                self._link_by_hand()
                self.tell(self._summary(number, day))
            yield number
        # Debits of the last days and unclear writes come to an end over the days after.
        for hours in (1, 24, 48, 72, 96, 120):
            self._move_to(self.clock.now() + timedelta(hours=hours))
            self._work(charge=False)

    def _move_to(self, instant: datetime) -> None:
        self.clock.move_to(instant)
        self.stripe.move_clock(self.clock.now())
        self.office.move_clock(self.clock.now())

    def _waves(self) -> list[list[tuple[int, str]]]:
        """The contracts in groups that sign up on the same day, each with the number of its member."""
        query = (
            select(Contract.id)
            .join(Member, Member.id == Contract.member_id)
            .where(Contract.location_id == self.location.id)
            .order_by(Member.external_id)
        )
        with self.context.database.read() as session:
            contracts = list(enumerate(session.scalars(query)))
        return [contracts[start::ENROLMENT_DAYS] for start in range(ENROLMENT_DAYS)]

    def _sign_up(self, wave: list[tuple[int, str]]) -> None:
        """Each member opens the hosted page at the front desk and chooses how to pay."""
        for number, contract_id in wave:
            page = invite_member(self.context, contract_id)
            self.stripe.client.post(page.url, data={"method": method_of(number)})
        read_news(self.context)

    def _agree_payment_plans(self, day: date) -> None:
        """Some active members pay a treatment in six fortnightly parts."""
        query = (
            select(Contract.member_id).where(Contract.status == AgreementStatus.ACTIVE).order_by(Contract.id).limit(40)
        )
        with self.context.database.read() as session:
            members = list(session.scalars(query))
        for number, member_id in enumerate(members):
            total = Money(100_000 + 1_237 * number, self.location.currency)
            start_payment_plan(self.context, member_id, total, 6, Frequency.FORTNIGHTLY, day + timedelta(days=3))

    def _bad_luck(self, number: int) -> None:
        if number == OUTAGE.start:
            self.office.post("down", down=True)
            self.tell("The practice system is down.")
        if number == OUTAGE.stop:
            self.office.post("down", down=False)
            self.tell("The practice system is back.")
        if kind := TROUBLE.get(number):
            self.office.post("faults", method="POST", path="/api/v1/payments", kind=kind, count=3, status=504)
        if number == LATE_WRITES_DAY:
            self.office.post("late-writes", delay_seconds=40, count=3)

    def _work(self, *, charge: bool = True) -> None:
        """What the daemon does on a day, and again some minutes later for what was unclear at first."""
        self.problems.update(read_news(self.context).problems)
        if charge:
            self.problems.update(run_due(self.context).problems)
            self.problems.update(read_news(self.context).problems)
        self._write()
        if self._unclear():
            for minutes in (5, 5, 5):
                self._move_to(self.clock.now() + timedelta(minutes=minutes))
                self._write()

    def _write(self) -> None:
        for tally in work_write_backs(self.context).values():
            if tally.problem:
                self.problems.add(tally.problem)

    def _unclear(self) -> bool:
        states = (WriteBackState.UNKNOWN, WriteBackState.ACCEPTED)
        with self.context.database.read() as session:
            return session.scalar(select(WriteBack.id).where(WriteBack.state.in_(states)).limit(1)) is not None

    def _link_by_hand(self) -> None:
        """On Fridays the front desk decides on the review queue."""
        query = select(LinkReview).where(LinkReview.resolved_at.is_(None)).order_by(LinkReview.member_id)
        with self.context.database.read() as session:
            taken = set(session.scalars(select(PatientLink.pms_patient_id).where(PatientLink.ended_at.is_(None))))
            reviews = session.scalars(query).all()
        decided = 0
        for review in reviews:
            best = review.candidates[0] if review.candidates else None
            if best and best["probability"] >= SURE_ENOUGH and best["patient_id"] not in taken and decided < A_MORNING:
                link_by_person(self.context, self.location, review.member_id, best["patient_id"], "front desk")
                taken.add(best["patient_id"])
                decided += 1

    def _summary(self, number: int, day: date) -> str:
        with self.context.database.read() as session:
            taken = session.execute(select(func.count(), summed(Payment.amount_cents))).one()
            states = dict(session.execute(select(WriteBack.state, func.count()).group_by(WriteBack.state)).all())
        waiting = sum(count for state, count in states.items() if state in WAITING)
        confirmed = states.get(WriteBackState.CONFIRMED, 0)
        week = number // 7 + 1
        return (
            f"Week {week:2}, to {day:%d/%m/%Y}: {taken[0]:5} payments taken ({taken[1] / 100:12,.2f}), "
            f"{confirmed:5} in the practice system, {waiting:4} waiting"
        )
