"""What stands of a payment in the practice system, for each person whom it was for.

A ledger may show the payment, its reversal, the payment again, and another reversal; each takes back exactly one entry
before it. Where the payment was entered with the wrong patient, all that stands there is moved at once: a reversal with
that patient and an entry with the right one, which from then on is what is taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.collecting.charges import Payment, ReturnedPayment, UndoneReturn
from connector.ledger.write_back.models import EntryMove, Leg, WriteBack
from connector.ledger.write_back.reference import reversal_reference, undone_reference
from connector.ledger.write_back.states import ABSENT, WriteBackState

CANCELLED_OUT = "The money came again before the reversal was entered: the two cancel out, so enter neither."
"""Why a reversal that was refused, and what was to take it back, are closed. Neither stands in the practice system."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The entries of one payment for one person, each kind in the order in which they were made."""

    original: WriteBack
    reversed: Sequence[WriteBack]
    restored: Sequence[WriteBack]
    moved: Sequence[WriteBack]
    """Entries with the right patient of what had stood with another one."""

    @property
    def left(self) -> int:
        """Cents that the entries together still say, in whoever's ledger."""
        return sum(row.signed.cents for row in self.rows)

    @property
    def rows(self) -> Sequence[WriteBack]:
        """All of them."""
        return [self.original, *self.reversed, *self.restored, *self.moved]

    @property
    def base(self) -> WriteBack:
        """The entry that says all that stood when it was made: the last one that was moved, else the payment's own."""
        return self.moved[-1] if self.moved else self.original

    @property
    def next_reversal(self) -> str:
        """The mark of the next entry that takes something back."""
        return reversal_reference(self.original.reference, len(self.reversed) + 1)

    def place(self, row: WriteBack) -> str | None:
        """The patient in whose ledger the row stands, may stand, or will stand; None as long as nobody is linked."""
        surely_not_ours = row.state in ABSENT or row.state is WriteBackState.RECORDED
        if row.sent_to_patient_id and not surely_not_ours:
            return row.sent_to_patient_id
        if row.reverses_id:
            return self.place(next(other for other in self.rows if other.id == row.reverses_id))
        return row.pms_patient_id

    def entry_over(self, cents: int) -> WriteBack:
        """The entry that a reversal of so much takes back: a restored one of just that amount, else the base."""
        taken = {row.reverses_id for row in self.reversed}
        there = [
            row for row in self.restored if row.reason != CANCELLED_OUT and self.place(row) == self.place(self.base)
        ]
        whole = [row for row in there if row.amount_cents == cents and row.id not in taken]
        return whole[-1] if whole else self.base

    def moved_since(self, reversal: WriteBack) -> bool:
        """Whether the payment stands with another patient by now than the one from whom this was taken."""
        return bool(self.moved) and _in_order(self.base) > _order(undone_reference(reversal.reference))


def standings(session: Session, payment: Payment) -> list[Standing]:
    """Of each person whom the payment was for, in the order of the invoice."""
    returns = select(ReturnedPayment.id).where(ReturnedPayment.payment_id == payment.id)
    undone = select(UndoneReturn.id).where(UndoneReturn.returned_payment_id.in_(returns))
    moves = select(EntryMove.id).where(EntryMove.payment_id == payment.id)
    of_payment = WriteBack.source_id == payment.id
    sources = of_payment | WriteBack.source_id.in_(returns.union_all(undone, moves).scalar_subquery())
    rows = sorted(session.scalars(select(WriteBack).where(sources)), key=_in_order)
    moved = set(session.scalars(moves))
    return [
        Standing(
            original,
            [row for row in rows if row.member_id == original.member_id and row.leg is Leg.REVERSAL],
            [row for row in _again(rows, original) if row.source_id not in moved],
            [row for row in _again(rows, original) if row.source_id in moved],
        )
        for original in rows
        if original.source_id == payment.id
    ]


def _again(rows: Iterable[WriteBack], original: WriteBack) -> list[WriteBack]:
    """Entries of the same money after the first one."""
    mine = (row for row in rows if row.member_id == original.member_id and row.leg is Leg.PAYMENT)
    return [row for row in mine if row.id != original.id]


def _in_order(row: WriteBack) -> tuple[int, str]:
    return _order(row.reference)


def _order(reference: str) -> tuple[int, str]:
    """The marks of a person count up, whatever our clock said when they were made; U9 comes before U10."""
    return len(reference), reference
