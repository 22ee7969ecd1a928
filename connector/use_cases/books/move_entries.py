"""Move what stands with a wrong patient to the right one, after a person's yes.

A member was linked to a wrong patient, and payments were entered there. Once a person has linked the member anew, all
that stands of each payment with the former patient is taken out there by a reversal, and entered with the right one.
The new entry waits until the reversal is proven to be there, so that no money ever stands in two ledgers; where the
practice system cannot take it back, a person does it by hand and marks it as recorded, and the new entry follows.

The yes is kept with the link: what is not settled yet follows when it turns out to stand with the former patient.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import remember
from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment
from connector.clock import business_date
from connector.errors import DomainError
from connector.ledger.write_back.models import EntryMove, Leg, WriteBack
from connector.ledger.write_back.queue import Order, amend, enqueue
from connector.ledger.write_back.reference import undone_reference
from connector.ledger.write_back.states import ABSENT, WriteBackState
from connector.matching.models import PatientLink
from connector.money import Money
from connector.use_cases.context import Context
from connector.use_cases.returns.standing import CANCELLED_OUT, Standing, standings

log = structlog.get_logger()

S = WriteBackState

OPEN = (S.SENDING, S.ACCEPTED, S.UNKNOWN, S.HELD)
"""May stand where it was sent, or not."""


@dataclass(frozen=True, slots=True)
class Misplaced:
    """What stands, or may stand, of a payment with a patient whom its member is not linked to."""

    payment_id: str
    paid_on: date
    reference: str
    """Of the entry that would be taken back."""
    patient_id: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Survey:
    """All that stands with former patients of a member who is linked to `patient_id`."""

    patient_id: str
    movable: Sequence[Misplaced]
    unsettled: Sequence[Misplaced]
    """Not proven to be there yet; follows by itself after the yes."""
    by_hand: Sequence[Misplaced]
    """Typed in by a person before the link was made: that person knows where, and moves it."""


def survey(context: Context, location: Location, member_id: str) -> Survey:
    """What a person's yes would move. Raises DomainError when the member is not linked."""
    with context.database.read() as session:
        link = _live_link(session, location, member_id)
        return _survey(session, link, list(_elsewhere(session, link)))


def move_entries(context: Context, location: Location, member_id: str, actor: str) -> Survey:
    """Queue the moves, each a reversal and a new entry; returns what was found. Repeating moves nothing twice.

    Raises DomainError when the member is not linked.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        link = _live_link(session, location, member_id)
        link.entries_follow_since, link.entries_follow_by = now, actor
        there = list(_elsewhere(session, link, lock=True))
        found = _survey(session, link, there)
        _move(session, location, link, there, now)
    return found


def follow_links(context: Context) -> None:
    """Move what has turned out to stand with a former patient since a person has said yes."""
    taken_back = select(WriteBack.reverses_id).join(EntryMove, EntryMove.id == WriteBack.source_id)
    stands_elsewhere = (
        select(WriteBack.id)
        .where(WriteBack.member_id == PatientLink.member_id, WriteBack.leg == Leg.PAYMENT)
        .where(WriteBack.state == S.CONFIRMED, WriteBack.sent_to_patient_id != PatientLink.pms_patient_id)
        .where(WriteBack.id.not_in(taken_back.where(WriteBack.leg == Leg.REVERSAL).correlate(None)))
    )
    query = (
        select(PatientLink, Location)
        .join(Location, Location.id == PatientLink.location_id)
        .where(PatientLink.ended_at.is_(None), PatientLink.entries_follow_since.is_not(None))
        .where(stands_elsewhere.exists())
    )
    with context.database.read() as session:
        links = [(link, location) for link, location in session.execute(query) if _any(session, link)]
    for link, location in links:
        with context.database.unit_of_work() as session:
            there = list(_elsewhere(session, link, lock=True))
            _move(session, location, link, there, context.clock.now())


def _live_link(session: Session, location: Location, member_id: str) -> PatientLink:
    query = select(PatientLink).where(
        PatientLink.location_id == location.id, PatientLink.member_id == member_id, PatientLink.ended_at.is_(None)
    )
    link = session.scalar(query)
    if link is None:
        raise DomainError(
            f"The member {member_id} is not linked to a patient at {location.slug!r}: link the member to the right one "
            "first, then move what stands with the former one."
        )
    return link


@dataclass(frozen=True, slots=True)
class _There:
    """The entries of one payment for one person in the ledger of one patient who is not the member's."""

    payment: Payment
    standing: Standing
    patient_id: str
    rows: Sequence[WriteBack]
    waiting: Sequence[WriteBack]
    """What would be entered there once a reversal is there, and was not sent yet: it goes to the right patient."""

    @property
    def cents(self) -> int:
        return sum(row.signed.cents for row in self.rows)

    @property
    def entry(self) -> WriteBack | None:
        """The entry that is taken back: one of just what stands, else the largest. None while any is not settled."""
        payments = [row for row in self.rows if row.leg is Leg.PAYMENT]
        if any(row.state in OPEN for row in payments):
            return None
        taken = {row.reverses_id for row in self.rows}
        proven = [row for row in payments if row.state is S.CONFIRMED]
        whole = [row for row in proven if row.amount_cents == self.cents and row.id not in taken]
        return max(whole or proven, key=lambda row: row.amount_cents, default=None)

    def shown(self) -> Misplaced:
        first = self.entry or self.rows[0]
        amount = Money(self.cents, first.currency)
        return Misplaced(self.payment.id, self.payment.business_date, first.reference, self.patient_id, amount)


def _elsewhere(session: Session, link: PatientLink, *, lock: bool = False) -> Iterator[_There]:
    """What stands, may stand or was about to stand with others than the link's patient.

    `lock`: the payments are locked, so that of two who move, and of a move and a refund, the second sees the first.
    """
    mine = select(WriteBack.source_id).where(WriteBack.member_id == link.member_id)
    query = select(Payment).where(Payment.id.in_(mine)).order_by(Payment.id)
    for payment in session.scalars(query.with_for_update() if lock else query).all():
        for standing in standings(session, payment):
            if standing.original.member_id == link.member_id:
                yield from _by_patient(payment, standing, link.pms_patient_id)


def _by_patient(payment: Payment, standing: Standing, right: str) -> Iterator[_There]:
    places: dict[str, list[WriteBack]] = defaultdict(list)
    for row in standing.rows:
        place = standing.place(row)
        if place is not None and place != right and row.reason != CANCELLED_OUT:
            places[place].append(row)
    for patient_id, rows in places.items():
        waiting = [row for row in rows if row.leg is Leg.PAYMENT and row.reverses_id and row.state in ABSENT]
        there = _There(payment, standing, patient_id, [row for row in rows if row not in waiting], waiting)
        if there.cents > 0 or waiting:
            yield there


def _any(session: Session, link: PatientLink) -> bool:
    return any(there.entry for there in _elsewhere(session, link))


def _survey(session: Session, link: PatientLink, found: Sequence[_There]) -> Survey:
    standing = [there for there in found if there.cents > 0]
    former = select(PatientLink.id).where(
        PatientLink.member_id == link.member_id,
        PatientLink.ended_at.is_not(None),
        PatientLink.pms_patient_id != link.pms_patient_id,
    )
    query = (
        select(WriteBack)
        .where(WriteBack.member_id == link.member_id, WriteBack.state == S.RECORDED, WriteBack.leg == Leg.PAYMENT)
        .where(WriteBack.created_at <= link.linked_at, WriteBack.reason != CANCELLED_OUT, former.exists())
        .order_by(WriteBack.reference)
    )
    recorded = session.scalars(query)
    return Survey(
        link.pms_patient_id,
        [there.shown() for there in standing if there.entry],
        [there.shown() for there in standing if not there.entry],
        [Misplaced(row.source_id, row.entry_date, row.reference, "", row.amount) for row in recorded],
    )


def _move(session: Session, location: Location, link: PatientLink, found: Sequence[_There], now: datetime) -> None:
    moves: dict[str, EntryMove] = {}
    for there in found:
        for row in there.waiting:
            # Its reversal stays with the former patient, the money is entered with the right one.
            instead = {"reverses_id": None, "after_id": row.reverses_id, "pms_patient_id": link.pms_patient_id}
            amend(session.connection(), row, {**instead, "fence": row.fence + 1})
        # Marks are counted up for each payment: what stands with a third patient is moved in the next run.
        if there.cents > 0 and there.payment.id not in moves and (entry := there.entry):
            moves[there.payment.id] = _moved(session, location, link, there, entry, now)
    if moves:
        cents, patient_id = sum(move.amount_cents for move in moves.values()), link.pms_patient_id
        detail = {"patient_id": patient_id, "payments": len(moves), "cents": cents}
        actor = link.entries_follow_by or ""
        remember(session, link.member_id, "Entries Moved", now, location_id=location.id, actor=actor, **detail)
        log.info("entries.moved", member_id=link.member_id, actor=actor, moved=len(moves), cents=cents)


def _moved(
    session: Session, location: Location, link: PatientLink, there: _There, entry: WriteBack, now: datetime
) -> EntryMove:
    """One payment's move, dated today: the day of the payment may be closed in either book."""
    payment, today = there.payment, business_date(now, location.zone)
    move = EntryMove(
        id=ids.new_id("mov"),
        location_id=location.id,
        payment_id=payment.id,
        member_id=link.member_id,
        from_patient_id=there.patient_id,
        to_patient_id=link.pms_patient_id,
        amount_cents=there.cents,
        currency=entry.currency,
        business_date=today,
        actor=link.entries_follow_by or "",
        recorded_at=now,
    )
    session.add(move)
    session.flush()
    out = Order(
        location_id=location.id,
        member_id=link.member_id,
        source_id=move.id,
        leg=Leg.REVERSAL,
        reference=there.standing.next_reversal,
        amount=Money(there.cents, entry.currency),
        entry_date=today,
        payment_type=entry.payment_type,
        note=f"SmilePass {entry.reference} was entered with the wrong patient",
        reverses_id=entry.id,
    )
    (out_id,) = enqueue(session, [(out, there.patient_id)], now)
    back = replace(
        out,
        leg=Leg.PAYMENT,
        reference=undone_reference(out.reference),
        note=f"SmilePass payment of {payment.business_date:%d/%m/%Y}, entered with another patient before",
        prepayment=entry.prepayment,
        reverses_id=None,
        after_id=out_id,
    )
    enqueue(session, [(back, link.pms_patient_id)], now)
    return move
