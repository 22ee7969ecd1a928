"""Whether a patient can still be written to: since the link was made somebody may have archived or merged the file."""

from __future__ import annotations

from datetime import datetime, timedelta

from connector.clock import Clock
from connector.pms_adapters.port import PmsAdapter

KNOWN_FOR = timedelta(minutes=10)
"""So long an answer counts, so that several payments of one patient ask once."""


class Recipients:
    """The patients of one practice system that were asked for lately. Safe to use from several threads."""

    def __init__(self, adapter: PmsAdapter, clock: Clock) -> None:
        self._adapter = adapter
        self._clock = clock
        self._seen: dict[str, datetime] = {}

    def accept(self, patient_id: str) -> bool:
        """Whether the patient is there and active. Raises EdgeError when the practice system cannot be asked."""
        now = self._clock.now()
        seen = self._seen.get(patient_id)
        if seen is None or not seen <= now < seen + KNOWN_FOR:
            patient = self._adapter.get_patient(patient_id)
            if patient is None or not patient.active:
                self._seen.pop(patient_id, None)
                return False
            self._seen[patient_id] = now
        return True
