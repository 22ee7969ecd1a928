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
    today = business_date(now, location.zone)
    if kind is not MethodKind.CARD:
        return today
    day = business_date(at, location.zone)
    closed = select(DayClose.id).where(DayClose.location_id == location.id, DayClose.business_date == day)
    return today if session.scalar(closed) else day
