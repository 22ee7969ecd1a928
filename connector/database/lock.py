"""One daemon per database file: a lock of the operating system that ends with the process, however it ends."""

from __future__ import annotations

import os
import re
from pathlib import Path

from filelock import FileLock, Timeout

from connector.errors import DomainError


class InstanceLock:
    """Held by the running daemon. The file beside it names the holder for the one who is refused."""

    def __init__(self, database_file: Path) -> None:
        # Two names of one file must lead to one lock.
        database_file = database_file.resolve()
        self._lock = FileLock(database_file.with_name(database_file.name + ".lock"))
        self._holder = database_file.with_name(database_file.name + ".holder")

    def acquire(self) -> None:
        """Take the lock. Raises DomainError when another daemon has it."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise DomainError(
                f"Another connector daemon ({self._held_by()}) already works on this database: "
                "stop it first, or use another data directory."
            ) from None
        self._holder.write_text(f"process {os.getpid()}", encoding="utf-8")

    def _held_by(self) -> str:
        """What the holder wrote, which is shown to a person, so it is taken only if it looks like ours."""
        try:
            text = self._holder.read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        return text if re.fullmatch(r"process [0-9]{1,10}", text) else "an unknown process"

    def release(self) -> None:
        self._holder.unlink(missing_ok=True)
        self._lock.release()
