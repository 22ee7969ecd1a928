"""A copy of the database on which nothing is real: made in a temporary folder and removed afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import insert, select, text

from connector.database.engine import Database
from connector.database.migrate import migrate
from connector.use_cases.tables import METADATA

BATCH = 1_000


@contextmanager
def copied(database: Database) -> Iterator[Database]:
    """A SQLite copy of all that is stored, as it stands at this moment."""
    with TemporaryDirectory(prefix="rehearsal-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "copy.sqlite3"
        if database.path is not None:
            with database.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                cursor = connection.connection.cursor()
                cursor.execute("VACUUM INTO ?", (str(file),))
                cursor.close()
        copy = Database(f"sqlite:///{file.as_posix()}")
        try:
            if database.path is None:
                _transfer(database, copy)
            yield copy
        finally:
            copy.close()


def _transfer(source: Database, copy: Database) -> None:
    """Row by row, from a database of another kind; what a migration brought by itself is replaced."""
    migrate(copy)
    with source.read() as reading, copy.unit_of_work() as writing:
        writing.execute(text("PRAGMA defer_foreign_keys=ON"))
        for table in METADATA.sorted_tables:
            rows = reading.execute(select(table).execution_options(yield_per=BATCH))
            for part in rows.mappings().partitions(BATCH):
                writing.execute(insert(table), [dict(row) for row in part])
