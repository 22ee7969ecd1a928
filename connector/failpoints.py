"""Named places where a test can kill the process for real: before and after commits and outside calls.

Without the variable CONNECTOR_FAILPOINT a failpoint is one dictionary look-up. Its value is `name` or `name:n`
(die at the n-th pass); a name may end in `*`.
"""

from __future__ import annotations

import os
import signal
from fnmatch import fnmatchcase
from itertools import count

VARIABLE = "CONNECTOR_FAILPOINT"
_passes = count(1)


def failpoint(name: str) -> None:
    """Die here, without any clean-up, if the environment asks for it."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    pattern, _, nth = wanted.partition(":")
    if fnmatchcase(name, pattern) and next(_passes) == int(nth or 1):
        _die()


def _die() -> None:
    if hasattr(signal, "SIGKILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(137)  # Windows has no SIGKILL; this ends the process just as abruptly.
