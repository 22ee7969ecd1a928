"""The outbox folder, in which messages are files: for trying things out, and until a real back end is set up."""

from __future__ import annotations

from pathlib import Path

from connector import ids
from connector.files import private_folder


def put(folder: Path, prefix: str, suffix: str, content: bytes) -> str:
    """Add one file, as a whole or not at all, and return its name, which says nothing about the person."""
    private_folder(folder)
    file = folder / f"{ids.new_id(prefix)}{suffix}"
    unfinished = file.with_suffix(".part")
    unfinished.write_bytes(content)
    unfinished.replace(file)
    return file.stem
