"""The office: its database file, its clock, its settings, and the unit of work that everything runs in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import RLock

from connector.clock import zone
from connector.sandbox.clock import SandboxClock
from connector.sandbox.open_dental import schema
from connector.sandbox.open_dental.names import digits
from connector.sandbox.open_dental.options import OfficeOptions, Version, parse_version
from connector.sandbox.open_dental.wire import ApiError


class Office:
    """One simulated office. All access to `db` happens inside `work`, which also holds the present moment still."""

    def __init__(self, database: Path, options: OfficeOptions) -> None:
        self.clock = SandboxClock()
        self.options = options
        self.db = sqlite3.connect(database, isolation_level=None, check_same_thread=False, cached_statements=512)
        self.db.row_factory = sqlite3.Row
        self.db.create_function("digits", 1, digits, deterministic=True)
        self._lock = RLock()
        self._now = self.clock.now()
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        self.db.execute("PRAGMA temp_store = MEMORY")
        with self.work():
            if not self.db.execute("SELECT 1 FROM sqlite_master WHERE name = 'patient'").fetchone():
                schema.create(self.db)
            self._restore_clock()
            self.apply(options)

    def close(self) -> None:
        """Release the database file."""
        with self._lock:
            self.db.close()

    @contextmanager
    def work(self, at: datetime | None = None) -> Iterator[None]:
        """All or nothing: commits at the end, rolls back on an exception. `at` dates the work (default: now)."""
        with self._lock:
            self._now = at or self.clock.now()
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")

    def has_patients(self) -> bool:
        """Whether anybody is on file."""
        with self.work():
            return self.db.execute("SELECT 1 FROM patient LIMIT 1").fetchone() is not None

    @property
    def today(self) -> str:
        """The office's date (yyyy-MM-dd)."""
        return self.stamp[:10]

    @property
    def stamp(self) -> str:
        """The office's local time (yyyy-MM-dd HH:mm:ss); like the real one it names no zone."""
        return self._now.astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S")

    def has(self, version: str) -> bool:
        """Whether the office's program is at least of that version."""
        return self.options.version >= parse_version(version)

    def insert(self, table: str, columns: Mapping[str, object]) -> int:
        """Store a row and return its number. Names of tables and columns are the program's own, never a caller's."""
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - see the docstring
        return self.db.execute(statement, (*columns.values(),)).lastrowid or 0

    def update(self, table: str, key: str, number: int, columns: Mapping[str, object]) -> None:
        """Overwrite columns of the row whose `key` is `number`; the same holds for the names."""
        assignments = ", ".join(f"{name} = ?" for name in columns)
        statement = f"UPDATE {table} SET {assignments} WHERE {key} = ?"  # noqa: S608 - see the docstring
        self.db.execute(statement, (*columns.values(), number))

    def knows(self, table: str, key: str, number: int) -> bool:
        """Whether the table has a row of that number; the same holds for the names."""
        statement = f"SELECT 1 FROM {table} WHERE {key} = ?"  # noqa: S608 - see the docstring
        return self.db.execute(statement, (number,)).fetchone() is not None

    def demand(self, since: Version, what: str) -> None:
        """Raise ApiError 400 when the office's program is older than `since`."""
        if self.options.version < since:
            raise ApiError(400, f"{what} requires version {'.'.join(map(str, since))} or later.")

    def preference(self, name: str) -> int:
        """A numeric preference; 0 when the office has none of that name."""
        row = self.db.execute("SELECT ValueString FROM preference WHERE PrefName = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def demand_open(self, day: str) -> None:
        """Raise ApiError 400 for a closed day, where that binds the API."""
        last = date.fromisoformat(self.today) - timedelta(days=self.options.lock_days)
        too_old = self.options.lock_days > 0 and day <= last.isoformat()
        if self.options.lock_binds_api and (day <= self.options.lock_date or too_old):
            raise ApiError(400, "Date is locked.")

    def default_billing_type(self) -> int:
        """The DefNum of the first billing type, which new patients get."""
        query = "SELECT MIN(DefNum) FROM definition WHERE Category = ?"
        return int(self.db.execute(query, (schema.BILLING_TYPES,)).fetchone()[0])

    def apply(self, options: OfficeOptions) -> None:
        """Take on new options, and show those among them that are preferences. Call inside `work`."""
        self.options = options
        self._zone = zone(options.timezone)
        future = str(int(options.future_dates_allowed))
        self.db.executemany(
            "INSERT INTO preference (PrefName, ValueString) VALUES (?, ?)"
            " ON CONFLICT (PrefName) DO UPDATE SET ValueString = excluded.ValueString",
            [
                ("ProgramVersion", options.program_version),
                ("RigorousAccounting", options.allocation.preference),
                ("FutureTransDatesAllowed", future),
                ("AccountAllowFutureDebits", future),
                ("SecurityLockDate", options.lock_date),
                ("SecurityLockDays", str(options.lock_days)),
            ],
        )

    def set_clock(self, instant: datetime) -> None:
        """Set the clock and remember it, so that a restarted office does not go back in time. Call inside `work`."""
        self.clock.set(instant)
        self.db.execute("DELETE FROM sandbox_clock")
        self.db.execute("INSERT INTO sandbox_clock VALUES (?)", (self.clock.now().isoformat(),))

    def _restore_clock(self) -> None:
        row = self.db.execute("SELECT Now FROM sandbox_clock").fetchone()
        if row:
            self.clock.set(datetime.fromisoformat(row[0]))
