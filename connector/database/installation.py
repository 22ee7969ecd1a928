"""One place where the product runs: its name among those that share a database, its machine, and who may send there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout

from connector import ids
from connector.database.machine import machine_number
from connector.files import private_folder

NAME_FILE = "installation"
SENDING_LOCK = "sending.lock"


@dataclass(frozen=True, slots=True)
class Installation:
    """Known by an id that is kept in its data folder; without a folder it is alone."""

    id: str
    folder: Path | None = None

    @property
    def is_elsewhere(self) -> bool:
        """Whether the folder was copied here from another machine. Where machines have no numbers nobody can tell."""
        if self.folder is None:
            return False
        _, _, bound_to = (self.folder / NAME_FILE).read_text(encoding="utf-8").partition("\n")
        here = _mark(self.id)
        return bool(bound_to and here) and bound_to != here

    def settle_here(self) -> None:
        """From now on it belongs to this machine."""
        if self.folder is not None:
            (self.folder / NAME_FILE).write_text(f"{self.id}\n{_mark(self.id)}", encoding="utf-8")

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
    """The installation of that data folder, which gets its id, and its machine, when it is first asked for."""
    private_folder(folder)
    file = folder / NAME_FILE
    # Two processes that begin at once must come to one id.
    with FileLock(folder / f"{NAME_FILE}.lock"):
        name, _, bound_to = file.read_text(encoding="utf-8").partition("\n") if file.exists() else ("", "", "")
        found = Installation(name.strip() or ids.new_id("inst"), folder)
        if not bound_to:
            found.settle_here()
    return found


def _mark(installation_id: str) -> str:
    """What this machine is called in that folder: nobody can tell its number from it. Empty without a number."""
    number = machine_number()
    return sha256(f"{installation_id}|{number}".encode()).hexdigest()[:32] if number else ""
