"""What a complete read of the practice system proves about one write-back. Pure.

Our reference proves an entry to be ours. Without it, a new entry of the same patient, amount and date may be ours with
its reference retyped, or a twin typed by staff: nobody can tell, so a person decides.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from connector.money import Money
from connector.pms_adapters.records import PmsEntry


class Finding(StrEnum):
    """The verdict of a look."""

    PRESENT = "present"
    ABSENT = "absent"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for. `amount` is signed like the entry; entries of the `baseline` are older than the send."""

    reference: str
    patient_id: str
    amount: Money
    entry_date: date
    baseline: Collection[str]
    foreign_ids: Collection[str] = ()
    """Entries that are already known to belong to other write-backs."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A finding with the entry that proves it, or the sentence that explains the doubt."""

    finding: Finding
    entry_id: str | None = None
    doubt: str | None = None
    entry_date: date | None = None
    """The date under which the practice system shows it; some date reversals by the day of entry."""


def judge(sought: Sought, entries: Sequence[PmsEntry]) -> Evidence:
    """Decide from all entries of the patient since before the send."""
    ours = [entry for entry in entries if sought.reference in entry.references]
    if len(ours) > 1:
        numbers = ", ".join(sorted(entry.id for entry in ours))
        return Evidence(
            Finding.AMBIGUOUS, doubt=f"The entries {numbers} carry the same reference: keep one and remove the others."
        )
    if ours:
        return _compare(sought, ours[0])
    twins = [entry.id for entry in entries if _could_be_ours(sought, entry)]
    if twins:
        numbers = ", ".join(sorted(twins))
        return Evidence(
            Finding.AMBIGUOUS,
            doubt=f"The entry {numbers} could be this payment without its reference: check it by hand.",
        )
    return Evidence(Finding.ABSENT)


def _compare(sought: Sought, entry: PmsEntry) -> Evidence:
    """Our reference is there: the entry must also say what we sent."""
    differences = [
        name
        for name, differs in (
            ("patient", entry.patient_id != sought.patient_id),
            ("amount", entry.amount != sought.amount),
        )
        if differs
    ]
    if differences:
        return Evidence(
            Finding.AMBIGUOUS,
            entry.id,
            f"The entry {entry.id} carries our reference with another {' and '.join(differences)}: check it by hand.",
        )
    return Evidence(Finding.PRESENT, entry.id, entry_date=entry.entry_date)


def _could_be_ours(sought: Sought, entry: PmsEntry) -> bool:
    return (
        entry.id not in sought.baseline
        and entry.id not in sought.foreign_ids
        and entry.patient_id == sought.patient_id
        and entry.amount == sought.amount
        and entry.entry_date == sought.entry_date
    )
