"""Keeps the trouble of one location or of one piece of work to itself, so that all the others go on.

Adapters are other people's code and may raise anything, and so may an object that nobody foresaw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from connector.billing.clinics import Location
from connector.database.engine import DatabaseUnavailable
from connector.errors import AccessDenied, ConnectorError, DomainError, EdgeError, NotSent, OutcomeUnknown, RateLimited

log = structlog.get_logger()

CONNECTION = (NotSent, AccessDenied, RateLimited, OutcomeUnknown)
"""Errors of the connection: what comes next on it would meet the same."""


@dataclass
class Told:
    """What is wrong, for whoever reads the report of a piece of work."""

    problems: list[str] = field(default_factory=list, kw_only=True)

    def tell(self, sentence: str) -> None:
        """What is wrong with many things is told once."""
        if sentence not in self.problems:
            self.problems.append(sentence)


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


def attempted(work: Callable[[], object], tell: Callable[[str], None], failure: str, **ids: str) -> bool:
    """Do one piece of work of many; False when it failed, which is told as one sentence.

    `failure` begins the sentence, e.g. "The event evt_1 cannot be acted on"; a refusal says all by itself. The `ids`
    find it in the log. Raises what the others would meet too: the same as above, and CONNECTION.
    """
    try:
        work()
    except (DatabaseUnavailable, CancelledError, *CONNECTION):
        raise
    except DomainError as error:
        tell(str(error))
    except ConnectorError as error:
        tell(f"{failure}. {error}")
    except Exception as error:
        log.exception("work.failed", **ids)
        tell(f"{failure} ({type(error).__name__}): see the log.")
    else:
        return True
    return False
