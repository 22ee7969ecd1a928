"""The port to a practice-management system: eight calls that every adapter offers.

Each call is bounded by the manifest's deadline, `active_patients` by as many as there are patients, and raises only the
EdgeError classes of connector.errors: writes raise NotSent, OutcomeUnknown, Rejected, AccessDenied or Unsupported;
reads raise NotSent, OutcomeUnknown (no clear answer), RateLimited, AccessDenied, Rejected or UnexpectedResponse.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from connector.clock import Clock
from connector.pms_adapters.manifest import Manifest
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


class PmsAdapter(Protocol):
    """An open connection to the practice system of one location. Safe to use from several threads."""

    @property
    def manifest(self) -> Manifest: ...

    def probe(self) -> ProbeReport:
        """Check address, credentials, version and permissions without changing anything."""

    def find_patients(self, query: PatientQuery) -> Sequence[PmsPatient]:
        """Patients that fit the query, possibly with more; the caller compares for itself."""

    def get_patient(self, patient_id: str) -> PmsPatient | None:
        """One patient by the system's id; None when there is no such patient (any more)."""

    def active_patients(self, patient_ids: Collection[str]) -> Collection[str]:
        """Those of these patients who are there and active, so that their ledgers may be written to."""

    def find_entries(self, patient_ids: Collection[str], since: date) -> Sequence[PmsEntry]:
        """Every payment entry of these patients that was made on or after the local day `since`, perhaps with others.

        The answer is complete or the call raises: "not there" must be as reliable as "there". Entries of other patients
        are welcome where they cost nothing: one of ours that stands with a stranger is seen that way.
        """

    def record_payment(self, command: PaymentCommand) -> Receipt:
        """Write one payment, with one request that is never repeated inside the call."""

    def record_reversal(self, command: ReversalCommand) -> Receipt:
        """Write one reversal, with one request that is never repeated inside the call."""

    def read_day_sheet(self, business_date: date) -> DaySheet:
        """All payment entries of that day, ours and foreign ones, complete or the call raises."""

    def close(self) -> None:
        """Give up connections; the adapter is not used afterwards."""


@dataclass(frozen=True, slots=True)
class ConnectionContext:
    """What an adapter is opened with beside its settings."""

    currency: str
    timezone: str
    clock: Clock


class AdapterFactory(Protocol):
    """What the entry-point group `connector.pms_adapters` names: a manifest and a way to open a connection."""

    @property
    def manifest(self) -> Manifest: ...

    def open(self, settings: Mapping[str, str], context: ConnectionContext) -> PmsAdapter:
        """Open a connection without any call. Raises DomainError when a setting is missing or malformed."""
