"""Keeps everything the sandbox knows in one SQLite file: JSON documents, due work, idempotent answers, deliveries.

One connection, used by one thread. What a request changes and the answer stored for its key commit together.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connector.sandbox.stripe.errors import Document

_TABLES = """
CREATE TABLE IF NOT EXISTS object (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, created INTEGER NOT NULL,
    body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS object_by_kind ON object (kind, seq);
CREATE TABLE IF NOT EXISTS due (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL,
    UNIQUE (at, action, target));
CREATE TABLE IF NOT EXISTS answer (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
    request TEXT NOT NULL, created INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS delivery (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL, attempts INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS delivery_by_event ON delivery (event);
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_INDEXED = (
    ("balance_transaction", "_payout"),
    ("balance_transaction", "source"),
    ("charge", "customer"),
    ("charge", "payment_intent"),
    ("customer", "email"),
    ("dispute", "charge"),
    ("event", "type"),
    ("mandate", "payment_method"),
    ("payment_intent", "customer"),
    ("payment_method", "customer"),
    ("refund", "charge"),
    ("refund", "payment_intent"),
    ("setup_intent", "customer"),
)

Filters = Mapping[str, Any]
"""Field name to wanted value; a list means any of them. `created[gte]` and the like compare instants;
`[since]` means the same as `[gte]` and can stand beside it."""

_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "since": ">="}


class Store:
    """The sandbox's database. Opening an existing file continues where the last process stopped."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.executescript(_TABLES)
        for kind, field in _INDEXED:
            name = f"{kind}_{field}".replace(".", "_")
            self.connection.execute(
                f"CREATE INDEX IF NOT EXISTS {name} ON object (body ->> '{field}', seq) WHERE kind = '{kind}'"
            )

    def close(self) -> None:
        """Close the file; everything committed stays."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit on the way out, undo everything when an exception passes."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def put(self, document: Document) -> None:
        """Insert the document, or replace its earlier state without changing its place in the order."""
        self.connection.execute(
            "INSERT INTO object (id, kind, created, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (document["id"], document["object"], document.get("created", 0), json.dumps(document)),
        )

    def get(self, kind: str, object_id: str) -> Document | None:
        """The document of that kind and id."""
        row = self.connection.execute("SELECT kind, body FROM object WHERE id = ?", (object_id,)).fetchone()
        return json.loads(row[1]) if row and row[0] == kind else None

    def position(self, object_id: str) -> int | None:
        """Place of the document in the order of creation."""
        row = self.connection.execute("SELECT seq FROM object WHERE id = ?", (object_id,)).fetchone()
        return row[0] if row else None

    def select(
        self,
        kind: str,
        filters: Filters | None = None,
        *,
        limit: int = -1,
        before: int | None = None,
        after: int | None = None,
    ) -> list[Document]:
        """Documents newest first, or oldest first when `after` (a position) is given."""
        clauses, values = [f"kind = '{kind}'"], list[Any]()
        for field, wanted in (filters or {}).items():
            name, _, comparison = field.removesuffix("]").partition("[")
            column = "created" if name == "created" else f"body ->> '{name}'"
            if isinstance(wanted, list):
                clauses.append(f"{column} IN ({', '.join('?' * len(wanted))})")
                values += wanted
            else:
                clauses.append(f"{column} {_COMPARISONS.get(comparison, '=')} ?")
                values.append(wanted)
        if before is not None:
            clauses.append("seq < ?")
            values.append(before)
        if after is not None:
            clauses.append("seq > ?")
            values.append(after)
        order = "DESC" if after is None else "ASC"
        rows = self.connection.execute(
            f"SELECT body FROM object WHERE {' AND '.join(clauses)} ORDER BY seq {order} LIMIT ?",  # noqa: S608 - names are our own
            (*values, limit),
        )
        return [json.loads(row[0]) for row in rows]

    def schedule(self, at: int, action: str, target: str) -> None:
        """Note work to be done at that instant; the same work at the same instant is noted once."""
        self.connection.execute("INSERT OR IGNORE INTO due (at, action, target) VALUES (?, ?, ?)", (at, action, target))

    def next_due(self, now: int) -> tuple[int, int, str, str] | None:
        """The earliest work that has become due, as (row, instant, action, target)."""
        found: tuple[int, int, str, str] | None = self.connection.execute(
            "SELECT seq, at, action, target FROM due WHERE at <= ? ORDER BY at, seq LIMIT 1", (now,)
        ).fetchone()
        return found

    def done(self, row: int) -> None:
        """Forget work that has been done."""
        self.connection.execute("DELETE FROM due WHERE seq = ?", (row,))

    def setting(self, name: str) -> str | None:
        """A single remembered value."""
        row = self.connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def remember(self, name: str, value: str) -> None:
        """Keep a single value."""
        self.connection.execute(
            "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )
