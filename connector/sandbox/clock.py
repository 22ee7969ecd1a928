"""The clock of a sandbox: the system's time until someone sets it over HTTP, then still until it is set again."""

from __future__ import annotations

from datetime import UTC, datetime

from connector.clock import as_utc


class SandboxClock:
    """Never goes backwards, because servers that stamp what they store do not either."""

    def __init__(self) -> None:
        self._set: datetime | None = None

    def now(self) -> datetime:
        return self._set or datetime.now(UTC)

    def set(self, instant: datetime) -> None:
        instant = as_utc(instant)
        if self._set is None or instant > self._set:
            self._set = instant
