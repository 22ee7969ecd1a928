"""Looking: one complete read of the practice system for several write-backs, and what it proves about each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select

from connector.clock import business_date
from connector.database.engine import Database
from connector.ledger.write_back.evidence import Evidence, Finding, Sought, judge
from connector.ledger.write_back.models import WriteBack
from connector.pms_adapters.port import PmsAdapter
from connector.pms_adapters.records import PmsEntry


class Look:
    """All entries of the rows' patients since the day before the oldest row. Raises EdgeError when incomplete."""

    def __init__(self, database: Database, adapter: PmsAdapter, zone: ZoneInfo, rows: Sequence[WriteBack]) -> None:
        self._database = database
        self._by_patient: dict[str, list[PmsEntry]] = defaultdict(list)
        self._by_reference: dict[str, list[PmsEntry]] = defaultdict(list)
        # The money of a database that was set back is older than its row, and so may its entry be.
        since = min(min(business_date(row.created_at, zone), row.entry_date) for row in rows) - timedelta(days=1)
        # A row whose member's link was ended has no recipient, and is still looked for where it was sent.
        patients = {patient for row in rows for patient in (recipient(row), searched(row)) if patient}
        for entry in adapter.find_entries(patients, since):
            self._by_patient[entry.patient_id].append(entry)
            for reference in entry.references:
                self._by_reference[reference].append(entry)

    def ids_of(self, row: WriteBack) -> list[str]:
        """Numbers of all entries that the recipient has now: the baseline of a send that follows."""
        return [entry.id for entry in self._by_patient[recipient(row)]]

    def by_reference(self, row: WriteBack) -> Evidence:
        """Judge by our reference alone. Before the first send nothing else can be ours."""
        return self._judge(row, baseline=[entry.id for entry in self._by_patient[searched(row)]], taken=())

    def in_full(self, row: WriteBack) -> Evidence:
        """Judge also by new entries without our reference, which may be ours with the reference retyped, or a twin."""
        evidence = self._judge(row, baseline=row.baseline or (), taken=())
        if evidence.finding is Finding.PRESENT:
            return evidence
        return self._judge(row, baseline=row.baseline or (), taken=self._proven_for_others(row))

    def _judge(self, row: WriteBack, baseline: Collection[str], taken: Collection[str]) -> Evidence:
        patient = searched(row)
        relevant = {entry.id: entry for entry in [*self._by_patient[patient], *self._by_reference[row.reference]]}
        sought = Sought(row.reference, patient, row.signed, row.dated, baseline, taken)
        return judge(sought, list(relevant.values()))

    def _proven_for_others(self, row: WriteBack) -> set[str]:
        """Entries of this patient that are known to belong to other write-backs, by number or by their reference."""
        others = select(WriteBack.pms_entry_id, WriteBack.reference).where(
            WriteBack.location_id == row.location_id,
            WriteBack.sent_to_patient_id == searched(row),
            WriteBack.id != row.id,
        )
        with self._database.read() as session:
            known = session.execute(others).all()
        marked = {entry.id for _, reference in known for entry in self._by_reference[reference]}
        return marked | {entry_id for entry_id, _ in known if entry_id}


def recipient(row: WriteBack) -> str:
    """The patient whom the next send goes to: whom the member is linked to now."""
    return row.pms_patient_id or ""


def searched(row: WriteBack) -> str:
    """The patient in whose ledger the row is looked for: where it was sent, else where it will go."""
    return row.sent_to_patient_id or recipient(row)
