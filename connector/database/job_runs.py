"""Periodic work is done once per period, whoever's ticker fires: each run first wins a unique row."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, Session, mapped_column

from connector.database.base import Base
from connector.database.inserts import insert_if_new


class JobRun(Base):
    """One execution of a job for one business period."""

    __tablename__ = "job_run"

    job: Mapped[str] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(primary_key=True)
    """The business period that the run is for, e.g. a location and a date."""
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


def win(session: Session, job: str, period: str, now: datetime) -> bool:
    """Take the right to run this job for this period; False when somebody had it before."""
    statement = insert_if_new(session, JobRun).values(job=job, period=period, started_at=now)
    return session.execute(statement.returning(JobRun.job)).first() is not None
