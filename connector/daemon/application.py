"""The composition root: from settings to the context that every use case works with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from connector.billing.prices.platform_fee import DEFAULT_TIERS, Tier
from connector.billing.stripe import StripeProcessor
from connector.clock import Clock, MovableClock, SystemClock
from connector.database.engine import Database
from connector.database.installation import installation
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
        yield Context(
            database,
            clock,
            processor,
            connections,
            installation=installation(settings.data_dir),
            public_url=settings.links.public_url,
            tiers=_tiers(settings),
            fee_kept_by_stripe=bool(settings.stripe.account),
        )
    finally:
        connections.close()
        processor.close()
        database.close()


def _tiers(settings: Settings) -> Mapping[str, Tier]:
    """The platform's rates: those of the settings over the built-in ones."""
    own = {name: Tier(name=name.title(), **rates.model_dump()) for name, rates in settings.platform.tiers.items()}
    return {**DEFAULT_TIERS, **own}
