"""The file drop behind the port: an entry is one file for the practice, proven by the practice's acknowledgement."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from connector.errors import EdgeError, Rejected, UnexpectedResponse
from connector.pms_adapters.file_drop import mapping
from connector.pms_adapters.file_drop.client import Line, files_in, publish, read_lines, read_published
from connector.pms_adapters.file_drop.manifest import MANIFEST
from connector.pms_adapters.file_drop.settings import FileDropSettings
from connector.pms_adapters.manifest import Manifest
from connector.pms_adapters.port import ConnectionContext
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
from connector.pms_adapters.registry import check_settings

VERSION = "1"
"""Of the columns; shown by the probe."""


class FileDrop:
    """The factory that the entry point names."""

    manifest = MANIFEST

    def open(self, settings: Mapping[str, str], context: ConnectionContext) -> FileDropAdapter:
        """Check the settings, without touching the folder. Raises DomainError."""
        check_settings(self.manifest, settings)
        return FileDropAdapter(FileDropSettings.parse(settings), context)


class FileDropAdapter:
    """One practice's shared folder. Holds nothing open; safe to use from several threads."""

    def __init__(self, settings: FileDropSettings, context: ConnectionContext) -> None:
        self._places = settings
        self._currency = context.currency

    @property
    def manifest(self) -> Manifest:
        """The facts, which are the same for every folder."""
        return MANIFEST

    def close(self) -> None:
        """Nothing is held open."""

    def probe(self) -> ProbeReport:
        """Check the folders, the right to write, and the patient list, without writing anything."""
        problems = [
            f"There is no folder {folder.name!r} in the shared folder: create it."
            for folder in (self._places.outbox, self._places.acks)
            if not folder.is_dir()
        ]
        if self._places.outbox.is_dir() and not os.access(self._places.outbox, os.W_OK):
            problems.append("This software may not write into the folder 'outbox': give it the right.")
        try:
            self._patients()
        except EdgeError as error:
            problems.append(str(error))
        return ProbeReport(VERSION, tuple(problems))

    def find_patients(self, query: PatientQuery) -> Sequence[PmsPatient]:
        """Patients of the practice's list that agree with the query; none for an empty one."""
        if query == PatientQuery():
            return []
        return [person for person in self._patients() if mapping.fits(person, query)]

    def get_patient(self, patient_id: str) -> PmsPatient | None:
        """The patient with that id in the practice's list."""
        return next((person for person in self._patients() if person.id == patient_id), None)

    def active_patients(self, patient_ids: Collection[str]) -> Collection[str]:
        """Those who are in the practice's list and active."""
        return {person.id for person in self._patients() if person.active and person.id in patient_ids}

    def find_entries(self, patient_ids: Collection[str], since: date) -> Sequence[PmsEntry]:
        """All acknowledged entries.

        An acknowledgement does not tell when the entry was made, and an entry of ours under another patient is just
        what must be seen, so nothing is left out.
        """
        del patient_ids, since
        found: dict[str, PmsEntry] = {}
        for path in files_in(self._places.acks):
            for line in read_lines(path, mapping.ACK_COLUMNS):
                entry = mapping.ack(line, self._currency)
                # The same acknowledgement may come twice, but one entry cannot be two things.
                if found.setdefault(entry.id, entry) != entry:
                    raise UnexpectedResponse(
                        f"{line.place}, contradicts an earlier line on the same entry: correct it."
                    )
        return list(found.values())

    def record_payment(self, command: PaymentCommand) -> Receipt:
        """Publish the payment as a file in the outbox."""
        return self._publish(command)

    def record_reversal(self, command: ReversalCommand) -> Receipt:
        """Publish the reversal as a file in the outbox."""
        return self._publish(command)

    def read_day_sheet(self, business_date: date) -> DaySheet:
        """The practice's export of that day, in the order of the file."""
        lines = read_lines(self._places.day_sheet(business_date), mapping.DAY_SHEET_COLUMNS, ("reference",))
        entries = tuple(mapping.day_sheet_entry(line, self._currency, business_date) for line in lines)
        _no_repeats(lines, [entry.id for entry in entries])
        return DaySheet(business_date, entries)

    def _patients(self) -> list[PmsPatient]:
        lines = read_lines(self._places.patients, mapping.PATIENT_COLUMNS, mapping.PATIENT_EXTRAS)
        people = [mapping.patient(line) for line in lines]
        _no_repeats(lines, [person.id for person in people])
        return people

    def _publish(self, command: PaymentCommand | ReversalCommand) -> Receipt:
        """Write the file once: a repeat finds it, whether the practice has moved it or not."""
        if command.amount.currency != self._currency:
            raise Rejected("The amount is not in the practice's currency, so nothing was written.")
        name = mapping.file_name(command.reference, MANIFEST.reference_length)
        content = mapping.outbox_file(command)
        published = read_published(self._places.done / name)
        if published is None and not publish(self._places.outbox / name, content):
            # Moved between the two looks, it is in the other folder now.
            published = read_published(self._places.outbox / name) or read_published(self._places.done / name)
        if published not in (None, content):
            raise Rejected(f"{name} is published with other content: a reference stands for one entry only.")
        return Receipt(entry_id=None)


def _no_repeats(lines: Sequence[Line], ids: Sequence[str]) -> None:
    seen: set[str] = set()
    for line, identifier in zip(lines, ids, strict=True):
        if identifier in seen:
            raise UnexpectedResponse(f"{line.place}, repeats an id from above: export the file again.")
        seen.add(identifier)
