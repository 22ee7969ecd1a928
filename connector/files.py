"""Files and folders with care: for the owner alone where they hold what is personal, and never a pipe for a file."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_WITHOUT_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


class NotAnOrdinaryFile(Exception):
    """The name belongs to a folder, a pipe or a device."""


def private_folder(folder: Path) -> None:
    """Create a folder, and those above it that are missing, for the owner alone; one that exists stays as it is."""
    for path in (*reversed(folder.parents), folder):
        path.mkdir(mode=0o700, exist_ok=True)


def private_file(file: Path) -> None:
    """Create an empty file for the owner alone unless it exists; whoever opens it next says what is wrong."""
    # An existing file is not even opened: closing it would release the locks that SQLite holds in this process.
    if not file.exists():
        with suppress(OSError):
            os.close(os.open(file.resolve(), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def open_ordinary(file: Path) -> BinaryIO:
    """Open a file for reading. Raises NotAnOrdinaryFile for what might never end or never answer, and OSError."""
    # A pipe would wait for its writer, so it is opened without waiting; only what was opened is judged.
    descriptor = os.open(file, os.O_RDONLY | _WITHOUT_WAITING)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAnOrdinaryFile
    return os.fdopen(descriptor, "rb")
