"""A practice system in memory whose answers, delays and crashes are decided by whoever holds its script."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from connector.clock import MovableClock
from connector.errors import AccessDenied, NotSent, OutcomeUnknown, RateLimited, Rejected
from connector.money import Money
from connector.pms_adapters.manifest import Manifest
from connector.pms_adapters.open_dental.manifest import MANIFEST
from connector.pms_adapters.records import (
    DaySheet,
    PatientQuery,
    PaymentCommand,
    PmsEntry,
    PmsPatient,
    ProbeReport,
    Receipt,
    ReversalCommand,
)


class Mood(StrEnum):
    """What becomes of one request. Reads know WELL, REFUSED_FOR_NOW and UNANSWERED only."""

    WELL = "well"
    UNANSWERED = "unanswered"
    LANDS_UNANSWERED = "lands_unanswered"
    LANDS_LATE = "lands_late"
    NOT_SENT = "not_sent"
    REFUSED_FOR_NOW = "refused_for_now"
    REJECTED = "rejected"
    KILLED_BEFORE = "killed_before"
    KILLED_AFTER = "killed_after"
    KILLED_LANDS_LATE = "killed_lands_late"
    PROMISED_ONLY = "promised_only"


READS = (Mood.WELL, Mood.UNANSWERED, Mood.REFUSED_FOR_NOW)


class KilledError(BaseException):
    """Stands for the end of our process: nobody catches it."""


class MoodyPms:
    """Keeps entries with the instant from which they are visible. `mood(choices)` picks the fate of each request."""

    def __init__(self, clock: MovableClock, mood: Callable[[Sequence[Mood]], Mood]) -> None:
        self._clock = clock
        self.mood = mood
        self._entries: list[tuple[datetime, PmsEntry]] = []
        self.asked_for: list[set[str]] = []
        """The patients of each question who is active."""
        self.requests = 0
        """Looks and writes so far."""

    @property
    def manifest(self) -> Manifest:
        return replace(MANIFEST, call_deadline=timedelta(seconds=30))

    def carriers(self, reference: str) -> list[PmsEntry]:
        """All entries with that reference, also those that are yet to land."""
        return [entry for _, entry in self._entries if reference in entry.references]

    def find_entries(self, patient_ids: Collection[str], since: date) -> Sequence[PmsEntry]:
        self.requests += 1
        match self.mood(READS):
            case Mood.UNANSWERED:
                raise OutcomeUnknown("No answer.")
            case Mood.REFUSED_FOR_NOW:
                raise RateLimited("Too many requests.")
        now = self._clock.now()
        return [
            entry
            for at, entry in self._entries
            if at <= now and entry.patient_id in patient_ids and entry.entry_date >= since
        ]

    def record_payment(self, command: PaymentCommand) -> Receipt:
        self.requests += 1
        manifest = self.manifest
        mood = self.mood(list(Mood))
        latest = manifest.call_deadline + manifest.apply_delay
        match mood:
            case Mood.NOT_SENT:
                raise NotSent("Nobody listens.")
            case Mood.REFUSED_FOR_NOW:
                raise AccessDenied("No permission.")
            case Mood.REJECTED:
                raise Rejected("No such patient.")
            case Mood.UNANSWERED:
                raise OutcomeUnknown("No answer.")
            case Mood.KILLED_BEFORE:
                raise KilledError
            case Mood.PROMISED_ONLY:
                return Receipt("0")
        late = mood in (Mood.LANDS_LATE, Mood.KILLED_LANDS_LATE)
        entry = self._land(command, (latest if late else timedelta()) + manifest.visibility_delay)
        if mood in (Mood.KILLED_AFTER, Mood.KILLED_LANDS_LATE):
            raise KilledError
        if mood is not Mood.WELL:
            raise OutcomeUnknown("No answer.")
        return Receipt(entry.id)

    def _land(self, command: PaymentCommand, after: timedelta) -> PmsEntry:
        entry = PmsEntry(
            id=str(len(self._entries) + 1),
            patient_id=command.patient_id,
            amount=Money(command.amount.cents, command.amount.currency),
            entry_date=command.entry_date,
            references=frozenset({command.reference}),
        )
        self._entries.append((self._clock.now() + after, entry))
        return entry

    def record_reversal(self, command: ReversalCommand) -> Receipt:  # noqa: ARG002
        raise Rejected("This system takes no reversals.")

    def probe(self) -> ProbeReport:
        return ProbeReport("1")

    def find_patients(self, query: PatientQuery) -> Sequence[PmsPatient]:  # noqa: ARG002
        return []

    def get_patient(self, patient_id: str) -> PmsPatient | None:
        return PmsPatient(patient_id, "Somebody", "Else")

    def active_patients(self, patient_ids: Collection[str]) -> Collection[str]:
        self.asked_for.append(set(patient_ids))
        return patient_ids

    def read_day_sheet(self, business_date: date) -> DaySheet:
        return DaySheet(business_date, ())

    def close(self) -> None:
        """Nothing to give up."""
