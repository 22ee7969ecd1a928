"""What the daemon tells about itself: `/healthz` for a person or a supervisor, `/metrics` for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.clock import Clock
from connector.database.engine import Database
from connector.database.sums import summed
from connector.errors import ConnectorError
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.states import WAITING

LATE_FACTOR = 5
"""A job is late when it has not succeeded for so many of its intervals, and at least GRACE."""
GRACE = timedelta(minutes=2)


@dataclass
class JobHealth:
    """When a job last succeeded, and what was wrong the last time it did not."""

    interval: timedelta
    last_success: datetime
    problems: list[str] = field(default_factory=list)

    def late(self, now: datetime) -> bool:
        return now - self.last_success > max(self.interval * LATE_FACTOR, GRACE)


class Health:
    """Collects the outcome of each job run; shared between the worker threads and the health server."""

    def __init__(self, clock: Clock) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._jobs: dict[str, JobHealth] = {}
        self._lock = Lock()
        self._runs = Counter("connector_job_runs", "Job runs by outcome.", ("job", "outcome"), registry=self.registry)

    def declare(self, job: str, interval_seconds: int) -> None:
        with self._lock:
            self._jobs[job] = JobHealth(timedelta(seconds=interval_seconds), self._clock.now())

    def ran(self, job: str, problems: list[str]) -> None:
        """A run ended; `problems` are sentences about the outside world."""
        with self._lock:
            health = self._jobs[job]
            health.problems = problems
            if not problems:
                health.last_success = self._clock.now()
        self._runs.labels(job, "problem" if problems else "ok").inc()

    def failed(self, job: str, kind: str) -> None:
        """A run was ended by an error that nobody expected."""
        with self._lock:
            self._jobs[job].problems = [f"The job {job} failed ({kind}): see the log."]
        self._runs.labels(job, "failed").inc()

    def jobs(self) -> dict[str, JobHealth]:
        with self._lock:
            return dict(self._jobs)


class _QueueCollector(Collector):
    """Reads the queue's figures when they are asked for, so that they are never stale."""

    def __init__(self, database: Database, health: Health) -> None:
        self._database = database
        self._health = health

    def collect(self) -> Iterator[GaugeMetricFamily]:
        rows = GaugeMetricFamily("connector_write_backs_waiting", "Write-backs not yet proven.", labels=("state",))
        cents = GaugeMetricFamily("connector_write_backs_waiting_cents", "Their sum in cents.", labels=("state",))
        query = (
            select(WriteBack.state, func.count(), summed(WriteBack.amount_cents))
            .where(WriteBack.state.in_(WAITING))
            .group_by(WriteBack.state)
        )
        with self._database.read() as session:
            for state, count, total in session.execute(query):
                rows.add_metric([state.value], count)
                cents.add_metric([state.value], total)
        yield rows
        yield cents
        success = GaugeMetricFamily("connector_job_last_success", "Unix time of the last success.", labels=("job",))
        for name, job in self._health.jobs().items():
            success.add_metric([name], job.last_success.timestamp())
        yield success


def health_app(database: Database, health: Health, clock: Clock) -> Starlette:
    """The two pages. They show no personal data and need no sign-in, so they listen on loopback only."""
    health.registry.register(_QueueCollector(database, health))

    def healthz(_request: Request) -> Response:
        now = clock.now()
        jobs = {
            name: {"last_success": job.last_success.isoformat(), "late": job.late(now), "problems": job.problems}
            for name, job in health.jobs().items()
        }
        ok = _answers(database) and not any(job["late"] for job in jobs.values())
        return JSONResponse({"ok": ok, "jobs": jobs}, status_code=200 if ok else 503)

    def metrics(_request: Request) -> Response:
        return Response(generate_latest(health.registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    # Another name in the request means that a page in some browser found its way here.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"], www_redirect=False)
    return Starlette(routes=[Route("/healthz", healthz), Route("/metrics", metrics)], middleware=[hosts])


def _answers(database: Database) -> bool:
    try:
        with database.read() as session:
            return session.scalar(select(1)) == 1
    except ConnectorError:
        return False
