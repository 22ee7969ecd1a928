"""What a return means for the practice system: one reversal for each person whose ledger shows the payment.

A reversal that is taken back later is followed by a payment entry once more.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from connector.billing.collecting.charges import Payment, ReturnedPayment, UndoneReturn
from connector.billing.prices.shares import apportion
from connector.database.sums import sum_of
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.queue import Order, step
from connector.ledger.write_back.reference import undone_reference
from connector.ledger.write_back.states import WriteBackState
from connector.money import Money
from connector.use_cases.books.payment_orders import live_patient
from connector.use_cases.returns.standing import CANCELLED_OUT, Standing, standings

WithPatient = tuple[Order, str | None]


def reversals(session: Session, payment: Payment, returned: ReturnedPayment) -> list[WithPatient]:
    """What each person's ledger gives back, in proportion to what is still there. A whole return takes all of it."""
    standing = standings(session, payment)
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
    fetched all of it. Each waits until its reversal is proven to be there, and goes where that one went; where the
    payment was moved to another patient since, to that one.
    """
    rows = session.scalars(
        select(WriteBack)
        .where(WriteBack.source_id == returned.id, WriteBack.leg == Leg.REVERSAL)
        .order_by(WriteBack.reference)
    ).all()
    people = standings(session, payment)
    there = sum(person.left for person in people)
    room = max(0, _left_before(session, payment, None) - there)
    parts = apportion(min(room, _sum(rows)), [row.amount_cents for row in rows]) if rows else []
    whose = {person.original.member_id: person for person in people}
    return [
        _restoration(session, whose[row.member_id], row, undone, cents)
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


def _reversal(person: Standing, returned: ReturnedPayment, cents: int) -> WithPatient:
    original, entry = person.original, person.entry_over(cents)
    order = Order(
        location_id=original.location_id,
        member_id=original.member_id,
        source_id=returned.id,
        leg=Leg.REVERSAL,
        reference=person.next_reversal,
        amount=Money(cents, returned.currency),
        entry_date=returned.business_date,
        payment_type=original.payment_type,
        note=f"SmilePass {returned.kind} of {original.reference}",
        reverses_id=entry.id,
    )
    return order, person.place(entry)


def _restoration(session: Session, person: Standing, row: WriteBack, undone: UndoneReturn, cents: int) -> WithPatient:
    moved = person.moved_since(row)
    order = Order(
        location_id=row.location_id,
        member_id=row.member_id,
        source_id=undone.id,
        leg=Leg.PAYMENT,
        reference=undone_reference(row.reference),
        amount=Money(cents, row.currency),
        entry_date=undone.business_date,
        payment_type=row.payment_type,
        note=f"SmilePass return {row.reference} undone",
        prepayment=person.original.prepayment,
        reverses_id=None if moved else row.id,
        after_id=row.id if moved else None,
    )
    return order, live_patient(session, row.member_id) if moved else person.place(row)


def _sum(rows: Iterable[WriteBack]) -> int:
    return sum(row.amount_cents for row in rows)
