"""What every use case works with: the database, the clock, Stripe, and the open connections to practice systems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

import connector.use_cases.tables  # noqa: F401  (loads all models, so that foreign keys find their tables)
from connector.billing.clinics import Location, all_locations
from connector.billing.prices.platform_fee import DEFAULT_TIERS, Tier
from connector.billing.processor import PaymentProcessor
from connector.clock import Clock
from connector.database.engine import Database
from connector.database.installation import ALONE, Installation
from connector.database.seal import SealWatch
from connector.ledger.write_back.recipients import Recipients
from connector.pms_adapters.port import AdapterFactory, ConnectionContext, PmsAdapter
from connector.pms_adapters.registry import adapter


@dataclass
class PmsConnections:
    """One open adapter per location, made on first use; safe to share between threads."""

    clock: Clock
    factories: Mapping[str, AdapterFactory] = field(default_factory=dict)
    """Adapters by name that stand in for the installed ones; for tests."""
    _open: dict[str, PmsAdapter] = field(default_factory=dict)
    _recipients: dict[str, Recipients] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, location: Location) -> PmsAdapter:
        """The connection of a location. Raises DomainError for an unknown adapter or bad settings."""
        with self._lock:
            if location.id not in self._open:
                factory = self.factories.get(location.pms_adapter) or adapter(location.pms_adapter)
                context = ConnectionContext(location.currency, location.timezone, self.clock)
                self._open[location.id] = factory.open(location.pms_settings, context)
            return self._open[location.id]

    def recipients(self, location: Location) -> Recipients:
        """Which of its patients can be written to. Raises DomainError as above."""
        adapter = self.of(location)
        with self._lock:
            return self._recipients.setdefault(location.id, Recipients(adapter, self.clock))

    def close(self) -> None:
        with self._lock:
            self._recipients.clear()
            for connection in self._open.values():
                connection.close()
            self._open.clear()


@dataclass(frozen=True)
class Context:
    """Handed to every use case by the composition root."""

    database: Database
    clock: Clock
    processor: PaymentProcessor
    pms: PmsConnections
    installation: Installation = ALONE
    """Which of the installations that share the database this one is."""
    seal_watch: SealWatch = field(default_factory=SealWatch)
    public_url: str = ""
    """Where patients reach the link pages, without a slash at the end; empty: they are sent to Stripe's pages."""
    tiers: Mapping[str, Tier] = field(default_factory=lambda: DEFAULT_TIERS)
    """The platform's rates."""
    fee_kept_by_stripe: bool = False
    """Whether a platform account is configured, so that Stripe passes the platform's fee on by itself."""

    def locations(self) -> list[Location]:
        """Every location as it stands now, by short name."""
        with self.database.read() as session:
            return all_locations(session)
