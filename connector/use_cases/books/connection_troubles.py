"""Practice systems that are left alone because they keep failing: what is the matter, and having one tried at once."""

from __future__ import annotations

from connector.billing.clinics import Location
from connector.ledger.write_back import breaker
from connector.use_cases.context import Context


def connection_trouble(context: Context, location: Location) -> str | None:
    """What is the matter with the location's practice system and what comes next; None when all is well."""
    now = context.clock.now()
    with context.database.read() as session:
        trouble = breaker.trouble_of(session, location.id)
    return trouble.sentence(now, location.zone) if trouble else None


def retry_connection(context: Context, location: Location) -> bool:
    """Let the next run try the location's practice system; False when nothing holds it up.

    For a person who has mended it, and for whoever changes the settings of the connection.
    """
    with context.database.unit_of_work() as session:
        return breaker.retry(session, location.id, context.clock.now())
