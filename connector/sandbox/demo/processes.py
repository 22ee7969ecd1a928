"""Starts the sandboxes as processes of their own, talks to their control endpoints, and stops what it started."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from connector.errors import DomainError

STOP_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox and its control endpoints."""

    address: str
    client: httpx.Client

    def post(self, name: str, **fields: object) -> None:
        """Use a control endpoint, e.g. `clock` or `faults`."""
        self.client.post(f"{self.address}/_sandbox/{name}", json=fields).raise_for_status()

    def get(self, path: str, **headers: str) -> dict[str, Any]:
        answer = self.client.get(f"{self.address}{path}", headers=headers).raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def move_clock(self, now: datetime) -> None:
        self.post("clock", now=now.isoformat())


@contextmanager
def running(*arguments: str, log: Path) -> Iterator[Sandbox]:
    """`connector sandbox …` as a process for the time of the block. Raises DomainError when it does not come up."""
    command = [sys.executable, "-m", "connector", "sandbox", *arguments]
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,  # noqa: S603
        httpx.Client(timeout=60, trust_env=False) as client,
    ):
        try:
            first = process.stdout.readline() if process.stdout else ""
            if not first:
                raise DomainError(f"The sandbox {arguments[0]} did not start: see {log}.")
            yield Sandbox(json.loads(first)["address"], client)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
