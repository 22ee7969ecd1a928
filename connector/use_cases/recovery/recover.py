"""Begin and end the recovery of an unpaid invoice, in the caller's unit of work. `work_recoveries` makes its steps."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.collecting.recovery import Recovery
from connector.billing.links import LinkKind, end


def begin_recovery(session: Session, location: Location, invoice_id: str, today: date) -> None:
    """The invoice was not paid when due: the steps count from today. One that is under way, or was, goes on."""
    recovery = session.get(Recovery, invoice_id)
    if recovery is None:
        session.add(Recovery(invoice_id=invoice_id, location_id=location.id, started_on=today, next_on=today))
    elif recovery.ended_at is None:
        # Each failure may change what makes sense next.
        recovery.next_on = today
    elif recovery.ended_because == PAID:
        # Paid, and then returned: what is owed again is asked for again from the beginning.
        recovery.started_on, recovery.next_on = today, today
        recovery.step, recovery.shifted_days, recovery.done_on = 0, 0, None
        recovery.ended_at, recovery.ended_because = None, None


def end_recovery(session: Session, invoice_id: str, because: str, now: datetime) -> None:
    """Nothing is owed any more, or a person takes over: no step follows, and the links of the invoice are dead."""
    session.execute(
        update(Recovery)
        .where(Recovery.invoice_id == invoice_id, Recovery.ended_at.is_(None))
        .values(ended_at=now, ended_because=because, next_on=None)
        .execution_options(synchronize_session="fetch")
    )
    for kind in (LinkKind.OVERDUE, LinkKind.INVOICE):
        end(session, kind, invoice_id, because, now)


def left_to_a_person() -> Select[str]:
    """Ids of the invoices that nothing may collect by itself: their payers had the money fetched back."""
    return select(Recovery.invoice_id).where(Recovery.ended_because == DISPUTED)


PAID = "paid"
FINISHED = "finished"
"""All steps were made without success."""
DISPUTED = "disputed"
"""Whoever had the money fetched back is spoken to by a person, and not debited again."""
