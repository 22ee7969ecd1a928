"""One daemon per database file: a lock of the operating system that ends with the process, however it ends."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout

from connector.errors import DomainError


class InstanceLock:
    """Held by the running daemon. The file beside it names the holder for the one who is refused."""

    def __init__(self, database_file: Path) -> None:
        self._lock = FileLock(database_file.with_name(database_file.name + ".lock"))
        self._holder = database_file.with_name(database_file.name + ".holder")

    def acquire(self) -> None:
        """Take the lock. Raises DomainError when another daemon has it."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            holder = self._holder.read_text(encoding="utf-8") if self._holder.exists() else "an unknown process"
            raise DomainError(
                f"Another connector daemon ({holder}) already works on this database: "
                "stop it first, or use another data directory."
            ) from None
        self._holder.write_text(f"process {os.getpid()}", encoding="utf-8")

    def release(self) -> None:
        self._holder.unlink(missing_ok=True)
        self._lock.release()
