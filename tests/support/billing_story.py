"""One practice whose billing is told as a story: what people agree is written down by itself, for the judge.

The daemon's own jobs run on a moved clock against both sandboxes in this process. Whatever is asked for may be refused,
killed, or left without an answer: it counts as agreed once the history has it, as it would for staff.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import httpx
from sqlalchemy import select

from connector import ids
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location, location_by_slug
from connector.billing.collecting.charges import Payment
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.offers.plan_terms import terms_of
from connector.clock import zone
from connector.database.base import Base
from connector.errors import DomainError, EdgeError
from connector.logs import silenced
from connector.money import Money
from connector.simulation.agreed import Membership, Price
from connector.simulation.cast import Somebody, cast
from connector.simulation.faults import Dice
from connector.simulation.life import STAFF, Life
from connector.simulation.simulate import FIRST_DAY, FOLLOW_UPS, SLUG, TIMEZONE, open_practice
from connector.simulation.stage import Stage
from connector.simulation.surroundings import surroundings
from connector.use_cases.collection.method_page import method_page
from connector.use_cases.members.add_member import Joining, add_member
from connector.use_cases.members.enrol_dependent import enrol_dependent
from connector.use_cases.members.new_person import PersonDetails
from connector.use_cases.practice.set_up_location import add_plan
from connector.use_cases.returns.refundable import refundable

PEOPLE = 24
PLANS: dict[str, dict[str, Any]] = {
    "Small": {"prices": {"weekly": 550, "monthly": 2_205}},
    "Large": {"prices": {"weekly": 1_125, "monthly": 4_715}, "setup_fee_cents": 1_500},
    "Bound": {"prices": {"weekly": 835, "monthly": 3_333}, "lock_in_months": 3},
}
"""Plans with a fee to join, with a lock-in, and with neither."""
MORNING = time(9, 30)
"""When the daemon works, once a day."""
NOT_BILLING = frozenset({"day_sheets", "day_close"})
"""Jobs that take a third of the time and change nothing that is told here."""
A_MINUTE = timedelta(minutes=1)
ANY_TIME = frozenset({"duplicate", "wrong_patient", "double_charge", "double_refund", "repeat", "transaction", "book"})
"""Promises that are kept at every moment; others once the daemon had the time to catch up."""

M = TypeVar("M", bound=Base)


def opened_practice(template: Path, folder: Path) -> Path:
    """The database of a practice on its first morning, to be copied for each story."""
    file = folder / "connector.sqlite3"
    shutil.copy(template, file)
    dice = Dice(1, "none", PEOPLE)
    with ids.seeded(1), silenced():
        stage = Stage(folder, surroundings(folder, PEOPLE, "open_dental", dice), dice)
        stage.set_time(datetime.combine(FIRST_DAY, MORNING, zone(TIMEZONE)))
        open_practice(stage)
        for name, terms in PLANS.items():
            add_plan(stage.context, location_slug=SLUG, name=name, terms=terms_of(terms))
        stage.close()
    return file


@dataclass
class Household:
    """An account holder with the people who depend on them."""

    contract_id: str
    holder: str
    frequency: Frequency
    dependents: list[str] = field(default_factory=list)


class Story:
    """The practice, from its first morning to the verdict."""

    def __init__(self, practice: Path) -> None:
        self._open = ExitStack()
        self._open.enter_context(ids.seeded(2))
        self._open.enter_context(silenced())
        folder = Path(self._open.enter_context(TemporaryDirectory(prefix="billing-", dir=practice.parent)))
        shutil.copy(practice, folder / "connector.sqlite3")
        self.dice = Dice(1, "none", PEOPLE)
        self.stage = Stage(
            folder, surroundings(folder, PEOPLE, "open_dental", self.dice), self.dice, without=NOT_BILLING
        )
        self._open.callback(self.stage.close)
        self.now = datetime.combine(FIRST_DAY, MORNING, zone(TIMEZONE))
        self.wrong_by = timedelta()
        self.stage.set_time(self.now)
        with self.stage.database.read() as session:
            self.location: Location = location_by_slug(session, SLUG)
        self.life = Life(self.stage, self.location, self.dice, [])
        self.witness, self.chronicle = self.life.witness, self.life.chronicle
        self._newcomers = iter(cast(PEOPLE, sorted(PLANS), self.dice.of("cast")))
        self.households: list[Household] = []
        self.disputes: list[str] = []
        """Stripe's, that are not decided."""
        self.bounced: set[str] = set()
        """Invoices whose payment at the desk did not go through."""
        self.happened: Counter[str] = Counter()
        """What has really taken place, by name."""

    def close(self) -> None:
        self._open.close()

    # -- time

    def work(self) -> None:
        """The daemon's jobs tick once."""
        self.stage.work()
        self.witness.look()

    def pass_day(self, *, working: bool = True) -> None:
        """Until the next morning; while the daemon is off, only the world goes on."""
        morning = datetime.combine(self.now.date() + timedelta(days=1), MORNING, zone(TIMEZONE))
        for minutes in (0, *FOLLOW_UPS):
            self._set_time(morning + minutes * A_MINUTE)
            if working:
                self.work()
            if not working or not self.witness.unclear():
                break
        self.calm()

    def calm(self) -> None:
        """Nothing is in trouble any more, except for a kill that is under way already."""
        self.stage.around.office.calm()
        self.stage.around.stripe.disturbances.disarm()
        self.stage.around.stripe.processor.trouble = None
        self.wrong_by = timedelta()

    def _set_time(self, instant: datetime) -> None:
        self.now = instant
        self.stage.set_time(instant, self.wrong_by)

    @property
    def today(self) -> date:
        """By our clock."""
        return self.witness.today

    # -- doing and seeing

    def took_place(self, name: str, subject_id: str, action: str, do: Callable[[], object]) -> bool:
        """Do it a minute later; tells whether the history has it now."""
        self._set_time(self.now + A_MINUTE)
        done = self.witness.took_place(subject_id, action, do)
        self.witness.look()
        self.happened[name] += done
        return done

    def attempt(self, do: Callable[[], object]) -> None:
        """Do something whose outcome is looked up by the caller."""
        self._set_time(self.now + A_MINUTE)
        with self.stage.may_be_killed(), suppress(DomainError, EdgeError, httpx.HTTPError):
            do()
        self.witness.look()

    def rows(self, kind: type[M], *conditions: Any) -> Sequence[M]:
        """Rows of a kind, the oldest first."""
        with self.stage.database.read() as session:
            return session.scalars(select(kind).where(*conditions).order_by(*kind.__table__.primary_key)).all()

    def invoices(self, *statuses: InvoiceStatus) -> Sequence[Invoice]:
        return self.rows(Invoice, Invoice.status.in_(statuses))

    def payments(self, *conditions: Any) -> Sequence[Payment]:
        return self.rows(Payment, *conditions)

    def left_of(self, payment: Payment) -> int:
        """Cents of a payment that nobody has got back."""
        with self.stage.database.read() as session:
            return refundable(session, payment).cents

    def happen(self, path: str, **fields: object) -> dict[str, Any] | None:
        """Let others do something at Stripe; None when it cannot be."""
        sandbox = self.stage.around.stripe.sandbox
        answer = sandbox.client.post(f"{sandbox.address}/_sandbox/{path}", json=fields)
        document: dict[str, Any] = answer.json()
        return document if answer.is_success else None

    def money(self, cents: int) -> Money:
        return Money(cents, self.location.currency)

    # -- joining

    def join(self, plan: str, frequency: Frequency, method: str, dependents: Sequence[str]) -> None:
        """Somebody joins, with so many dependents on these plans, and signs on the hosted page."""
        people = [person for person, _ in zip(self._newcomers, (plan, *dependents), strict=False)]
        if not people:
            return
        holder, *others = people
        joining = Joining(plan, frequency, invite=False)
        self.attempt(lambda: add_member(self.stage.context, SLUG, _details(holder), joining, actor=STAFF))
        contract = self.life.contract_of(holder)
        if contract is None:
            return
        household = Household(contract.id, contract.member_id, frequency)
        self.households.append(household)
        self.chronicle.agreed[contract.id] = Membership(frequency.value, contract.member_id, {})
        self._agree(household, contract.member_id, holder, plan)
        for person, chosen in zip(others, dependents, strict=False):
            self.add_dependent(household, chosen, person)
        self.happened["joined"] += self.sign(household, method)

    def add_dependent(self, household: Household, plan: str, person: Somebody | None = None) -> None:
        """One more person, who counts from the next invoice on."""
        person = person or next(self._newcomers, None)
        if person is None:
            return
        details, agreed = _details(person), self.witness.membership(household.contract_id)
        since = self.witness.next_day(household.contract_id) if agreed.start else date.min
        told = self.took_place(
            "dependent added",
            household.contract_id,
            "Dependent Enrolled",
            lambda: enrol_dependent(self.stage.context, household.contract_id, plan, details, actor=STAFF),
        )
        if told:
            member_id = self.life.member_of(person)
            household.dependents.append(member_id)
            self._agree(household, member_id, person, plan, since)

    def _agree(self, household: Household, member_id: str, person: Somebody, plan: str, since: date = date.min) -> None:
        agreed = self.witness.membership(household.contract_id)
        agreed.prices[member_id] = [Price(price(plan, household.frequency), since)]
        agreed.to_join[member_id] = PLANS[plan].get("setup_fee_cents", 0)
        self.chronicle.people[member_id] = person
        self.chronicle.patients[member_id].add(person.patient_id)

    def sign(self, household: Household, method: str) -> bool:
        """The payer gives this method on the hosted page of the membership, whatever became of it since."""
        return self.give_method(
            method, lambda: method_page(self.stage.context, household.holder, household.contract_id, "aud").url
        )

    def give_method(self, method: str, page: Callable[[], str]) -> bool:
        """Somebody opens that page and gives this method; tells whether Stripe took it."""
        answers: list[int] = []

        def give() -> None:
            answers.append(self.stage.around.stripe.sandbox.client.post(page(), data={"method": method}).status_code)

        self.attempt(give)
        return httpx.codes.SEE_OTHER in answers

    # -- the end

    def broken(self, *, in_the_end: bool = False) -> list[str]:
        """The promises that are broken, of those that are kept at every moment or, in the end, of all."""
        found = self.witness.judged(self.witness.books(self.now)).violations
        return [f"{it.kind}: {it.about}: {it.sentence}" for it in found if in_the_end or it.kind in ANY_TIME]


def price(plan: str, frequency: Frequency) -> int:
    """Cents for each period."""
    cents: int = PLANS[plan]["prices"][frequency.value]
    return cents


def _details(person: Somebody) -> PersonDetails:
    return PersonDetails(person.given_name, person.family_name, person.born)
