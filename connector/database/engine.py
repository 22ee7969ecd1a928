"""Opens the database: one writing and several reading connections, each transaction durable once committed.

SQLite runs in WAL mode with `synchronous=FULL`: an acknowledged intent survives a power cut. A writing transaction
begins IMMEDIATE, because a deferred one that reads first fails at once when another has written meanwhile.
The engine comes from the pysqlite3 wheel: system libraries before 3.51.3 can corrupt a file in WAL mode.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.orm import Session

from connector.errors import ConnectorError, DomainError
from connector.failpoints import failpoint
from connector.files import private_file, private_folder

BUSY_TIMEOUT_MS = 10_000
READERS_MAX = 16
DAMAGED = "The database file is damaged, or is no database: put it aside and restore a backup."
_MET = ("40001", "40P01")
"""PostgreSQL's codes for two transactions that cannot both be carried out: serialization failure, and deadlock."""


class DatabaseUnavailable(ConnectorError):
    """The database did not accept a transaction; nothing of it was kept."""


class Database:
    """The practice's own state. Opened once per process and shared by its threads."""

    def __init__(self, url: str) -> None:
        self.url = database_address(url)
        if self.path is not None:
            private_folder(self.path.parent)
            # SQLite gives its log files the rights of the database.
            private_file(self.path)
            self._writer = _sqlite_engine(url, readonly=False)
            self._reader = _sqlite_engine(url, readonly=True)
        elif self.url.get_backend_name() == "postgresql":
            self._writer = create_engine(
                self.url.set(drivername="postgresql+psycopg"),
                pool_pre_ping=True,
                hide_parameters=True,
                pool_size=READERS_MAX,
            )
            self._reader = self._writer
        else:
            raise DomainError("The database must be SQLite or PostgreSQL: check CONNECTOR_DATABASE__URL.")

    @property
    def path(self) -> Path | None:
        """The SQLite file; None for PostgreSQL."""
        return Path(self.url.database or "") if self.url.get_backend_name() == "sqlite" else None

    @property
    def writer(self) -> Engine:
        """The writing engine, for migrations."""
        return self._writer

    @property
    def reader(self) -> Engine:
        """The reading engine; on PostgreSQL the same one."""
        return self._reader

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """One writing transaction: committed when the block ends, rolled back when it raises.

        Never make an outside call inside. Raises DatabaseUnavailable when the database is locked, full or gone.
        """
        with Session(self._writer, expire_on_commit=False, autoflush=False) as session:
            try:
                yield session
                session.flush()
                failpoint("commit.before")
                session.commit()
            except OperationalError as error:
                session.rollback()
                raise DatabaseUnavailable(_sentence(error)) from None
        failpoint("commit.after")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A reading session on a snapshot; SQLite refuses any write in it."""
        with Session(self._reader, expire_on_commit=False, autoflush=False) as session:
            try:
                yield session
            except OperationalError as error:
                raise DatabaseUnavailable(_sentence(error)) from None

    def close(self) -> None:
        self._writer.dispose()
        self._reader.dispose()


def database_address(url: str) -> URL:
    """The parts of a database's address. Raises DomainError for what is none, without showing it."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise DomainError("CONNECTOR_DATABASE__URL is no address of a database: check how it is written.") from None


def sqlite_version() -> str:
    """Version of the SQLite library in use."""
    import pysqlite3.dbapi2 as sqlite

    return str(sqlite.sqlite_version)


def _sqlite_engine(url: str, *, readonly: bool) -> Engine:
    import pysqlite3.dbapi2 as sqlite

    pool = {"pool_size": READERS_MAX} if readonly else {"pool_size": 1, "max_overflow": 0, "pool_timeout": 60}
    engine = create_engine(url, module=sqlite, connect_args={"check_same_thread": False}, hide_parameters=True, **pool)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: DBAPIConnection, _record: object) -> None:
        # The driver's own transaction handling emits no BEGIN before reads; ours does, below.
        connection.isolation_level = None
        cursor = connection.cursor()
        try:
            for pragma in (
                f"busy_timeout={BUSY_TIMEOUT_MS}",
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                f"query_only={'ON' if readonly else 'OFF'}",
            ):
                cursor.execute(f"PRAGMA {pragma}")
        except sqlite.OperationalError:
            raise
        except sqlite.DatabaseError:
            raise DatabaseUnavailable(DAMAGED) from None
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")

    return engine


def _sentence(error: OperationalError) -> str:
    """Say what is wrong without quoting the statement or its values, which may be personal."""
    reason = str(error.orig).lower()
    if getattr(error.orig, "sqlstate", "") in _MET:
        return "Two pieces of work met; nothing of this step was kept: try again."
    if "locked" in reason or "busy" in reason:
        return "The database is locked by another program: close whatever has the file open and try again."
    if "full" in reason:
        return "The disk is full, and nothing of this step was kept: free some space and try again."
    if "no such" in reason or "does not exist" in reason:
        return "The database has not been set up: run `connector migrate`."
    return f"The database is not available ({type(error.orig).__name__}): check that its file or server can be reached."


def check_integrity(database: Database) -> bool:
    """SQLite's own quick check of the file; True for PostgreSQL, which guards itself."""
    if database.path is None:
        return True
    try:
        with database.read() as session:
            return session.execute(text("PRAGMA quick_check(1)")).scalar() == "ok"
    except DatabaseError:
        return False


def require_sound(database: Database) -> None:
    """Raise DatabaseUnavailable for a damaged file: whoever charges and writes on what is left may do it twice."""
    if not check_integrity(database):
        raise DatabaseUnavailable(DAMAGED)
