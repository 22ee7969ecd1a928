"""A practice without an interface: somebody imports our files when there is time, and acknowledges them in a folder."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

from connector.clock import zone
from connector.money import Money
from connector.pms_adapters.file_drop.adapter import FileDrop
from connector.simulation.cast import FIRST_PATIENT
from connector.simulation.faults import Dice, FaultKind
from connector.simulation.in_process import InProcess
from connector.simulation.office import Entry

IMPORTS_AFTER_HOUR = 9
TIMEZONE = "Australia/Sydney"
CURRENCY = "aud"
ACK_COLUMNS = ("reference", "pms_entry_id", "patient_id", "amount", "entry_date")
FIRST_ENTRY = 1


class FileDropOffice:
    """One shared folder and what the practice has entered from it."""

    pms = "file_drop"
    network: InProcess | None = None

    def __init__(self, patients: Path, dice: Dice) -> None:
        self._dice = dice
        self._folder = patients.parent / "drop"
        for name in ("outbox/done", "acks", "day-sheets"):
            (self._folder / name).mkdir(parents=True)
        self._write_patients(patients)
        self.factory = FileDrop()
        self.settings: Mapping[str, str] = {"folder": str(self._folder)}
        self._entries: dict[int, tuple[Entry, date]] = {}
        self._next = FIRST_ENTRY
        self._today: date | None = None
        self._late_until: date | None = None
        """Whoever imports the files is away until that day."""

    def move_to(self, instant: datetime) -> None:
        """On each day somebody imports what is there, if nobody is away and the folder can be reached."""
        local = instant.astimezone(zone(TIMEZONE))
        away = self._late_until is not None and local.date() < self._late_until
        if local.date() != self._today and local.hour >= IMPORTS_AFTER_HOUR and not away and self._folder.exists():
            self._today = local.date()
            self._import()

    def entries(self) -> list[Entry]:
        return [entry for entry, _ in self._entries.values()]

    def disturb(self, kind: FaultKind) -> None:
        if kind is FaultKind.LATE_WRITE and self._today is not None:
            days = self._dice.of("late").randint(1, 3)
            self._late_until = date.fromordinal(self._today.toordinal() + days + 1)
            self._dice.count(kind)
        if kind is FaultKind.READ_TROUBLE and self._folder.exists():
            # A file that is still being copied when it is read.
            (self._folder / "acks" / "copying.csv").write_text(f"{','.join(ACK_COLUMNS)}\nSP0,", encoding="utf-8")
            self._dice.count(kind)

    def calm(self) -> None:
        (self._folder / "acks" / "copying.csv").unlink(missing_ok=True)

    def set_down(self, down: bool) -> None:
        """The share is taken away, or comes back."""
        here, away = self._folder, self._folder.with_name("away")
        if down and here.exists():
            here.rename(away)
        elif not down and away.exists():
            away.rename(here)

    def type_in(self, patient_id: str, cents: int, day: date, reference: str = "") -> None:
        self._enter(patient_id, cents, day, reference)

    def retype(self, number: int) -> None:
        entry, day = self._entries[number]
        self._entries[number] = Entry(number, entry.patient_id, entry.cents, ""), day

    def hand_over(self, number: int, patient_id: str) -> None:
        entry, day = self._entries[number]
        self._entries[number] = replace(entry, patient_id=patient_id), day

    def delete(self, number: int) -> None:
        del self._entries[number]

    def _import(self) -> None:
        """Enter each file once, move it away, and acknowledge it; the day's sheet holds what stands there."""
        acks = []
        for file in sorted((self._folder / "outbox").glob("*.csv")):
            with file.open(encoding="utf-8", newline="") as stream:
                (row,) = csv.DictReader(stream)
            cents = Money.parse(row["amount"], CURRENCY).cents * (1 if row["kind"] == "payment" else -1)
            day = date.fromisoformat(row["entry_date"])
            number = self._enter(row["patient_id"], cents, day, row["reference"])
            amount = Money(cents, CURRENCY).decimal
            acks.append((row["reference"], f"E-{number}", row["patient_id"], amount, row["entry_date"]))
            file.rename(self._folder / "outbox" / "done" / file.name)
        if acks and self._today:
            _write(self._folder / "acks" / f"{self._today}.csv", ACK_COLUMNS, acks)
        for day in {day for _, day in self._entries.values()}:
            sheet = [
                (
                    f"E-{entry.number}",
                    entry.patient_id,
                    Money(entry.cents, CURRENCY).decimal,
                    day.isoformat(),
                    entry.reference,
                )
                for entry, entered in self._entries.values()
                if entered == day
            ]
            columns = ("pms_entry_id", "patient_id", "amount", "entry_date", "reference")
            _write(self._folder / "day-sheets" / f"{day}.csv", columns, sheet)

    def _enter(self, patient_id: str, cents: int, day: date, reference: str) -> int:
        number, self._next = self._next, self._next + 1
        self._entries[number] = Entry(number, patient_id, cents, reference), day
        return number

    def _write_patients(self, patients: Path) -> None:
        with patients.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        columns = ("id", "given_name", "family_name", "date_of_birth", "address", "suburb", "state", "postcode")
        people = [
            (str(FIRST_PATIENT + number), *(row[name] for name in columns[1:])) for number, row in enumerate(rows)
        ]
        _write(self._folder / "patients.csv", columns, people)


def _write(file: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)
