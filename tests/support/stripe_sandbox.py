"""Starts the simulated Stripe for tests and talks to it through the real client, checking every call on the way."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import stripe
import uvicorn
from starlette.types import ASGIApp

from connector.sandbox.stripe import create_app
from tests.support.stripe_schema import violations

KEY = "sk_test_sandbox"
MONDAY = "2026-03-02T10:00:00+11:00"
"""An ordinary Monday morning in Sydney, to which tests set the clock first."""


class RecordingClient(stripe.HTTPXClient):
    """The real HTTP client of stripe-python, with every call checked against the API document."""

    def __init__(self) -> None:
        super().__init__(allow_sync_methods=True, timeout=10)
        self.violations: list[str] = []
        self.calls: list[tuple[str, str, int]] = []

    def request(self, method: str, url: str, headers: Any, post_data: Any = None, **options: Any) -> Any:
        content, status, answer_headers = super().request(method, url, headers, post_data, **options)
        path = url[url.index("/v1") :]
        self.calls.append((method, path, status))
        form = post_data.decode() if isinstance(post_data, bytes) else post_data or ""
        if method == "post" and "Idempotency-Key" not in headers:
            self.violations.append(f"{path}: a POST without an idempotency key")
        self.violations += violations(method.upper(), path, form, status, json.loads(content))
        return content, status, answer_headers


class Sandbox:
    """A running sandbox: its address, a client, and the control endpoints."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.recorder = RecordingClient()
        self.client = stripe.StripeClient(KEY, base_addresses={"api": url}, http_client=self.recorder)
        self.v1 = self.client.v1
        self.http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def set_clock(self, instant: str) -> dict[str, Any]:
        """Move the clock, which runs what became due."""
        return self._json(self.http.post("/_sandbox/clock", json={"now": instant}))

    def fault(self, **fields: Any) -> None:
        """Arm a fault."""
        self._json(self.http.post("/_sandbox/faults", json=fields))

    def totals(self) -> dict[str, Any]:
        """The independent sums."""
        return self._json(self.http.get("/_sandbox/totals"))

    def member(self, method: str, *, bank: bool = False) -> tuple[str, str]:
        """A customer with a payment method saved over the hosted page; returns both ids."""
        customer = self.v1.customers.create({"email": "payer@example.org"})
        session = self.v1.checkout.sessions.create(
            {
                "mode": "setup",
                "currency": "aud",
                "customer": customer.id,
                "allowed_payment_method_types": ["au_becs_debit"] if bank else ["card"],
                "success_url": "https://example.org/thanks?s={CHECKOUT_SESSION_ID}",
            }
        )
        assert session.url is not None
        assert self.http.post(session.url, data={"method": method}).status_code == 303
        methods = self.v1.customers.payment_methods.list(customer.id)
        return customer.id, methods.data[0].id

    def charge(
        self, customer: str, method: str, cents: int = 2900, key: str = "", **extra: Any
    ) -> stripe.PaymentIntent:
        """The two calls of a scheduled charge."""
        create: Any = {"amount": cents, "currency": "aud", "customer": customer, "capture_method": "automatic", **extra}
        intent = self.v1.payment_intents.create(create)
        options: Any = {"idempotency_key": key} if key else {}
        confirm: Any = {"payment_method": method, "off_session": True, "amount_to_confirm": cents}
        return self.v1.payment_intents.confirm(intent.id, confirm, options=options)

    def close(self) -> None:
        """Close both clients."""
        closing: Any = self.recorder
        closing.close()
        self.http.close()

    @staticmethod
    def _json(answer: httpx.Response) -> dict[str, Any]:
        assert answer.status_code == 200, answer.text
        decoded: dict[str, Any] = answer.json()
        return decoded


@contextlib.contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an application from a thread; the address is usable at once because the socket already listens."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


@contextlib.contextmanager
def running_sandbox(database: Path, start: str = MONDAY) -> Iterator[Sandbox]:
    """A fresh sandbox whose clock stands at `start`."""
    with serving(create_app(database)) as url:
        sandbox = Sandbox(url)
        sandbox.set_clock(start)
        try:
            yield sandbox
        finally:
            sandbox.close()
