"""Writes that the office carries out only after the caller was told 504: the worst that a relayed call can do."""

from __future__ import annotations

from datetime import datetime, timedelta

from connector.sandbox.open_dental import payments
from connector.sandbox.open_dental.body import parse_body
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.wire import ApiError, Call


class LateWrites:
    """Holds back new payments when armed, and lets them land once the sandbox clock has reached their time.

    They are kept in the office's file, so that a restart does not lose them.
    """

    def __init__(self, office: Office) -> None:
        self._office = office
        self._count = 0
        self._delay = timedelta()
        self._next: datetime | None = None
        self._look_ahead()

    def arm(self, count: int, delay: timedelta) -> None:
        """Hold back the next `count` payments for `delay` each."""
        self._count, self._delay = count, delay

    def take(self, body: bytes) -> bool:
        """Hold this payment back if one is wanted; tells whether it did."""
        if self._count <= 0:
            return False
        self._count -= 1
        due = self._office.clock.now() + self._delay
        with self._office.work():
            values = (due.isoformat(timespec="microseconds"), body.decode(errors="replace"))
            self._office.db.execute("INSERT INTO late_write (Due, Body) VALUES (?, ?)", values)
        self._look_ahead()
        return True

    def land(self) -> None:
        """Carry out what is due, dated as of its own time."""
        while self._next is not None and self._next <= self._office.clock.now():
            with self._office.work(at=self._next):
                row = self._office.db.execute("SELECT * FROM late_write ORDER BY Due, Number LIMIT 1").fetchone()
                self._office.db.execute("DELETE FROM late_write WHERE Number = ?", (row["Number"],))
                try:
                    payments.create(self._office, Call({}, parse_body(row["Body"].encode())))
                except ApiError:
                    """The office refuses it as it would have at once, and nobody is left to hear it."""
            self._look_ahead()

    def _look_ahead(self) -> None:
        with self._office.work():
            due = self._office.db.execute("SELECT MIN(Due) FROM late_write").fetchone()[0]
        self._next = datetime.fromisoformat(due) if due else None
