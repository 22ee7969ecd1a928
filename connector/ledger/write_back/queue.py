"""The queue: how rows get in, and how they go from state to state. Every step leaves a row of history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import Connection, Table, bindparam, insert, select, update
from sqlalchemy.orm import Session

from connector import ids
from connector.errors import DomainError
from connector.ledger.write_back.models import Leg, WriteBack, WriteBackStep
from connector.ledger.write_back.outcome import Change
from connector.ledger.write_back.states import ABSENT, STEPS, WAITING, WriteBackState, check_step
from connector.money import Money

CONNECTOR = "connector"
"""The actor of steps that no person took."""
POSTED_BY_PERSON = "Posted by a person."
"""Why such a row is queued: the person answers for where it goes."""

S = WriteBackState

# Built once and on the tables themselves: the mapper would triple what a step costs.
_ROWS = cast("Table", WriteBack.__table__)
_AMEND = update(_ROWS).where(
    _ROWS.c.id == bindparam("read_id"),
    _ROWS.c.state == bindparam("read_state"),
    _ROWS.c.fence == bindparam("read_fence"),
)
_REMEMBER = insert(cast("Table", WriteBackStep.__table__))


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be written for one person, once."""

    location_id: str
    member_id: str
    source_id: str
    leg: Leg
    reference: str
    amount: Money
    entry_date: date
    payment_type: str
    note: str
    automatic: bool = True
    prepayment: bool = True
    reverses_id: str | None = None
    after_id: str | None = None


def enqueue(session: Session, orders: Iterable[tuple[Order, str | None]], now: datetime) -> list[str]:
    """Add orders, each with the linked patient's id or None; returns the ids of the rows.

    A second row for a source and leg is refused.
    """
    rows = [_row(order, patient_id, now) for order, patient_id in orders]
    if rows:
        session.execute(insert(WriteBack), rows)
        session.execute(insert(WriteBackStep), [history(row["id"], None, row["state"], now) for row in rows])
    return [row["id"] for row in rows]


def _row(order: Order, patient_id: str | None, now: datetime) -> dict[str, Any]:
    return {
        "id": ids.new_id("wb"),
        "location_id": order.location_id,
        "member_id": order.member_id,
        "source_id": order.source_id,
        "leg": order.leg,
        "reverses_id": order.reverses_id,
        "after_id": order.after_id,
        "reference": order.reference,
        "amount_cents": order.amount.cents,
        "currency": order.amount.currency,
        "entry_date": order.entry_date,
        "payment_type": order.payment_type,
        "note": order.note,
        "automatic": order.automatic,
        "prepayment": order.prepayment,
        # What takes an entry back waits for that one instead of a link, and goes where it went.
        "state": S.QUEUED if order.reverses_id else _entry_state(order.automatic, patient_id),
        "pms_patient_id": patient_id,
        "next_attempt_at": now,
        "created_at": now,
    }


def _entry_state(automatic: bool, patient_id: str | None) -> WriteBackState:
    if patient_id is None:
        return S.UNLINKED
    return S.QUEUED if automatic else S.READY


def history(
    write_back_id: str,
    before: WriteBackState | None,
    after: WriteBackState,
    now: datetime,
    actor: str = CONNECTOR,
    reason: str | None = None,
) -> dict[str, Any]:
    """One row of WriteBackStep."""
    return {
        "write_back_id": write_back_id,
        "at": now,
        "before": before,
        "after": after,
        "actor": actor,
        "reason": reason,
    }


def step(
    session: Session,
    row: WriteBack,
    after: WriteBackState,
    now: datetime,
    *,
    actor: str = CONNECTOR,
    reason: str | None = None,
    **changes: Any,
) -> bool:
    """Move a row, provided that nobody has moved it since it was read; tells whether it was moved.

    The state and the fence that were read must still be there, so an outcome of a lost lease changes nothing.
    """
    check_step(row.state, after)
    connection = session.connection()
    if not amend(connection, row, {"state": after, "reason": reason, **changes}):
        return False
    connection.execute(_REMEMBER, history(row.id, row.state, after, now, actor, reason))
    return True


def keep(session: Session, changes: Iterable[Change], now: datetime) -> list[Change]:
    """Make those changes whose rows are still as they were read; returns those that moved a row to another state."""
    connection = session.connection()
    moved = []
    for change in changes:
        row, after = change.row, change.after
        if after is None:
            amend(connection, row, change.columns)
            continue
        check_step(row.state, after)
        if amend(connection, row, {"state": after, "reason": change.reason, **change.columns}):
            moved.append(change)
    if steps := [history(one.row.id, one.row.state, one.after, now, reason=one.reason) for one in moved if one.after]:
        connection.execute(_REMEMBER, steps)
    return moved


def amend(connection: Connection, row: WriteBack, values: dict[str, Any]) -> bool:
    """Set columns of a row that is still as it was read; tells whether it was."""
    as_read = {"read_id": row.id, "read_state": row.state, "read_fence": row.fence}
    return connection.execute(_AMEND, {**as_read, **values}).rowcount == 1


def assign_patient(session: Session, member_id: str, patient_id: str | None, now: datetime, actor: str) -> int:
    """Follow a new link of a member, or its end (None). Returns how many rows changed their state.

    Rows that are surely not in the practice system wait for the new link or go out; one that may be there already keeps
    its state, is still looked for where it was sent, and goes to the new patient only when it proves to be absent. What
    takes a reversal back goes where that one went, whoever is linked.
    """
    followers = (*WAITING, S.RECORDED)
    rows = session.scalars(
        select(WriteBack).where(
            WriteBack.member_id == member_id,
            WriteBack.leg == Leg.PAYMENT,
            WriteBack.reverses_id.is_(None),
            WriteBack.state.in_(followers),
        )
    ).all()
    moved = 0
    for row in rows:
        # A worker that read the row before must not claim it for the former patient. Of a row that is being sent, the
        # claim stays valid: its outcome belongs to where it was sent.
        fence = row.fence + (row.state in ABSENT)
        after = _entry_state(row.automatic, patient_id) if row.state in ABSENT else row.state
        if after is row.state or (row.state is S.REJECTED and patient_id is not None):
            row.pms_patient_id, row.fence = patient_id, fence
        else:
            changes: dict[str, Any] = {"pms_patient_id": patient_id, "fence": fence, "next_attempt_at": now}
            moved += step(session, row, after, now, actor=actor, **changes)
    return moved


def find(session: Session, write_back_id: str) -> WriteBack:
    """The row of that id or reference. Raises DomainError when there is none."""
    row = session.scalar(
        select(WriteBack).where((WriteBack.id == write_back_id) | (WriteBack.reference == write_back_id))
    )
    if row is None:
        raise DomainError(
            f"There is no write-back {write_back_id!r}: see `connector write-backs list --location SLUG`."
        )
    return row


def post_by_person(session: Session, write_back_id: str, now: datetime, actor: str) -> None:
    """Send a row that waits for a person: ready, rejected, or held after looking. Raises DomainError otherwise.

    The person answers for like entries without our reference; one with our reference is still found, and not repeated.
    """
    row = find(session, write_back_id)
    if row.state not in (S.READY, S.REJECTED, S.HELD):
        raise DomainError(
            f"The write-back {row.id} is {row.state}: only ready, rejected or held ones can be posted by hand."
        )
    if row.leg is Leg.PAYMENT and row.pms_patient_id is None:
        raise DomainError(f"The member of the write-back {row.id} is not linked to a patient: link the member first.")
    step(
        session,
        row,
        S.QUEUED,
        now,
        actor=actor,
        reason=POSTED_BY_PERSON,
        next_attempt_at=now,
        baseline=None,
        looks=0,
        failed_looks=0,
    )


def mark_recorded(session: Session, write_back_id: str, now: datetime, actor: str) -> None:
    """Note that a person typed the amount into the practice system. Raises DomainError when it may be there already."""
    row = find(session, write_back_id)
    if S.RECORDED not in STEPS[row.state]:
        raise DomainError(f"The write-back {row.id} is {row.state}: it cannot be marked as recorded.")
    step(session, row, S.RECORDED, now, actor=actor, reason="Marked as recorded by a person.")


def undo_recorded(session: Session, write_back_id: str, now: datetime, actor: str) -> None:
    """Take back Mark Recorded; the row waits for a person again."""
    row = find(session, write_back_id)
    if row.state is not S.RECORDED:
        raise DomainError(f"The write-back {row.id} is {row.state}, not recorded: there is nothing to undo.")
    after = S.READY if row.pms_patient_id or row.leg is Leg.REVERSAL else S.UNLINKED
    step(session, row, after, now, actor=actor, reason="Mark Recorded was undone.")


def listed(session: Session, location_id: str, states: Iterable[WriteBackState], limit: int) -> list[WriteBack]:
    """Rows of the location in these states, oldest first."""
    query = (
        select(WriteBack)
        .where(WriteBack.location_id == location_id, WriteBack.state.in_(list(states)))
        .order_by(WriteBack.created_at, WriteBack.id)
        .limit(limit)
    )
    return list(session.scalars(query))


def steps(session: Session, write_back_id: str) -> list[WriteBackStep]:
    """Every step of a row, in order."""
    query = select(WriteBackStep).where(WriteBackStep.write_back_id == write_back_id).order_by(WriteBackStep.sequence)
    return list(session.scalars(query))
