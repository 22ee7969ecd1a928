"""Keeps the trouble of one location to that location: adapters are other people's code and may raise anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager

import structlog

from connector.billing.clinics import Location
from connector.database.engine import DatabaseUnavailable
from connector.errors import DomainError, EdgeError

log = structlog.get_logger()


@contextmanager
def contained(location: Location, tell: Callable[[str], None]) -> Iterator[None]:
    """End the block at any error and tell it as one sentence; what concerns all locations is raised on.

    Raises DatabaseUnavailable, and CancelledError when the pool that does the work is closing.
    """
    try:
        yield
    except (DatabaseUnavailable, CancelledError):
        raise
    except (DomainError, EdgeError) as error:
        tell(str(error))
    except Exception as error:
        log.exception("location.failed", location=location.slug)
        tell(f"The work for the location {location.slug!r} failed ({type(error).__name__}): see the log.")
