"""What was done since an instant, as one list: invoices, charges, retries, messages and write-backs, by local day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.collecting.charges import Charge, ChargeAttempt, Origin
from connector.billing.invoices import Invoice
from connector.clock import business_date
from connector.ledger.write_back.models import WriteBack, WriteBackStep
from connector.ledger.write_back.states import WriteBackState
from connector.messaging.models import Message, MessageState


class ActionKind(StrEnum):
    """What a day's work consists of, in the order in which it is done."""

    INVOICE = "invoice"
    CHARGE = "charge"
    RETRY = "retry"
    WRITE_BACK = "write-back"
    MESSAGE = "message"


_RETRIES = (Origin.RETRY, Origin.TECHNICAL, Origin.METHOD)
"""What the connector tries again by itself. A payer's own try, or one that staff have asked for, is a charge."""


@dataclass(frozen=True, slots=True, order=True)
class Action:
    """One thing that is done, named so that the same thing has the same name in a rehearsal and in reality."""

    on: date
    location: str
    kind: ActionKind
    member_id: str
    subject: str
    """The invoice's number, or what the message is."""
    cents: int


def actions_since(session: Session, instant: datetime) -> list[Action]:
    """Everything that was done at or after the instant, sorted."""
    locations = {location.id: location for location in session.scalars(select(Location))}

    def action(
        kind: ActionKind, location_id: str, at: datetime | None, member_id: str, subject: str, cents: int
    ) -> Action:
        location = locations[location_id]
        return Action(business_date(at or instant, location.zone), location.slug, kind, member_id, subject, cents)

    found = [
        action(
            ActionKind.INVOICE,
            row.location_id,
            row.issued_at,
            row.member_id,
            f"{row.number} due {row.due_date}",
            row.amount_cents,
        )
        for row in session.scalars(select(Invoice).where(Invoice.issued_at >= instant))
    ]
    attempts = (
        select(ChargeAttempt, Charge, Invoice)
        .join(Charge, Charge.id == ChargeAttempt.charge_id)
        .join(Invoice, Invoice.id == Charge.invoice_id)
        .where(ChargeAttempt.sent_at >= instant)
    )
    for attempt, charge, invoice in session.execute(attempts):
        kind = ActionKind.RETRY if attempt.origin in _RETRIES else ActionKind.CHARGE
        found.append(
            action(
                kind, charge.location_id, attempt.sent_at, invoice.member_id, str(invoice.number), charge.amount_cents
            )
        )
    written = (
        select(WriteBack, WriteBackStep.at)
        .join(WriteBackStep, WriteBackStep.write_back_id == WriteBack.id)
        .where(WriteBackStep.after == WriteBackState.SENDING, WriteBackStep.at >= instant)
    )
    for row, at in session.execute(written):
        subject = f"{row.leg} dated {row.entry_date}"
        found.append(action(ActionKind.WRITE_BACK, row.location_id, at, row.member_id, subject, row.amount_cents))
    sent = select(Message).where(Message.state == MessageState.SENT, Message.sent_at >= instant)
    for message in session.scalars(sent):
        who = message.member_id or message.staff_user_id or "the practice"
        subject = f"{message.kind} by {message.channel}"
        found.append(action(ActionKind.MESSAGE, message.location_id, message.sent_at, who, subject, 0))
    return sorted(found)
