"""Tell the practice's staff what a person has to clear up, in the caller's unit of work.

Unpaid invoices are one message for a location and day; each payment that nobody owed is a message of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.invoices import Invoice
from connector.clock import business_date, day_bounds
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message, MessageState
from connector.use_cases.messages.queue_message import queue_message

_KIND = MessageKind.OVERDUE_STAFF_NOTICE


def tell_staff(session: Session, location: Location, invoice_ids: Collection[str], now: datetime) -> None:
    """Name these invoices in the next notice to staff, once each."""
    if not invoice_ids:
        return
    waiting = session.scalar(
        select(Message)
        .where(Message.subject_id == location.id, Message.kind == _KIND, Message.state == MessageState.QUEUED)
        .order_by(Message.created_at)
        .with_for_update()
    )
    if waiting is not None:
        known = waiting.detail["invoice_ids"].split()
        waiting.detail = {"invoice_ids": " ".join(dict.fromkeys([*known, *invoice_ids]))}
        session.flush()
        return
    today = business_date(now, location.zone)
    on = today if _is_free(session, location, today) else today + timedelta(days=1)
    # Today's notice has gone out already: what came up since is told tomorrow.
    earliest = max(now, day_bounds(on, location.zone)[0])
    queue_message(
        session,
        location,
        _KIND,
        location.id,
        on.isoformat(),
        earliest,
        invoice_ids=" ".join(dict.fromkeys(invoice_ids)),
    )


def tell_surplus(session: Session, location: Location, invoice: Invoice, payment_id: str, now: datetime) -> None:
    """Money of this payment is here, though the invoice is void or paid in another way: somebody decides about it."""
    queue_message(session, location, MessageKind.KEPT_TOO_MUCH, invoice.id, payment_id, now)


def _is_free(session: Session, location: Location, day: date) -> bool:
    """Whether no notice of that day exists: the key of a message is its kind, subject, occasion and channel."""
    key = Message.reason_key.startswith(f"{_KIND}:{location.id}:{day.isoformat()}:", autoescape=True)
    return session.scalar(select(Message.id).where(key)) is None
