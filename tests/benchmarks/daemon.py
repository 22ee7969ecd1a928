"""The daemon at rest: memory, processor time, and how soon after its start it answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx

from tests.benchmarks.measure import Figure
from tests.benchmarks.practice import office, practice, stripe_account

GIVEN = (
    "import apscheduler.schedulers.background, httpx, pydantic_settings, sqlalchemy.orm, structlog, tenacity, stripe"
)
"""What an integration of this kind builds on, and so the least that it costs."""
STARTS = 3
SETTLE_SECONDS = 12
IDLE_SECONDS = 20
START_LIMIT_SECONDS = 30
PROC = Path("/proc")


def run(folder: Path) -> list[Figure]:
    """Start the daemon some times, let the last one rest, and read its figures from the operating system."""
    with stripe_account(folder) as stripe, office(folder, 20) as pms:
        with practice(folder, pms.address) as subject:
            subject.link(subject.add_members(20))
        starts = []
        for _ in range(STARTS - 1):
            with serving(folder, stripe.address) as daemon:
                starts.append(daemon.ready_seconds)
        with serving(folder, stripe.address) as daemon:
            starts.append(daemon.ready_seconds)
            rest = _at_rest(daemon.process.pid)
    imports = _python_seconds(GIVEN)
    bare = "s given packages + stripe"
    ready = Figure("Daemon, start to /healthz 200", median(starts), "s", imports, bare, 1.5, note=f"{STARTS} starts")
    return [ready, *rest]


class Running:
    """A started daemon."""

    def __init__(self, process: subprocess.Popen[bytes], ready_seconds: float) -> None:
        self.process = process
        self.ready_seconds = ready_seconds


@contextmanager
def serving(folder: Path, stripe: str, **more: str) -> Iterator[Running]:
    """`connector serve` on the database in the folder, from when it is healthy to the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = {
        "CONNECTOR_DATA_DIR": str(folder),
        "CONNECTOR_STRIPE__SECRET_KEY": "sk_test_bench",
        "CONNECTOR_STRIPE__API_BASE": stripe,
        "CONNECTOR_DAEMON__PORT": str(port),
        "CONNECTOR_LOG__LEVEL": "warning",
        **more,
    }
    command = [sys.executable, "-m", "connector", "serve"]
    with (folder / "daemon.log").open("ab") as log:
        started = time.perf_counter()
        process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
        try:
            yield Running(process, _until_healthy(process, port) - started)
        finally:
            process.terminate()
            process.wait(90)


def _until_healthy(process: subprocess.Popen[bytes], port: int) -> float:
    with httpx.Client(trust_env=False, timeout=5) as client:
        give_up = time.perf_counter() + START_LIMIT_SECONDS
        while time.perf_counter() < give_up and process.poll() is None:
            try:
                if client.get(f"http://127.0.0.1:{port}/healthz").status_code == 200:
                    return time.perf_counter()
            except httpx.TransportError:
                """It does not listen yet."""
            time.sleep(0.01)
    raise AssertionError("The daemon did not become healthy: see daemon.log.")


def _at_rest(pid: int) -> list[Figure]:
    """Memory and share of a processor, where the operating system tells them in files."""
    if not (PROC / str(pid) / "statm").exists():
        return []
    time.sleep(SETTLE_SECONDS)
    before = _cpu_seconds(pid)
    time.sleep(IDLE_SECONDS)
    share = 100 * (_cpu_seconds(pid) - before) / IDLE_SECONDS
    bare = _python_megabytes(GIVEN)
    note = f"over {IDLE_SECONDS} s"
    return [
        Figure("Daemon at rest, memory", _megabytes(pid), "MB", bare, "MB given packages + stripe", 110),
        Figure("Daemon at rest, processor time", share, "% of a core", bar=1, note=note),
    ]


def _megabytes(pid: int) -> float:
    pages = int((PROC / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1_000_000


def _cpu_seconds(pid: int) -> float:
    fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _python_megabytes(code: str) -> float:
    """Memory of a fresh interpreter after that code."""
    waiting = f"{code}\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", waiting], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout:
            process.stdout.readline()
        used = _megabytes(process.pid)
        process.communicate("\n", timeout=30)
        return used


def _python_seconds(code: str) -> float:
    """How long a fresh interpreter takes for that code, from start to end."""
    times = []
    for _ in range(STARTS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
        times.append(time.perf_counter() - started)
    return median(times)
