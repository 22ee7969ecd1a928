"""One place where the product runs: its name among those that share a database, and who of its processes may send."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from connector import ids
from connector.files import private_folder

NAME_FILE = "installation"
SENDING_LOCK = "sending.lock"


@dataclass(frozen=True, slots=True)
class Installation:
    """Known by an id that is kept in its data folder; without a folder it is alone."""

    id: str
    folder: Path | None = None

    @contextmanager
    def sending(self) -> Iterator[bool]:
        """Whether this process may write to practice systems in the block: one process of the installation at a time.

        The lock is the operating system's, so it ends with the process and not before: whoever gets it knows that
        nobody is still about to send.
        """
        if self.folder is None:
            yield True
            return
        lock = FileLock(self.folder / SENDING_LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


ALONE = Installation("alone")
"""Shares its database with nobody."""


def installation(folder: Path) -> Installation:
    """The installation of that data folder, which gets its id when it is first asked for."""
    private_folder(folder)
    file = folder / NAME_FILE
    # Two processes that begin at once must come to one id.
    with FileLock(folder / f"{NAME_FILE}.lock"):
        name = file.read_text(encoding="utf-8").strip() if file.exists() else ""
        if not name:
            name = ids.new_id("inst")
            file.write_text(name, encoding="utf-8")
    return Installation(name, folder)
