"""The daemon: a ticker that starts the jobs, a pool that they share, a health page, and a stop that waits for calls.

Threads live here and nowhere else. APScheduler only wakes the jobs; what is due is decided by rows, not by its memory.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from datetime import UTC, datetime
from types import FrameType

import structlog
import uvicorn
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor as JobExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from connector.daemon.health import Health, health_app
from connector.daemon.jobs import Job, declared, within_read_budget
from connector.daemon.patient_server import PatientServer
from connector.database.lock import InstanceLock
from connector.errors import DomainError
from connector.messaging.senders import open_mailer, open_sms
from connector.settings import Settings
from connector.use_cases.context import Context

log = structlog.get_logger()

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name)]
"""What asks for a stop; SIGBREAK is Windows' way of ending a service."""


class Daemon:
    """Runs until it is asked to stop. One per database file."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self._settings = settings.daemon
        self._all_settings = settings
        self._patients: PatientServer | None = None
        self._context = context
        mailer, sms = open_mailer(settings, settings.data_dir, context.clock), open_sms(settings, settings.data_dir)
        rhythm = settings.daemon if settings.sandbox else within_read_budget(settings.daemon, context)
        self._jobs = declared(rhythm, mailer, sms)
        self._lock = InstanceLock(context.database.path or settings.data_dir / "connector")
        self._health = Health(context.clock)
        self._pool = ThreadPoolExecutor(self._settings.write_back_slots, thread_name_prefix="call")
        self._stop = threading.Event()
        self._scheduler = BackgroundScheduler(
            executors={"default": JobExecutor(8)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        app = health_app(context.database, self._health, context.clock)
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", server_header=False)
        )

    def run(self) -> None:
        """Work until a signal asks to stop. Raises DomainError when another daemon has this database."""
        self._lock.acquire()
        threading.excepthook = _thread_failed
        try:
            listener = self._listener()
            if self._all_settings.links.public_url:
                self._patients = PatientServer(self._all_settings, self._context, self._read_news)
            for number in SIGNALS:
                signal.signal(number, self._on_signal)
            web = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, name="health")
            web.start()
            self._schedule()
            if self._patients:
                self._patients.start()
                log.info("patient_pages.ready", port=self._patients.port)
            log.info("daemon.ready", port=listener.getsockname()[1])
            while not self._stop.wait(timeout=1):  # The time-out lets Windows deliver signals.
                pass
            if not self._shut_down(web):
                # A thread that still waits for its answer would keep the process alive; the lock goes only with it.
                os._exit(1)
        finally:
            self._lock.release()

    def _listener(self) -> socket.socket:
        try:
            return socket.create_server(("127.0.0.1", self._settings.port))
        except OSError:
            raise DomainError(
                f"The port {self._settings.port} of the health page is taken: set CONNECTOR_DAEMON__PORT to another."
            ) from None

    def _schedule(self) -> None:
        for job in self._jobs:
            self._health.declare(job.name, job.interval_seconds)
            self._scheduler.add_job(
                self._tick,
                "interval",
                args=[job],
                seconds=job.interval_seconds,
                id=job.name,
                next_run_time=datetime.now(UTC),
            )
        self._scheduler.add_listener(self._on_error, EVENT_JOB_ERROR)
        self._scheduler.start()

    def _tick(self, job: Job) -> None:
        if self._stop.is_set():
            return
        try:
            problems = job.work(self._context, self._pool)
        except (CancelledError, RuntimeError):
            # A stop closes the pool to new calls; what it turned away is still queued, so this is no fault.
            if self._stop.is_set():
                return
            raise
        self._health.ran(job.name, problems)
        for problem in problems:
            log.warning("job.problem", job=job.name, problem=problem)
        if job.wakes_write_backs and not self._stop.is_set():
            self._scheduler.modify_job("write_backs", next_run_time=datetime.now(UTC))

    def _read_news(self) -> None:
        """A webhook has brought something: do not wait for the next tick."""
        if not self._stop.is_set():
            self._scheduler.modify_job("news", next_run_time=datetime.now(UTC))

    def _on_error(self, event: JobExecutionEvent) -> None:
        self._health.failed(event.job_id, type(event.exception).__name__)
        log.error("job.failed", job=event.job_id, exc_info=event.exception)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def _shut_down(self, web: threading.Thread) -> bool:
        """Let calls under way end, up to the deadline; what is cut off is looked up after the restart.

        Tells whether all calls have ended.
        """
        log.info("daemon.stopping", deadline_seconds=self._settings.stop_deadline_seconds)
        ends = time.monotonic() + self._settings.stop_deadline_seconds
        self._pool.shutdown(wait=False, cancel_futures=True)
        waiter = threading.Thread(target=self._scheduler.shutdown, kwargs={"wait": True}, daemon=True)
        waiter.start()
        waiter.join(timeout=max(0.0, ends - time.monotonic()))
        self._server.should_exit = True
        if self._patients:
            self._patients.stop()
        web.join(timeout=5)
        ended = not waiter.is_alive()
        log.info("daemon.stopped", all_calls_ended=ended)
        return ended


def _thread_failed(args: threading.ExceptHookArgs) -> None:
    """An error that ended a thread goes to the log as class and place, and not to the terminal with what it says."""
    log.error("thread.failed", thread=args.thread.name if args.thread else None, exc_info=args.exc_value)
