"""Which day money belongs to: the day on which it became final, unless that day is closed already."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.members import MethodKind
from connector.clock import business_date
from connector.reconciliation.models import DayClose


def day_of_money(session: Session, location: Location, kind: MethodKind, at: datetime, now: datetime) -> date:
    """The business date under which money is recorded and written.

    Stripe dates a bank debit by its submission, days before it is final, so a debit belongs to the day on which we
    learn its result. What is learnt after its day was closed goes into the present day: closed reports never change.
    """
    if kind is not MethodKind.CARD:
        return business_date(now, location.zone)
    return unless_closed(session, location, business_date(at, location.zone), now)


def unless_closed(session: Session, location: Location, day: date, now: datetime) -> date:
    """The day itself, which is known, or today when it is closed already: closed reports never change."""
    closed = select(DayClose.id).where(DayClose.location_id == location.id, DayClose.business_date == day)
    return business_date(now, location.zone) if session.scalar(closed) else day
