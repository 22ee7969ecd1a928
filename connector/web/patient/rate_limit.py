"""How many requests one address, and all together, may send: buckets that fill up again with time, in memory only."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from connector.clock import Clock


@dataclass(frozen=True, slots=True)
class Budget:
    """So many requests at once, and so many a minute in the long run."""

    burst: int
    per_minute: int


ONE_CLIENT = Budget(burst=60, per_minute=30)
ALL_CLIENTS = Budget(burst=1_000, per_minute=1_000)
CLIENTS_MAX = 10_000
"""Addresses that are remembered; the one not seen for longest is forgotten first."""


class RateLimit:
    """Counts requests. An address that is over its budget takes nothing from the others'."""

    def __init__(self, clock: Clock, one: Budget = ONE_CLIENT, together: Budget = ALL_CLIENTS) -> None:
        self._clock = clock
        self._one = one
        self._together = _Bucket(together, clock.now().timestamp())
        self._clients: OrderedDict[str, _Bucket] = OrderedDict()

    def allows(self, client: str) -> bool:
        """Count one request of that address."""
        now = self._clock.now().timestamp()
        bucket = self._clients.pop(client, None) or _Bucket(self._one, now)
        self._clients[client] = bucket
        if len(self._clients) > CLIENTS_MAX:
            self._clients.popitem(last=False)
        return bucket.take(now) and self._together.take(now)


class _Bucket:
    """What is left of a budget."""

    __slots__ = ("_at", "_budget", "_left")

    def __init__(self, budget: Budget, now: float) -> None:
        self._budget, self._left, self._at = budget, float(budget.burst), now

    def take(self, now: float) -> bool:
        earned = max(0.0, now - self._at) / 60 * self._budget.per_minute
        self._left, self._at = min(self._budget.burst, self._left + earned), now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def client_of(connection: HTTPConnection) -> str:
    """The address that a request comes from; of IPv6 the network, of which a household has one.

    Only a proxy on this machine is believed when it says whom it speaks for, and only its own, last entry.
    """
    address = connection.client.host if connection.client else ""
    if _loopback(address):
        forwarded = connection.headers.getlist("X-Forwarded-For")
        told = ",".join(forwarded).rpartition(",")[2].strip()
        address = told or address
    return _network(address)


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
