"""Delivers events to webhook endpoints in the background, signed as Stripe signs them, with a few retries."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import time

import httpx

from connector.sandbox.stripe.errors import Document
from connector.sandbox.stripe.store import Store
from connector.sandbox.stripe.world import ACCOUNT_ID

ATTEMPTS_MAX = 5
_TIMEOUT_SECONDS = 5.0
_BATCH = 20


class Deliveries:
    """A queue that lives in the store, so that a restart continues it. `pause_seconds` doubles after each failure."""

    def __init__(self, store: Store, pause_seconds: float = 0.2) -> None:
        self._store = store
        self._pause_seconds = pause_seconds
        self._news = asyncio.Event()
        self._waiting: dict[int, float] = {}

    def wake(self) -> None:
        """There may be something to deliver."""
        self._news.set()

    async def run(self) -> None:
        """Deliver until cancelled. Failed deliveries wait without holding up the others."""
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            while True:
                self._news.clear()
                rows = self._ready()
                await asyncio.gather(*(self._deliver(client, *row) for row in rows))
                if not rows:
                    await self._rest()

    def _ready(self) -> list[tuple[int, str, str, int]]:
        rows = self._store.connection.execute(
            "SELECT seq, event, endpoint, attempts FROM delivery ORDER BY seq"
        ).fetchall()
        now = time.monotonic()
        return [row for row in rows if self._waiting.get(row[0], 0.0) <= now][:_BATCH]

    async def _rest(self) -> None:
        soonest = min(self._waiting.values(), default=None)
        timeout = None if soonest is None else max(0.0, soonest - time.monotonic())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), timeout)

    async def _deliver(
        self, client: httpx.AsyncClient, row: int, event_id: str, endpoint_id: str, attempts: int
    ) -> None:
        event = self._store.get("event", event_id)
        endpoint = self._store.get("webhook_endpoint", endpoint_id)
        accepted = event is None or endpoint is None or await _send(client, endpoint, event)
        connection = self._store.connection
        if accepted or attempts + 1 >= ATTEMPTS_MAX:
            self._waiting.pop(row, None)
            connection.execute("DELETE FROM delivery WHERE seq = ?", (row,))
            current = self._store.get("event", event_id)
            if accepted and current is not None:
                current["pending_webhooks"] -= 1
                self._store.put(current)
        else:
            self._waiting[row] = time.monotonic() + self._pause_seconds * 2**attempts
            connection.execute("UPDATE delivery SET attempts = attempts + 1 WHERE seq = ?", (row,))


def signature(payload: str, secret: str, timestamp: int) -> str:
    """The `Stripe-Signature` header of a payload."""
    digest = hmac.new(secret.encode(), f"{timestamp}.{payload}".encode(), hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


async def _send(client: httpx.AsyncClient, endpoint: Document, event: Document) -> bool:
    # A platform's endpoint hears of all its accounts, so it is told which one.
    payload = json.dumps({**event, "account": ACCOUNT_ID} if endpoint["_connect"] else event, indent=2)
    # Receivers compare the signature's time with their real clock, so the sandbox's own clock would not do.
    header = signature(payload, endpoint["_secret"], int(time.time()))
    headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": header}
    try:
        answer = await client.post(endpoint["url"], content=payload.encode(), headers=headers)
    except httpx.HTTPError:
        return False
    return answer.is_success
