"""Where a practice's file drop is, and what its places are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from connector.errors import DomainError


@dataclass(frozen=True, slots=True)
class FileDropSettings:
    """The shared folder and the places in it."""

    folder: Path

    @classmethod
    def parse(cls, settings: Mapping[str, str]) -> FileDropSettings:
        """Read what `check_settings` let through. Raises DomainError for a relative path."""
        folder = Path(settings["folder"].strip())
        if not folder.is_absolute():
            raise DomainError(
                "The setting 'folder' must be a whole path, because the daemon runs in a folder of its own."
            )
        return cls(folder)

    @property
    def outbox(self) -> Path:
        """Our files, one per entry, for the practice to import."""
        return self.folder / "outbox"

    @property
    def done(self) -> Path:
        """Where the practice moves our files after importing them."""
        return self.outbox / "done"

    @property
    def acks(self) -> Path:
        """The practice's acknowledgements."""
        return self.folder / "acks"

    @property
    def patients(self) -> Path:
        """The practice's list of patients."""
        return self.folder / "patients.csv"

    def day_sheet(self, day: date) -> Path:
        """The practice's day sheet of that day."""
        return self.folder / "day-sheets" / f"{day.isoformat()}.csv"
