"""The outbox folder, in which messages are files: for trying things out, and until a real back end is set up."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from connector import ids
from connector.errors import NotSent
from connector.files import private_file, private_folder


def put(folder: Path, prefix: str, suffix: str, content: bytes) -> str:
    """Add one file for the owner alone, as a whole or not at all.

    Returns its name, which says nothing about the person. Raises NotSent when it cannot be written.
    """
    file = folder / f"{ids.new_id(prefix)}{suffix}"
    unfinished = file.with_suffix(".part")
    try:
        private_folder(folder)
        private_file(unfinished)
        unfinished.write_bytes(content)
        unfinished.replace(file)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise NotSent(
            f"The messages cannot be written to {folder} ({error.strerror}): make room, or give the connector access."
        ) from None
    return file.stem
