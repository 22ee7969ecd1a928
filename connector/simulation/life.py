"""What the people around the product do: patients join and pay, staff refund, link and type, banks dispute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import TypeVar

import httpx
from sqlalchemy import select

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import Member, MethodKind
from connector.database.seal import Seal
from connector.errors import DomainError, EdgeError
from connector.ledger.write_back import queue
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.states import WriteBackState
from connector.matching.models import PatientLink
from connector.money import Money
from connector.simulation.agreed import Instalments, Membership, Price
from connector.simulation.cast import Somebody
from connector.simulation.chronicle import Chronicle
from connector.simulation.faults import Dice, FaultKind
from connector.simulation.office import Entry
from connector.simulation.stage import Stage
from connector.simulation.witness import Witness
from connector.use_cases.books.link_members import link_by_person, unlink_by_person
from connector.use_cases.books.move_entries import move_entries
from connector.use_cases.continuity.resume import resume
from connector.use_cases.members.add_member import Joining, add_member
from connector.use_cases.members.cancel_membership import Consent, cancel_membership
from connector.use_cases.members.enrol_member import invite_member
from connector.use_cases.members.new_person import PersonDetails
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan
from connector.use_cases.plans.change_plan import change_plan
from connector.use_cases.returns.refund_payment import refund_payment

PRICES = {
    "Bronze": {
        Frequency.WEEKLY: "5.50",
        Frequency.FORTNIGHTLY: "10.95",
        Frequency.MONTHLY: "22.00",
        Frequency.ANNUALLY: "249.00",
    },
    "Silver": {
        Frequency.WEEKLY: "7.95",
        Frequency.FORTNIGHTLY: "15.90",
        Frequency.MONTHLY: "33.33",
        Frequency.ANNUALLY: "379.00",
    },
    "Gold": {
        Frequency.WEEKLY: "11.25",
        Frequency.FORTNIGHTLY: "22.45",
        Frequency.MONTHLY: "47.10",
        Frequency.ANNUALLY: "529.00",
    },
}
"""The plans of the practice."""
STAFF = "front desk"
JOINING_SHARE = 0.2
"""Of those who are not yet members, so many join on a day."""
INSTALMENT_PLANS = 0.01
"""So many members a day agree to pay a treatment in parts."""
GOOD_CARD = "pm_card_visa"
RECENT = timedelta(days=30)
F, S = FaultKind, WriteBackState
T = TypeVar("T")


@dataclass
class Life:
    """Goes on whatever state the product is in; an action that is refused or meets an outage is left for later."""

    stage: Stage
    location: Location
    dice: Dice
    waiting: list[Somebody]
    chronicle: Chronicle = field(default_factory=Chronicle)
    _mislinked: list[tuple[date, str]] = field(default_factory=list)
    """Members at the wrong patient, each with the day on which somebody notices."""
    _in_parts: set[str] = field(default_factory=set)
    """Members who have agreed to pay something in parts."""

    def __post_init__(self) -> None:
        self.witness = Witness(self.stage, self.location, self.chronicle)

    def see_to_the_seal(self) -> None:
        """Somebody reads that the database was set back, knows that no other copy runs, and lets it go on."""
        with self.stage.database.read() as session:
            broken = session.scalar(select(Seal.broken_at))
        if broken:
            self._try(lambda _today: resume(self.stage.context, STAFF), date.min)

    def morning(self, today: date) -> None:
        """What is done when the practice opens."""
        self._join(today)
        everyday = self.review_links, self._correct_links, self._give_new_cards
        for action in (*everyday, self._agree_instalments):
            self._try(action, today)
        self.decide_held(today)

    def between(self, share_of_day: float, today: date) -> None:
        """What happens in a part of the day."""
        actions = {
            F.REFUND: self._refund,
            F.CHARGEBACK: self._charge_back,
            F.RELINK: self._mislink,
            F.PLAN_CHANGE: self._change_plan,
            F.CANCELLATION: self._cancel,
            F.STAFF_TWIN: self._type_twin,
            F.STAFF_RETYPED: self._retype,
            F.STAFF_DELETED: self._delete,
        }
        for kind, action in actions.items():
            if self.dice.falls(kind, share_of_day):
                self._try(action, today)

    def _try(self, action: Callable[[date], T], today: date) -> T | None:
        """What the action gives; None when it is refused, killed, or meets an outage: people come back another day."""
        with self.stage.may_be_killed(), suppress(DomainError, EdgeError, httpx.HTTPError):
            return action(today)
        return None

    # -- joining and paying

    def _join(self, today: date) -> None:
        count = max(1, int(len(self.waiting) * JOINING_SHARE)) if self.waiting else 0
        chosen, self.waiting = self.waiting[:count], self.waiting[count:]
        for person in chosen:
            if not self._try(partial(self._sign_up, person), today):
                self.waiting.append(person)

    def _sign_up(self, person: Somebody, _today: date) -> bool:
        known = self.contract_of(person)
        if known:
            member_id, contract_id = known.member_id, known.id
        else:
            details = PersonDetails(person.given_name, person.family_name, person.born)
            joining = Joining(person.plan, person.frequency, invite=False)
            added = add_member(self.stage.context, self.location.slug, details, joining, actor=STAFF)
            member_id, contract_id = added.member_id, added.contract_id
        self.chronicle.people[member_id] = person
        self.chronicle.patients[member_id].add(person.patient_id)
        price = Price(_cents(person.plan, person.frequency))
        agreed = Membership(person.frequency.value, member_id, {member_id: [price]})
        self.chronicle.agreed.setdefault(contract_id, agreed)
        page = invite_member(self.stage.context, contract_id)
        answer = self.stage.around.stripe.sandbox.client.post(page.url, data={"method": person.method})
        return answer.status_code == httpx.codes.SEE_OTHER

    def contract_of(self, person: Somebody) -> Contract | None:
        """The membership that a person holds."""
        with self.stage.database.read() as session:
            return session.scalar(select(Contract).where(Contract.member_id == self.member_of(person)))

    def member_of(self, person: Somebody) -> str:
        """The member that a person has become; empty when they are none."""
        query = select(Member.id).where(
            Member.given_name == person.given_name,
            Member.family_name == person.family_name,
            Member.date_of_birth == person.born,
        )
        with self.stage.database.read() as session:
            return session.scalar(query) or ""

    def _give_new_cards(self, _today: date) -> None:
        """Some of those whose payments fail have got a message, and give another card."""
        query = (
            select(Contract.id)
            .join(Invoice, Invoice.contract_id == Contract.id)
            .where(Invoice.status == InvoiceStatus.OVERDUE, Contract.status != AgreementStatus.CANCELLED)
            .order_by(Contract.id)
            .distinct()
        )
        with self.stage.database.read() as session:
            overdue = session.scalars(query).all()
        for contract_id in overdue:
            if self.dice.of("new card").random() < 1 / 4:
                page = invite_member(self.stage.context, contract_id)
                self.stage.around.stripe.sandbox.client.post(page.url, data={"method": GOOD_CARD})

    def _agree_instalments(self, today: date) -> None:
        dice = self.dice.of("instalments")
        for member_id in self._active():
            if dice.random() < INSTALMENT_PLANS and member_id not in self._in_parts:
                self._in_parts.add(member_id)
                total = Money(dice.randrange(20_000, 150_000), self.location.currency)
                first, count = today + timedelta(days=dice.randrange(1, 8)), dice.randrange(2, 8)
                with self.stage.may_be_killed(), suppress(DomainError):
                    start_payment_plan(self.stage.context, member_id, total, count, Frequency.FORTNIGHTLY, first)
                self._note_plan(member_id, Instalments(total.cents, count, "fortnightly", first))

    def _note_plan(self, member_id: str, agreed: Instalments) -> None:
        """Whoever was killed while it was agreed looks whether it is there."""
        with self.stage.database.read() as session:
            for plan_id in session.scalars(select(PaymentPlan.id).where(PaymentPlan.member_id == member_id)):
                self.chronicle.agreed[plan_id] = agreed

    def _refund(self, _today: date) -> None:
        dice = self.dice.of("refund")
        payments = self._recent_payments()
        if not payments:
            return
        payment = dice.choice(payments)
        cents = payment.amount_cents if dice.random() < 1 / 2 else dice.randint(1, payment.amount_cents)
        if dice.random() < 1 / 4:
            done = self.stage.around.stripe.do("refunds", charge=payment.processor_charge_id, amount=str(cents))
            self.chronicle.given_back[payment.processor_charge_id] += cents
        else:
            self.chronicle.given_back[payment.processor_charge_id] += cents
            amount = Money(cents, payment.currency)
            refund_payment(self.stage.context, payment.id, amount, "", STAFF)
            done = True
        self.dice.count(F.REFUND, int(done))

    def _charge_back(self, _today: date) -> None:
        if payments := self._recent_payments():
            payment = self.dice.of("dispute").choice(payments)
            sandbox = self.stage.around.stripe.sandbox
            answer = sandbox.client.post(
                f"{sandbox.address}/_sandbox/disputes", json={"charge": payment.processor_charge_id}
            )
            self.dice.count(F.CHARGEBACK, int(answer.is_success))

    def _change_plan(self, _today: date) -> None:
        dice = self.dice.of("plan")
        if members := self._active():
            member_id, plan = dice.choice(members), dice.choice(sorted(PRICES))
            contract_id, cents = self._contract(member_id), _cents(plan, self.chronicle.people[member_id].frequency)
            change = partial(change_plan, self.stage.context, contract_id, member_id, plan, STAFF)
            self.dice.count(F.PLAN_CHANGE, int(self.witness.plan_changed(contract_id, member_id, cents, change)))

    def _cancel(self, _today: date) -> None:
        if members := self._active():
            member_id = self.dice.of("cancel").choice(members)
            cancel_membership(self.stage.context, self._contract(member_id), Consent(override=True), actor=STAFF)
            self.dice.count(F.CANCELLATION)

    # -- linking

    def review_links(self, _today: date) -> None:
        """Staff look at whoever is not linked, and find the right patient."""
        linked = select(PatientLink.member_id).where(PatientLink.ended_at.is_(None))
        with self.stage.database.read() as session:
            open_ = session.scalars(select(Member.id).where(Member.id.not_in(linked)).order_by(Member.id)).all()
        for member_id in open_:
            if member_id in self.chronicle.people and self.dice.of("review").random() < 1 / 2:
                patient_id = self.chronicle.people[member_id].patient_id
                link_by_person(self.stage.context, self.location, member_id, patient_id, STAFF)

    def _mislink(self, today: date) -> None:
        dice = self.dice.of("mislink")
        members = [member_id for member_id in self._active() if member_id not in {who for _, who in self._mislinked}]
        if members:
            member_id = dice.choice(members)
            wrong = self.chronicle.people[member_id].stranger_id
            self.chronicle.patients[member_id].add(wrong)
            self._mislinked.append((today + timedelta(days=dice.randint(1, 5)), member_id))
            self._link(member_id, wrong)
            self.dice.count(F.RELINK)

    def _correct_links(self, today: date) -> None:
        """The right link, and a yes to moving what stands with the wrong patient; what was typed in, staff move."""
        for noticed, member_id in list(self._mislinked):
            if noticed <= today:
                patient_id = self.chronicle.people[member_id].patient_id
                self._link(member_id, patient_id)
                found = move_entries(self.stage.context, self.location, member_id, STAFF)
                typed_in = {item.reference for item in found.by_hand}
                for entry in self.stage.around.office.entries():
                    if self._mark(entry) in typed_in and entry.patient_id != patient_id:
                        self.stage.around.office.hand_over(entry.number, patient_id)
                self._mislinked.remove((noticed, member_id))

    def _mark(self, entry: Entry) -> str:
        """Under which reference we had written it."""
        return self.chronicle.retyped.get(entry.number, entry.reference)

    def _link(self, member_id: str, patient_id: str) -> None:
        with self.stage.database.read() as session:
            link = session.scalar(
                select(PatientLink).where(PatientLink.member_id == member_id, PatientLink.ended_at.is_(None))
            )
        if link and link.pms_patient_id != patient_id:
            unlink_by_person(self.stage.context, self.location, member_id, STAFF)
        if not link or link.pms_patient_id != patient_id:
            link_by_person(self.stage.context, self.location, member_id, patient_id, STAFF)

    # -- in the practice system's own windows

    def decide_held(self, today: date) -> None:
        """Each write-back that waits for a person is looked up, and marked as recorded, posted again or typed in."""
        with self.stage.database.read() as session:
            held = queue.listed(session, self.location.id, (S.HELD, S.REJECTED, S.READY), 1_000)
        if not held:
            return
        for row in held:
            there = {self._mark(entry): entry for entry in self.stage.around.office.entries()}
            self._try(partial(self._decide, row, there), today)

    def _decide(self, row: WriteBack, there: dict[str, Entry], _today: date) -> None:
        """What is there is looked at, and moved if it stands with the wrong patient; what went back is typed in."""
        now, entry, office = self.stage.clock.now(), there.get(row.reference), self.stage.around.office
        if entry and row.leg is Leg.PAYMENT and row.pms_patient_id and entry.patient_id != row.pms_patient_id:
            office.hand_over(entry.number, row.pms_patient_id)
        if not entry and row.leg is Leg.REVERSAL:
            with self.stage.database.read() as session:
                original = session.get_one(WriteBack, row.reverses_id)
            paid = there.get(original.reference)
            patient = paid.patient_id if paid else row.sent_to_patient_id or row.pms_patient_id or ""
            office.type_in(patient, -row.amount_cents, row.entry_date, row.reference)
        act = queue.mark_recorded if entry or row.leg is Leg.REVERSAL else queue.post_by_person
        with self.stage.database.unit_of_work() as session:
            act(session, row.id, now, STAFF)

    def _type_twin(self, today: date) -> None:
        """Somebody pays the same amount in cash on the same day as a payment of ours that is under way."""
        query = select(WriteBack).where(
            WriteBack.state.in_((S.QUEUED, S.UNKNOWN, S.ACCEPTED, S.CONFIRMED)),
            WriteBack.leg == Leg.PAYMENT,
            WriteBack.entry_date == today,
            WriteBack.pms_patient_id.is_not(None),
        )
        with self.stage.database.read() as session:
            rows = session.scalars(query.order_by(WriteBack.reference)).all()
        if rows:
            row = self.dice.of("twin").choice(rows)
            self.stage.around.office.type_in(row.pms_patient_id or "", row.amount_cents, row.entry_date)
            self.dice.count(F.STAFF_TWIN)

    def _retype(self, _today: date) -> None:
        ours = [entry for entry in self.stage.around.office.entries() if entry.reference.startswith("SP")]
        if ours:
            entry = self.dice.of("retype").choice(ours[-20:])
            self.chronicle.retyped[entry.number] = entry.reference
            self.stage.around.office.retype(entry.number)
            self.dice.count(F.STAFF_RETYPED)

    def _delete(self, _today: date) -> None:
        """Only what was proven to be there is deleted: who deletes an entry within the minute, undoes his own work."""
        with self.stage.database.read() as session:
            proven = set(session.scalars(select(WriteBack.reference).where(WriteBack.state == S.CONFIRMED)))
        ours = [entry for entry in self.stage.around.office.entries() if entry.reference in proven]
        if ours:
            entry = self.dice.of("delete").choice(ours)
            self.chronicle.deleted.append(entry)
            self.stage.around.office.delete(entry.number)
            self.dice.count(F.STAFF_DELETED)

    # -- looking things up

    def _active(self) -> list[str]:
        query = select(Contract.member_id).where(Contract.status == AgreementStatus.ACTIVE).order_by(Contract.id)
        with self.stage.database.read() as session:
            return [member for member in session.scalars(query) if member in self.chronicle.people]

    def _contract(self, member_id: str) -> str:
        with self.stage.database.read() as session:
            return session.scalars(select(Contract.id).where(Contract.member_id == member_id)).one()

    def _recent_payments(self) -> Sequence[Payment]:
        since = self.stage.clock.now() - RECENT
        query = select(Payment).where(Payment.recorded_at >= since, Payment.method_kind != MethodKind.DESK)
        with self.stage.database.read() as session:
            return session.scalars(query.order_by(Payment.id)).all()


def _cents(plan: str, frequency: Frequency) -> int:
    return Money.parse(PRICES[plan][frequency], "aud").cents
