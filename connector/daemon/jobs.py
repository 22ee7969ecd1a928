"""The daemon's periodic work, one function a job. Each is safe to run at any time, twice, or not at all for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

import structlog
from sqlalchemy import func, select

from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment
from connector.billing.collecting.read_budget import MONTH_SECONDS, poll_seconds
from connector.clock import business_date
from connector.database.job_runs import win
from connector.messaging.mailer import Mailer
from connector.messaging.sms import SmsSender
from connector.reconciliation.models import DayClose
from connector.settings import DaemonSettings
from connector.use_cases.books.close_day import close_day
from connector.use_cases.books.link_members import link_members
from connector.use_cases.books.report_day import read_day_sheet, report_day
from connector.use_cases.books.work_write_backs import work_write_backs
from connector.use_cases.collection.read_news import read_news
from connector.use_cases.collection.run_due import run_due
from connector.use_cases.collection.sweep import sweep
from connector.use_cases.containment import contained
from connector.use_cases.context import Context
from connector.use_cases.messages.notice_ahead import notice_ahead
from connector.use_cases.messages.send_messages import failed_lately, send_messages

log = structlog.get_logger()

DAILY_TICK_SECONDS = 600
SWEEP_AFTER_HOUR = 14
"""UTC: the night of Australia, when nobody waits for anything else."""
MESSAGES_TICK_SECONDS = 60
CLOSE_ANYWAY_AFTER = timedelta(days=3)
"""A day whose other books cannot be read for so long is closed with the problem named in its report."""
DAYS_BACK = 31

T = TypeVar("T")
R = TypeVar("R")

Work = Callable[[Context, ThreadPoolExecutor], list[str]]
"""One job; returns the sentences of what is wrong outside, none when all is well."""


@dataclass(frozen=True, slots=True)
class Job:
    """A declared job: its name, how often it ticks, and whether write-backs are looked at right after it."""

    name: str
    work: Work
    interval_seconds: int
    wakes_write_backs: bool = False


def declared(settings: DaemonSettings, mailer: Mailer, sms: SmsSender) -> list[Job]:
    """All jobs of the daemon; `mailer` and `sms` hand its messages over."""
    return [
        Job("news", news, settings.event_interval_seconds, wakes_write_backs=True),
        Job("billing", billing, settings.billing_interval_seconds, wakes_write_backs=True),
        Job("matching", matching, settings.matching_interval_seconds, wakes_write_backs=True),
        Job("write_backs", write_backs, settings.write_back_interval_seconds),
        Job("messages", MessageSending(mailer, sms), MESSAGES_TICK_SECONDS),
        Job("notices", notices, DAILY_TICK_SECONDS),
        Job("sweep", sweeping, DAILY_TICK_SECONDS, wakes_write_backs=True),
        Job("day_sheets", day_sheets, DAILY_TICK_SECONDS),
        Job("day_close", DayClosing(settings.close_of_day_hour), DAILY_TICK_SECONDS),
    ]


def within_read_budget(settings: DaemonSettings, context: Context) -> DaemonSettings:
    """The same rhythm, with as much time between two looks for news as the payments of the last month ask for."""
    since = context.clock.now() - timedelta(seconds=MONTH_SECONDS)
    with context.database.read() as session:
        payments = session.scalar(select(func.count()).select_from(Payment).where(Payment.recorded_at >= since)) or 0
    seconds = poll_seconds(settings.event_interval_seconds, payments)
    if seconds > settings.event_interval_seconds:
        log.warning("news.less_often", wanted_seconds=settings.event_interval_seconds, seconds=seconds)
    return settings.model_copy(update={"event_interval_seconds": seconds})


def news(context: Context, _pool: ThreadPoolExecutor) -> list[str]:
    """Read Stripe's events and act on them."""
    return read_news(context).problems


@dataclass(frozen=True, slots=True)
class MessageSending:
    """Send the messages that are due, and name those that could not be sent."""

    mailer: Mailer
    sms: SmsSender

    def __call__(self, context: Context, _pool: ThreadPoolExecutor) -> list[str]:
        return send_messages(context, self.mailer, self.sms).problems + failed_lately(context)


def sweeping(context: Context, _pool: ThreadPoolExecutor) -> list[str]:
    """Compare with Stripe's own lists once a night, for what its news did not tell."""
    now = context.clock.now()
    if now.hour < SWEEP_AFTER_HOUR:
        return []
    with context.database.unit_of_work() as session:
        won = win(session, "sweep", f"{now:%Y-%m-%d}", now)
    if not won:
        return []
    report = sweep(context)
    missed = [f"Stripe's news did not tell of {what}: it is recorded now." for what in report.missed]
    return [*report.problems, *missed]


def notices(context: Context, _pool: ThreadPoolExecutor) -> list[str]:
    """Announce what comes, once a day at each location."""
    problems: list[str] = []
    now = context.clock.now()
    for location in context.locations():
        with context.database.unit_of_work() as session:
            won = win(session, "notices", f"{location.id}:{business_date(now, location.zone)}", now)
        if won:
            with contained(location, problems.append):
                notice_ahead(context, location)
    return problems


def billing(context: Context, pool: ThreadPoolExecutor) -> list[str]:
    """Issue and collect what is due."""
    return run_due(context, mapper=lambda work, items: _in_pool(pool, work, items)).problems


def matching(context: Context, _pool: ThreadPoolExecutor) -> list[str]:
    """Look for the patients of new members."""
    problems: list[str] = []
    for location in context.locations():
        with contained(location, problems.append):
            if problem := link_members(context, location).problem:
                problems.append(problem)
    return problems


def write_backs(context: Context, pool: ThreadPoolExecutor) -> list[str]:
    """Send and settle what is due at the practice systems."""
    tallies = work_write_backs(context, mapper=lambda work, items: _in_pool(pool, work, items))
    return [tally.problem for tally in tallies.values() if tally.problem]


def day_sheets(context: Context, _pool: ThreadPoolExecutor) -> list[str]:
    """Read today's day sheet of each location once an hour, so that a day can be compared during an outage."""
    problems: list[str] = []
    now = context.clock.now()
    for location in context.locations():
        with context.database.unit_of_work() as session:
            won = win(session, "day_sheet", f"{location.id}:{now:%Y-%m-%dT%H}", now)
        if won:
            with contained(location, problems.append):
                read_day_sheet(context, location, business_date(now, location.zone))
    return problems


@dataclass(frozen=True, slots=True)
class DayClosing:
    """Close every day that is over and has not been closed, oldest first."""

    hour: int

    def __call__(self, context: Context, _pool: ThreadPoolExecutor) -> list[str]:
        problems: list[str] = []
        for location in context.locations():
            with contained(location, problems.append):
                for day in _open_days(context, location, self.hour):
                    problems += _close(context, location, day)
        return problems


def _close(context: Context, location: Location, day: date) -> list[str]:
    report = report_day(context, location, day)
    today = business_date(context.clock.now(), location.zone)
    if report.problems and today - day < CLOSE_ANYWAY_AFTER:
        return list(report.problems)
    with context.database.unit_of_work() as session:
        won = win(session, "day_close", f"{location.id}:{day.isoformat()}", context.clock.now())
    if won:
        close_day(context, location, day)
    return []


def _open_days(context: Context, location: Location, hour: int) -> list[date]:
    """Days since the first payment that are over and not closed, at most a month back."""
    local = context.clock.now().astimezone(location.zone)
    newest = local.date() - timedelta(days=1 if local.hour >= hour else 2)
    with context.database.read() as session:
        first = session.scalar(select(func.min(Payment.business_date)).where(Payment.location_id == location.id))
        closed = set(session.scalars(select(DayClose.business_date).where(DayClose.location_id == location.id)))
    if first is None:
        return []
    start = max(first, newest - timedelta(days=DAYS_BACK))
    days = [start + timedelta(days=offset) for offset in range((newest - start).days + 1)]
    return [day for day in days if day not in closed]


def _in_pool(pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """The pool's map; a pool that closes turns calls away, which is no fault of any location."""
    try:
        return pool.map(work, items)
    except RuntimeError:
        raise CancelledError from None
