"""Named places where a test can kill the process for real: before and after each commit and each outside call.

Their names are commit.before, commit.after, and the same of read and write. Without the variable CONNECTOR_FAILPOINT a
failpoint is one dictionary look-up. Its value is `name` or `name:n` (die at the n-th pass); a name may end in `*`.
A simulation watches the same places within its own process.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from itertools import count

VARIABLE = "CONNECTOR_FAILPOINT"
_passes = count(1)
_watcher: Callable[[str], None] | None = None


def failpoint(name: str) -> None:
    """Die here, without any clean-up, if the environment asks for it."""
    if _watcher is not None:
        _watcher(name)
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    pattern, _, nth = wanted.partition(":")
    if fnmatchcase(name, pattern) and next(_passes) == int(nth or 1):
        _die()


@contextmanager
def outside_call(*, reads: bool = False) -> Iterator[None]:
    """A call to another system: a failpoint before it and one after its answer, and none after a failure."""
    kind = "read" if reads else "write"
    failpoint(f"{kind}.before")
    yield
    failpoint(f"{kind}.after")


@contextmanager
def watched(by: Callable[[str], None]) -> Iterator[None]:
    """Tell `by` of each pass while the block runs; what it raises goes through the place that was passed."""
    global _watcher
    previous, _watcher = _watcher, by
    try:
        yield
    finally:
        _watcher = previous


def _die() -> None:
    if hasattr(signal, "SIGKILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(137)  # Windows has no SIGKILL; this ends the process just as abruptly.
