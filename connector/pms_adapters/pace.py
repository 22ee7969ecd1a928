"""Time limits of calls: the deadline of one, and the budget of all that go to one practice system."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from connector.errors import NotSent

LONGEST_PAUSE_SECONDS = 3_600.0
"""A pause that a practice system asks for is granted up to here: longer ones come of a faulty clock or a relay."""


class Deadline:
    """The moment until which one call of the port may last, in seconds from now."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._end = monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left; negative when it has passed."""
        return self._end - self._monotonic()


class Pace:
    """A bucket of one token that is filled `calls_per_minute` times (0: at once), so that requests are spaced evenly.

    Saves nothing up, because a system that counts by the second refuses a burst. Safe to use from several threads.
    """

    def __init__(
        self,
        calls_per_minute: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = 60 / calls_per_minute if calls_per_minute else 0.0
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = monotonic()

    def wait(self, deadline: Deadline) -> None:
        """Sleep until it is this caller's turn. Raises NotSent at once when that would be after the deadline."""
        with self._lock:
            now = self._monotonic()
            turn = max(now, self._next)
            if turn - now >= deadline.remaining():
                raise NotSent("Nothing was sent, because earlier requests used up the rate limit: try again later.")
            self._next = turn + self._interval
        self._sleep(turn - now)

    def hold_off(self, seconds: float) -> None:
        """Let nobody have a turn for so long, because the other side has asked for it."""
        with self._lock:
            self._next = max(self._next, self._monotonic() + min(seconds, LONGEST_PAUSE_SECONDS))

    def remaining(self) -> float:
        """Seconds until the next turn."""
        with self._lock:
            return max(0.0, self._next - self._monotonic())
