"""The stand-in for a practice system: takes every entry and shows it at once, by the manifest of the real one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from connector import ids
from connector.pms_adapters.manifest import Manifest
from connector.pms_adapters.port import AdapterFactory, ConnectionContext
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


@dataclass(frozen=True)
class RehearsedSystem:
    """One connection. Knows no patients and no entry of the past, and keeps what is written to it."""

    manifest: Manifest
    _entries: list[PmsEntry] = field(default_factory=list)

    def probe(self) -> ProbeReport:
        return ProbeReport("rehearsal")

    def find_patients(self, _query: PatientQuery) -> Sequence[PmsPatient]:
        return ()

    def get_patient(self, patient_id: str) -> PmsPatient | None:
        """Somebody: whoever is linked is taken to be there still."""
        return PmsPatient(patient_id, "", "")

    def active_patients(self, patient_ids: Collection[str]) -> Collection[str]:
        return patient_ids

    def find_entries(self, patient_ids: Collection[str], since: date) -> Sequence[PmsEntry]:
        return [entry for entry in self._entries if entry.patient_id in patient_ids and entry.entry_date >= since]

    def record_payment(self, command: PaymentCommand) -> Receipt:
        return self._keep(command, 1)

    def record_reversal(self, command: ReversalCommand) -> Receipt:
        return self._keep(command, -1)

    def read_day_sheet(self, business_date: date) -> DaySheet:
        return DaySheet(business_date, tuple(entry for entry in self._entries if entry.entry_date == business_date))

    def close(self) -> None:
        """Nothing is open."""

    def _keep(self, command: PaymentCommand | ReversalCommand, sign: int) -> Receipt:
        amount = command.amount if sign > 0 else -command.amount
        entry = PmsEntry(
            ids.new_id("row"), command.patient_id, amount, command.entry_date, frozenset({command.reference})
        )
        self._entries.append(entry)
        return Receipt(entry.id)


@dataclass(frozen=True)
class RehearsedFactory:
    """Opens stand-ins for the adapter that it was made from."""

    real: AdapterFactory

    @property
    def manifest(self) -> Manifest:
        """The real one's facts, without the waiting."""
        return replace(self.real.manifest, asynchronous=False, apply_delay=timedelta(0), visibility_delay=timedelta(0))

    def open(self, _settings: Mapping[str, str], _context: ConnectionContext) -> RehearsedSystem:
        return RehearsedSystem(self.manifest)
