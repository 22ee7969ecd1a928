"""How many requests an address and its network may send: buckets that fill up again with time, in memory only.

What fails, because its token is not known, counts for all addresses together. That budget shuts out only addresses that
have just failed several times themselves: however many of them guess, whoever comes with a good link is let in, also
after an old one was tried.
"""

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


Client = tuple[str, ...]
"""Where a request comes from: a household's address or network, then the network around it."""

CLIENT_BUDGETS = (Budget(burst=60, per_minute=30), Budget(burst=300, per_minute=150))
"""Of a household; and of the network that a provider gives out as one, which has 256 addresses of IPv4, or 65,536
networks of households of IPv6."""
OTHER_BUDGETS = (Budget(burst=600, per_minute=600), Budget(burst=3_000, per_minute=3_000))
"""The same for whatever is no link. The processor sends its events from few addresses, a thousand in a run's minutes;
what is refused comes again, and is polled besides."""
FAILURES = Budget(burst=1_000, per_minute=1_000)
"""Of all together."""
FAILURES_OF_ONE = Budget(burst=3, per_minute=1)
"""Of an address, before it waits for the others: who has opened old links is no guesser."""
CLIENTS_MAX = 10_000
"""Addresses and networks that are remembered; the one not seen for longest is forgotten first."""


class RateLimit:
    """Counts requests. An address that is over its budget takes nothing from the others'."""

    def __init__(self, clock: Clock, budgets: tuple[Budget, ...] = CLIENT_BUDGETS) -> None:
        self._clock, self._budgets = clock, budgets
        self._failures = _Bucket(FAILURES, self._now())
        self._places: OrderedDict[str, _Bucket] = OrderedDict()

    def allows(self, client: Client) -> bool:
        """Count one request from there."""
        now = self._now()
        failures = self._places.get(_failures_of(client))
        if failures is not None and failures.is_empty(now) and self._failures.is_empty(now):
            return False
        buckets = [self._bucket(place, budget, now) for place, budget in zip(client, self._budgets, strict=False)]
        return all(bucket.take(now) for bucket in buckets)

    def failed(self, client: Client) -> None:
        """Count a request from there that has asked for what there is not."""
        now = self._now()
        self._failures.take(now)
        self._bucket(_failures_of(client), FAILURES_OF_ONE, now).take(now)

    def _bucket(self, place: str, budget: Budget, now: float) -> _Bucket:
        bucket = self._places.pop(place, None) or _Bucket(budget, now)
        self._places[place] = bucket
        if len(self._places) > CLIENTS_MAX:
            self._places.popitem(last=False)
        return bucket

    def _now(self) -> float:
        return self._clock.now().timestamp()


class _Bucket:
    """What is left of a budget."""

    __slots__ = ("_at", "_budget", "_left")

    def __init__(self, budget: Budget, now: float) -> None:
        self._budget, self._left, self._at = budget, float(budget.burst), now

    def is_empty(self, now: float) -> bool:
        earned = max(0.0, now - self._at) / 60 * self._budget.per_minute
        self._left, self._at = min(self._budget.burst, self._left + earned), now
        return self._left < 1

    def take(self, now: float) -> bool:
        if self.is_empty(now):
            return False
        self._left -= 1
        return True


def _failures_of(client: Client) -> str:
    return f"failures of {client[0]}"


def client_of(connection: HTTPConnection) -> Client:
    """Where a request comes from.

    Only a proxy on this machine is believed when it says whom it speaks for, and only its own, last entry. Some proxies
    add the port, which the sender can change at will.
    """
    address = connection.client.host if connection.client else ""
    if _loopback(address):
        forwarded = connection.headers.getlist("X-Forwarded-For")
        told = ",".join(forwarded).rpartition(",")[2].strip()
        address = _without_port(told) or address
    return _places(address)


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _without_port(entry: str) -> str:
    """'192.0.2.1:5000' and '[2001:db8::1]:5000' without port and brackets."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry


def _places(address: str) -> Client:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ("unknown",)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return tuple(str(ipaddress.IPv6Network((int(parsed), length), strict=False)) for length in (64, 48))
        # An address of IPv4 in the clothes of IPv6.
        parsed = parsed.ipv4_mapped
    return str(parsed), str(ipaddress.IPv4Network((int(parsed), 24), strict=False))
