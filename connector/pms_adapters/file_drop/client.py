"""Reads and publishes whole files in the shared folder; knows no records."""

from __future__ import annotations

import csv
import io
import os
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connector.errors import AccessDenied, NotSent, OutcomeUnknown, Rejected, UnexpectedResponse
from connector.files import NotAnOrdinaryFile, open_ordinary

MAX_FILE_BYTES = 50_000_000


@dataclass(frozen=True, slots=True, repr=False)
class Line:
    """One data line of a CSV file, with the place to name when it is wrong."""

    place: str
    values: Mapping[str, str]


def read_lines(path: Path, required: Collection[str], optional: Collection[str] = ()) -> list[Line]:
    """All data lines of a UTF-8 CSV file with a header.

    Raises UnexpectedResponse when the file is missing, half-written or malformed, naming file and line only,
    NotSent when the folder cannot be reached, and AccessDenied when the file may not be read.
    """
    with _translated(path.name):
        if not path.parent.is_dir():
            raise NotSent(f"The folder of {path.name} cannot be reached: connect the share, or create the folder.")
        if not path.exists():
            raise UnexpectedResponse(f"There is no file {path.name}: put it into the folder {path.parent.name!r}.")
        try:
            content = _start_of(path)
        except NotAnOrdinaryFile:
            raise UnexpectedResponse(f"{path.name} is not an ordinary file: put the export in its place.") from None
        if len(content) > MAX_FILE_BYTES:
            raise UnexpectedResponse(f"{path.name} is larger than {MAX_FILE_BYTES} bytes: split it.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UnexpectedResponse(f"{path.name}, line {line}, is not UTF-8: export it as 'CSV UTF-8'.") from None
    if not text.endswith("\n"):
        # A file that is still being copied looks like this, and its last amount may be cut.
        raise UnexpectedResponse(f"{path.name} does not end with a line break: it is half-written. Copy it again.")
    return list(_parsed(path.name, text, required, optional))


def publish(path: Path, content: bytes) -> bool:
    """Create a file whole or not at all; False when one of that name is there already, which is left alone.

    Raises NotSent or AccessDenied when certainly nothing was published, OutcomeUnknown when the disk did not confirm.
    """
    with _translated(path.name):
        path.parent.mkdir(exist_ok=True)
        draft = path.with_name(f".{path.stem}.{secrets.token_hex(8)}.tmp")
        try:
            with draft.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            # Unlike a rename, a link never replaces a file, on any system.
            os.link(draft, path)
        except FileExistsError:
            return False
        finally:
            draft.unlink(missing_ok=True)
    try:
        _sync_folder(path.parent)
    except OSError:
        raise OutcomeUnknown(f"{path.name} was published, but the disk did not confirm it: look for it.") from None
    return True


def read_published(path: Path) -> bytes | None:
    """The content of one of our own files, as far as one can be long; None when there is none.

    Raises NotSent, AccessDenied, and Rejected when the name belongs to something else than a file.
    """
    with _translated(path.name):
        try:
            return _start_of(path)
        except FileNotFoundError:
            return None
        except NotAnOrdinaryFile:
            raise Rejected(f"{path.name} is not an ordinary file, so nothing was written: take it away.") from None


def _start_of(path: Path) -> bytes:
    """At most one byte more than a file may have, which tells that it is too long."""
    with open_ordinary(path) as stream:
        return stream.read(MAX_FILE_BYTES + 1)


def files_in(folder: Path) -> list[Path]:
    """The CSV files of a folder by name. Raises NotSent when the folder cannot be reached."""
    with _translated(folder.name):
        return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv" and path.is_file())


def _parsed(name: str, text: str, required: Collection[str], optional: Collection[str]) -> Iterator[Line]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip().lower() for column in next(reader, [])]
        missing = [column for column in required if column not in header]
        if missing or len(set(header)) != len(header):
            raise UnexpectedResponse(f"{name}, line 1, must name each of these columns once: {', '.join(required)}.")
        known = {*required, *optional}
        for row in reader:
            if not row:
                continue
            place = f"{name}, line {reader.line_num}"
            if len(row) != len(header):
                raise UnexpectedResponse(f"{place}, has {len(row)} values instead of {len(header)}: correct it.")
            values = {column: value.strip() for column, value in zip(header, row, strict=True) if column in known}
            blank = [column for column in required if not values[column]]
            if blank:
                raise UnexpectedResponse(f"{place}, has no {blank[0]}: fill it in.")
            yield Line(place, {column: values.get(column, "") for column in known})
    except csv.Error:
        raise UnexpectedResponse(f"{name}, line {reader.line_num}, is not proper CSV: export the file again.") from None


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise AccessDenied(
            f"This software may not use {name}: give it the right to read and write the folder."
        ) from None
    except OSError as error:
        raise NotSent(f"{name} cannot be reached ({type(error).__name__}): check the share and try again.") from None


def _sync_folder(folder: Path) -> None:
    """Make the new name durable; Windows does that by itself and offers no call for it."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
