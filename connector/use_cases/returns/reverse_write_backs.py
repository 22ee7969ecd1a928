"""What a return means for the practice system: one reversal for each person whose ledger shows the payment.

A reversal that is taken back later is followed by a payment entry once more, so a person's ledger may show a payment,
its reversal, the payment again, and another reversal; each takes back exactly one entry before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from connector.billing.collecting.charges import Payment, ReturnedPayment, UndoneReturn
from connector.billing.prices.shares import apportion
from connector.database.sums import sum_of
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.queue import Order, step
from connector.ledger.write_back.reference import reversal_reference, undone_reference
from connector.ledger.write_back.states import WriteBackState
from connector.money import Money

WithPatient = tuple[Order, str | None]

CANCELLED_OUT = "The money came again before the reversal was entered: the two cancel out, so enter neither."
"""Why a reversal that was refused, and what was to take it back, are closed. Neither stands in the practice system."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """The entries of one payment in the ledger of one person, oldest first."""

    original: WriteBack
    reversed: Sequence[WriteBack]
    restored: Sequence[WriteBack]

    @property
    def left(self) -> int:
        """Cents that the entries together still say."""
        return self.original.amount_cents - _sum(self.reversed) + _sum(self.restored)

    def entry_over(self, cents: int) -> WriteBack:
        """The entry that a reversal of so much takes back: a restored one of just that amount, else the original."""
        taken = {row.reverses_id for row in self.reversed}
        there = [row for row in self.restored if row.reason != CANCELLED_OUT]
        whole = [row for row in there if row.amount_cents == cents and row.id not in taken]
        return whole[-1] if whole else self.original


def reversals(session: Session, payment: Payment, returned: ReturnedPayment) -> list[WithPatient]:
    """What each person's ledger gives back, in proportion to what is still there. A whole return takes all of it."""
    standing = _standing(session, payment)
    left = [person.left for person in standing]
    # A fee that the patient bore is not in any ledger; its part of the return is not taken back from one.
    fee = max(0, _left_before(session, payment, returned) - sum(left))
    parts = apportion(min(returned.amount_cents, sum(left) + fee), [*left, fee])[: len(left)]
    return [_reversal(person, returned, cents) for person, cents in zip(standing, parts, strict=True) if cents]


def restorations(
    session: Session, payment: Payment, returned: ReturnedPayment, undone: UndoneReturn
) -> list[WithPatient]:
    """The reversals of the return taken back: each amount stands in the person's ledger once more.

    No ledgers together say more than what is kept of the payment, e.g. where a refund fails after the payer's bank had
    fetched all of it. Each points to its reversal, so it waits until that is proven to be there, and goes where that
    one went.
    """
    rows = session.scalars(
        select(WriteBack)
        .where(WriteBack.source_id == returned.id, WriteBack.leg == Leg.REVERSAL)
        .order_by(WriteBack.reference)
    ).all()
    there = sum(person.left for person in _standing(session, payment))
    room = max(0, _left_before(session, payment, None) - there)
    parts = apportion(min(room, _sum(rows)), [row.amount_cents for row in rows]) if rows else []
    return [
        (_restoration(row, undone, cents), row.sent_to_patient_id or row.pms_patient_id)
        for row, cents in zip(rows, parts, strict=True)
        if cents
    ]


def cancel_out(session: Session, now: datetime) -> None:
    """Close each reversal that the practice system refused, together with what is to take it back and waits for it."""
    again = aliased(WriteBack)
    pairs = (
        select(WriteBack, again)
        .join(again, again.reverses_id == WriteBack.id)
        .where(WriteBack.leg == Leg.REVERSAL, WriteBack.state == WriteBackState.REJECTED)
        .where(again.state == WriteBackState.QUEUED, again.amount_cents == WriteBack.amount_cents)
    )
    for refused, restoration in session.execute(pairs).all():
        if step(session, refused, WriteBackState.RECORDED, now, reason=CANCELLED_OUT):
            step(session, restoration, WriteBackState.RECORDED, now, reason=CANCELLED_OUT)


def _left_before(session: Session, payment: Payment, returned: ReturnedPayment | None) -> int:
    """Cents of the payment that no return has taken, apart from this one."""
    others = select(ReturnedPayment.id).where(ReturnedPayment.payment_id == payment.id)
    if returned is not None:
        others = others.where(ReturnedPayment.id != returned.id)
    gone = sum_of(session, ReturnedPayment.amount_cents, ReturnedPayment.id.in_(others))
    back = sum_of(session, UndoneReturn.amount_cents, UndoneReturn.returned_payment_id.in_(others))
    return payment.amount_cents - gone + back


def _standing(session: Session, payment: Payment) -> list[_Standing]:
    returns = select(ReturnedPayment.id).where(ReturnedPayment.payment_id == payment.id)
    undone = select(UndoneReturn.id).where(UndoneReturn.returned_payment_id.in_(returns))
    sources = (WriteBack.source_id == payment.id) | WriteBack.source_id.in_(returns) | WriteBack.source_id.in_(undone)
    rows = session.scalars(select(WriteBack).where(sources).order_by(WriteBack.created_at, WriteBack.reference)).all()
    return [
        _Standing(
            original,
            [row for row in rows if row.member_id == original.member_id and row.leg is Leg.REVERSAL],
            [row for row in rows if row.member_id == original.member_id and row.leg is Leg.PAYMENT and row.reverses_id],
        )
        for original in sorted(rows, key=lambda row: row.reference)
        if original.source_id == payment.id
    ]


def _reversal(person: _Standing, returned: ReturnedPayment, cents: int) -> WithPatient:
    original, entry = person.original, person.entry_over(cents)
    order = Order(
        location_id=original.location_id,
        member_id=original.member_id,
        source_id=returned.id,
        leg=Leg.REVERSAL,
        reference=reversal_reference(original.reference, len(person.reversed) + 1),
        amount=Money(cents, returned.currency),
        entry_date=returned.business_date,
        payment_type=original.payment_type,
        note=f"SmilePass {returned.kind} of {original.reference}",
        reverses_id=entry.id,
    )
    return order, entry.sent_to_patient_id or entry.pms_patient_id


def _restoration(row: WriteBack, undone: UndoneReturn, cents: int) -> Order:
    return Order(
        location_id=row.location_id,
        member_id=row.member_id,
        source_id=undone.id,
        leg=Leg.PAYMENT,
        reference=undone_reference(row.reference),
        amount=Money(cents, row.currency),
        entry_date=undone.business_date,
        payment_type=row.payment_type,
        note=f"SmilePass return {row.reference} undone",
        reverses_id=row.id,
    )


def _sum(rows: Iterable[WriteBack]) -> int:
    return sum(row.amount_cents for row in rows)
