"""Where a simulated practice keeps its database, and how a backup of it is made and put back."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psycopg
import pysqlite3.dbapi2 as sqlite
from psycopg import sql
from sqlalchemy.engine import make_url


class Kept(Protocol):
    """A database that nobody is connected to when its backup is made or put back."""

    @property
    def url(self) -> str:
        """Its address."""

    def save(self) -> None:
        """Make a backup of the database as it is now."""

    def put_back(self) -> None:
        """Put the backup in its place."""


@dataclass(frozen=True)
class InFile:
    """An SQLite file in that folder."""

    folder: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self._file.as_posix()}"

    @property
    def _file(self) -> Path:
        return self.folder / "connector.sqlite3"

    @property
    def _backup(self) -> Path:
        return self.folder / "backup.sqlite3"

    def save(self) -> None:
        with closing(sqlite.connect(self._file)) as live, closing(sqlite.connect(self._backup)) as kept:
            live.backup(kept)

    def put_back(self) -> None:
        for leftover in ("-wal", "-shm"):
            self._file.with_name(self._file.name + leftover).unlink(missing_ok=True)
        shutil.copy(self._backup, self._file)


@dataclass(frozen=True)
class OnServer:
    """A database on a PostgreSQL server; its backup stands beside it under another name."""

    url: str

    def save(self) -> None:
        self._copy(self._name, f"{self._name}_backup")

    def put_back(self) -> None:
        self._copy(f"{self._name}_backup", self._name)

    @property
    def _name(self) -> str:
        return make_url(self.url).database or ""

    def _copy(self, source: str, target: str) -> None:
        server = make_url(self.url).set(database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(server, autocommit=True) as connection:
            there, here = sql.Identifier(source), sql.Identifier(target)
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(here))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(here, there))
