"""The composition root: from settings to the context that every use case works with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from connector.billing.stripe import StripeProcessor
from connector.clock import Clock, MovableClock, SystemClock
from connector.database.engine import Database
from connector.database.migrate import prepare
from connector.settings import Settings
from connector.use_cases.context import Context, PmsConnections


@contextmanager
def application(settings: Settings, clock: Clock | None = None) -> Iterator[Context]:
    """Open the database, Stripe and the practice systems while the block runs. Raises DomainError for bad settings."""
    clock = clock or (MovableClock(settings.clock.now) if settings.clock.now else SystemClock())
    database = Database(settings.database_url)
    connections = PmsConnections(clock)
    processor = StripeProcessor(settings.stripe)
    try:
        prepare(database)
        yield Context(database, clock, processor, connections)
    finally:
        connections.close()
        processor.close()
        database.close()
