"""A practice for tests of the whole main job: real database, real HTTP to both sandboxes, and a clock that is moved.

    def test_...(practice: Practice) -> None:
        person = practice.enrol("pm_card_visa")
        practice.office.post("faults", method="POST", path="/api/v1/payments", kind="reset_after")
        practice.work()
        practice.advance(minutes=5)
        practice.work()
        practice.assert_exactly_once()

Every test has its own servers and files, so faults, clocks and numbers of patients are its own too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.members import Member
from connector.billing.offers.plans import offered_version, plan_by_name
from connector.billing.policy import changed
from connector.clock import MovableClock
from connector.database.base import Base
from connector.ledger.write_back.engine import Tally
from connector.ledger.write_back.models import Leg, WriteBack, WriteBackStep
from connector.ledger.write_back.states import WAITING, WriteBackState
from connector.sandbox.demo.judge import Verdict, judge
from connector.sandbox.demo.processes import Sandbox
from connector.use_cases.books.link_members import link_by_person
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.books.work_write_backs import work_write_backs
from connector.use_cases.collection.read_news import read_news
from connector.use_cases.collection.run_due import run_due
from connector.use_cases.context import Context
from connector.use_cases.members.draft_contract import draft_contract
from connector.use_cases.members.enrol_member import invite_member
from tests.support.servers import Server

KEY = "sk_test_practice"
START = datetime(2026, 9, 1, 9, tzinfo=ZoneInfo("Australia/Sydney"))
"""A Tuesday morning; the change to summer time is five weeks away."""
PAYMENTS_PATH = "/api/v1/payments"
FIRST_PATIENT = 1001
_GIVEN = ("Ada", "Ben", "Chloe", "Dev", "Elif", "Finn", "Grace", "Hugo", "Ines", "Jonas")
_FAMILY = ("Ferris", "Marsh", "Okafor", "Nguyen")
PATIENTS = len(_GIVEN) * len(_FAMILY)
"""So many people are on file at the office."""

M = TypeVar("M", bound=Base)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A member with a contract, and the patient whom the office holds under the same name."""

    member_id: str
    contract_id: str
    patient_id: str


@dataclass
class Practice:
    """One location, its two sandboxes, and short ways to do and to see things."""

    context: Context
    clock: MovableClock
    location: Location
    stripe: Sandbox
    office: Sandbox
    office_server: Server
    _enrolled: int = 0

    def environment(self) -> dict[str, str]:
        """Variables under which a `connector` process works for this practice at the present time."""
        return {
            "CONNECTOR_DATABASE__URL": self.context.database.url.render_as_string(hide_password=False),
            "CONNECTOR_STRIPE__SECRET_KEY": KEY,
            "CONNECTOR_STRIPE__API_BASE": self.stripe.address,
            "CONNECTOR_CLOCK__NOW": self.clock.now().isoformat(),
        }

    def advance(self, **step: float) -> None:
        """Move our clock and those of both sandboxes, e.g. `advance(days=2)`."""
        self.clock.advance(timedelta(**step))
        for sandbox in (self.stripe, self.office):
            sandbox.move_clock(self.clock.now())

    @property
    def today(self) -> date:
        return self.clock.now().astimezone(self.location.zone).date()

    def enrol(
        self,
        method: str | None = "pm_card_visa",
        *,
        plan: str = "Essential",
        frequency: Frequency = Frequency.MONTHLY,
        linked: bool = True,
        adopted: bool = False,
    ) -> Enrolled:
        """The next patient joins: signs up on the hosted page unless `method` is None, is linked if `linked`.

        `adopted`: was a member before, on another system, so there is no first charge that could fail.
        """
        number, self._enrolled = self._enrolled, self._enrolled + 1
        person = self._sign_contract(number, plan, frequency, adopted=adopted)
        if method:
            self.sign_up(person, method)
        if linked:
            self.link(person)
        return person

    def set_policy(self, **changes: str) -> None:
        """Change billing settings of the location, e.g. `set_policy(catch_up="all")`."""
        with self.context.database.unit_of_work() as session:
            location = session.get_one(Location, self.location.id)
            location.settings = changed(location.settings, changes)

    def sign_up(self, person: Enrolled, method: str) -> None:
        """Choose a payment method on the hosted page of a pending contract."""
        page = invite_member(self.context, person.contract_id)
        answer = self.stripe.client.post(page.url, data={"method": method})
        assert answer.status_code == 303, answer.text
        assert read_news(self.context).problems == []

    def paid(self, *, linked: bool = True) -> Enrolled:
        """Somebody whose first payment was taken from a card and waits to be written."""
        person = self.enrol(linked=linked)
        assert self.charge() == []
        return person

    def link(self, person: Enrolled) -> int:
        """The front desk links the member; returns how many write-backs that released."""
        return link_by_person(self.context, self.location, person.member_id, person.patient_id, "front desk")

    def charge(self) -> list[str]:
        """Read news, charge what is due, read news; returns the problems met."""
        problems = read_news(self.context).problems + run_due(self.context).problems
        return problems + read_news(self.context).problems

    def write(self) -> Tally:
        """Work off the write-backs once; an empty tally when nothing was due."""
        return work_write_backs(self.context).get(self.location.slug, Tally())

    def work(self) -> Tally:
        """What the daemon does in a round: charge, then write."""
        self.charge()
        return self.write()

    def settle(self) -> None:
        """Let time pass and work until nothing unclear is left to be looked up."""
        for _ in range(6):
            self.advance(minutes=5)
            self.write()

    def fault(self, kind: str, method: str = "POST", path: str = PAYMENTS_PATH, **fields: object) -> None:
        """Disturb the office's next matching request."""
        self.office.post("faults", kind=kind, method=method, path=path, **fields)

    def stripe_well_again(self) -> None:
        """Stripe forgets its remaining faults."""
        self.stripe.client.delete(f"{self.stripe.address}/_sandbox/faults").raise_for_status()

    def staff(self, action: str, **fields: object) -> None:
        """Somebody in the office does something in the program's own windows."""
        self.office.post("staff", action=action, **fields)

    def by_hand(self, action: Callable[[Session, str, datetime, str], None], leg: Leg = Leg.PAYMENT) -> None:
        """Somebody decides about the only write-back of that leg, e.g. `by_hand(queue.mark_recorded)`."""
        with self.context.database.unit_of_work() as session:
            action(session, self.write_back(leg).id, self.clock.now(), "front desk")

    def refund(self, **form: str) -> None:
        """A minute later somebody gives the only payment back at Stripe's dashboard."""
        self.advance(minutes=1)
        (charge,) = self.stripe_charges()
        self.stripe_do("refunds", charge=charge["id"], **form)

    def all(self, model: type[M]) -> list[M]:
        """Every row of a model, oldest first."""
        columns: Any = model.__table__.c
        order = [columns[name] for name in ("created_at", "issued_at", "recorded_at", "number") if name in columns]
        if self.context.database.path:
            # As they were inserted, which tells those of one instant apart.
            order = [text(f"{model.__tablename__}.rowid")]
        with self.context.database.read() as session:
            return list(session.scalars(select(model).order_by(*order, *model.__mapper__.primary_key)))

    def write_back(self, leg: Leg = Leg.PAYMENT) -> WriteBack:
        """The only write-back of that leg."""
        (row,) = (row for row in self.all(WriteBack) if row.leg is leg)
        return row

    def states(self) -> list[WriteBackState]:
        """States of all write-backs, oldest first."""
        return [row.state for row in self.all(WriteBack)]

    def history(self, row: WriteBack) -> list[WriteBackState]:
        """Every state that the row has been in."""
        return [step.after for step in self.all(WriteBackStep) if step.write_back_id == row.id]

    def pms_rows(self) -> list[dict[str, Any]]:
        """All payment rows that stand in the office's file; amounts in cents under `cents`."""
        rows: list[dict[str, Any]] = self.office.get("/_sandbox/payments")["payments"]
        return rows

    def stripe_listed(self, kind: str) -> list[dict[str, Any]]:
        """The newest hundred objects that Stripe holds, such as `charges` or `payment_intents`, oldest first."""
        page = self.stripe.get(f"/v1/{kind}?limit=100", Authorization=f"Bearer {KEY}")
        assert not page["has_more"], "This helper reads one page."
        return list(reversed(page["data"]))

    def stripe_charges(self, status: str = "succeeded") -> list[dict[str, Any]]:
        """Charges of that status."""
        return [charge for charge in self.stripe_listed("charges") if charge["status"] == status]

    def stripe_do(self, path: str, **form: str) -> dict[str, Any]:
        """Do something at Stripe as a person at its dashboard would, e.g. `stripe_do("refunds", charge=...)`."""
        url = f"{self.stripe.address}/v1/{path}"
        answer = self.stripe.client.post(url, data=form, headers={"Authorization": f"Bearer {KEY}"})
        done: dict[str, Any] = answer.raise_for_status().json()
        return done

    def judge(self) -> Verdict:
        """What the stores of both sandboxes say about each other."""
        waiting = {row.reference: row.signed.cents for row in self.all(WriteBack) if row.state in WAITING}
        return judge(self.stripe, KEY, self.office, waiting)

    def assert_exactly_once(self) -> None:
        """No invoice charged twice, nothing written twice, lost or unexplained, and the book adds up."""
        paid = Counter(charge["metadata"]["invoice_id"] for charge in self.stripe_charges())
        assert all(count == 1 for count in paid.values()), "An invoice was charged twice."
        verdict = self.judge()
        assert (verdict.duplicates_in_pms, verdict.lost, verdict.unexplained_cents) == (0, 0, 0)
        assert verify_ledger(self.context).faults == []

    def assert_all_written(self) -> None:
        """As above, and everything taken is proven to stand in the practice system."""
        self.assert_exactly_once()
        assert set(self.states()) == {WriteBackState.CONFIRMED}
        assert self.judge().entries == len(self.states())

    def _sign_contract(self, number: int, plan_name: str, frequency: Frequency, *, adopted: bool) -> Enrolled:
        given, family, born = person_of(number)
        now = self.clock.now()
        member = Member(
            id=ids.new_id("mem"),
            location_id=self.location.id,
            external_id=f"M-{number}",
            given_name=given,
            family_name=family,
            date_of_birth=born,
            email=f"{given}.{family}@example.com".lower(),
            created_at=now,
        )
        with self.context.database.unit_of_work() as session:
            plan = plan_by_name(session, self.location, plan_name)
            offer = plan, offered_version(session, plan)
            contract, cover = draft_contract(self.location, member.id, offer, frequency, now, adopted=adopted)
            for row in (member, contract, cover):
                session.add(row)
                session.flush()
        return Enrolled(member.id, contract.id, str(FIRST_PATIENT + number))


def person_of(number: int) -> tuple[str, str, date]:
    """Given name, family name and birth date of the office's patient of that number, counted from 0."""
    born = date(1960, 1, 5) + timedelta(days=397 * number)
    return _GIVEN[number % len(_GIVEN)], _FAMILY[number // len(_GIVEN)], born
