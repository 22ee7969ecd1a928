"""Whether patients can still be written to: since the link was made somebody may have archived or merged the file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from connector.clock import Clock
from connector.pms_adapters.port import PmsAdapter

KNOWN_FOR = timedelta(minutes=10)
"""So long an answer counts, so that several payments of one patient ask once."""


class Recipients:
    """The patients of one practice system that were asked for lately."""

    def __init__(self, adapter: PmsAdapter, clock: Clock) -> None:
        self._adapter = adapter
        self._clock = clock
        self._seen: dict[str, datetime] = {}

    def gone(self, patient_ids: Iterable[str]) -> set[str]:
        """Which of them are not there or not active. Raises EdgeError when the practice system cannot be asked."""
        now = self._clock.now()
        self._seen = {one: seen for one, seen in self._seen.items() if seen <= now < seen + KNOWN_FOR}
        unsure = set(patient_ids) - set(self._seen)
        active = set(self._adapter.active_patients(unsure)) if unsure else set()
        self._seen.update(dict.fromkeys(unsure & active, now))
        return unsure - active
