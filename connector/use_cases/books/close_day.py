"""Close a day: compare it once more and keep the report, numbered and unchangeable."""

from __future__ import annotations

from datetime import date

import structlog
from sqlalchemy import func, select

from connector import ids
from connector.billing.clinics import Location
from connector.errors import DomainError
from connector.reconciliation.models import DayClose
from connector.reconciliation.report import DayReport
from connector.use_cases.books.report_day import report_day
from connector.use_cases.context import Context
from connector.use_cases.continuity.require_current import require_current

log = structlog.get_logger()


def close_day(context: Context, location: Location, day: date) -> DayReport:
    """Store the day's report. Raises DomainError when the day is not over or closed already, and EdgeError."""
    require_current(context)
    report = report_day(context, location, day)
    if not report.day_is_over:
        raise DomainError(f"The {day} is not over yet at {location.slug!r}: close it tomorrow.")
    with context.database.unit_of_work() as session:
        if session.scalar(
            select(DayClose.id).where(DayClose.location_id == location.id, DayClose.business_date == day)
        ):
            raise DomainError(
                f"The {day} at {location.slug!r} is closed already: "
                f"see `connector report day {day} --location {location.slug}`."
            )
        last = session.scalar(select(func.max(DayClose.number)).where(DayClose.location_id == location.id)) or 0
        session.add(
            DayClose(
                id=ids.new_id("day"),
                location_id=location.id,
                business_date=day,
                number=last + 1,
                closed_at=context.clock.now(),
                report=report.as_json(),
            )
        )
    log.info("day.closed", location_id=location.id, date=day.isoformat(), unexplained_cents=report.unexplained_cents)
    return report
