"""Which returns are final: nothing can happen any more to their money, so nobody need look at them again."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from connector.billing.activity import Activity, remember
from connector.billing.collecting.charges import ReturnedPayment, ReturnKind, UndoneReturn

AT_BANK = "bank:"
"""How the ids of returns begin that the practice, or its bank, has made; Stripe knows nothing of them."""
REFUNDS_FAIL_WITHIN = timedelta(days=35)
"""A refund can fail up to thirty days after it was made (Stripe: refunds)."""
_LOST = "Dispute Lost"


def remember_lost(session: Session, returned: ReturnedPayment, now: datetime) -> None:
    """Note in the history that a dispute is lost; once, however often it is heard."""
    heard = select(Activity.sequence).where(Activity.subject_id == returned.id, Activity.action == _LOST)
    if session.scalars(heard).first() is None:
        remember(session, returned.id, _LOST, now, location_id=returned.location_id, payment_id=returned.payment_id)


def is_final(known_until: datetime) -> ColumnElement[bool]:
    """Undone; a refund that could not fail any more when all news was last known; what Stripe knows nothing of."""
    undone = ReturnedPayment.id.in_(select(UndoneReturn.returned_payment_id))
    is_refund = ReturnedPayment.kind == ReturnKind.REFUND
    too_old = ReturnedPayment.returned_at < known_until - REFUNDS_FAIL_WITHIN
    return undone | (is_refund & too_old) | ReturnedPayment.processor_id.startswith(AT_BANK)


def is_lost() -> ColumnElement[bool]:
    """A dispute that was decided against the practice. An appeal may still reopen it, of which the news tells."""
    heard = select(Activity.subject_id).where(Activity.subject_id == ReturnedPayment.id, Activity.action == _LOST)
    return heard.exists()
