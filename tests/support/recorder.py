"""ASGI wrappers that watch the exchanges with a simulated Stripe, to be checked against the API document."""

from __future__ import annotations

import json
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.support.stripe_schema import request_violations, violations


def _heard(receive: Receive, kept: bytearray) -> Receive:
    """Passes a request on and keeps its body."""

    async def heard() -> Message:
        message = await receive()
        kept.extend(message.get("body", b""))
        return message

    return heard


class Recorder:
    """Passes everything on unchanged. `violations()` says what broke the document, and which POSTs had no key."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.exchanges: list[tuple[str, str, str, int, Any]] = []
        self.without_key: list[str] = []

    def violations(self) -> list[str]:
        found = [text for exchange in self.exchanges for text in violations(*exchange)]
        return found + [f"{path}: a POST without an idempotency key" for path in self.without_key]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        request, answer = bytearray(), bytearray()
        status = 0

        async def said(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            answer.extend(message.get("body", b""))
            await send(message)

        await self._app(scope, _heard(receive, request), said)
        query = scope["query_string"].decode()
        path = f"{scope['path']}?{query}" if query else scope["path"]
        self.exchanges.append((scope["method"], path, request.decode(), status, json.loads(bytes(answer))))
        if scope["method"] == "POST" and b"idempotency-key" not in dict(scope["headers"]):
            self.without_key.append(scope["path"])


class SentRequests:
    """Passes everything on unchanged, and keeps what our own client's accepted POSTs break of the API document."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.violations: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        is_ours = headers.get(b"user-agent", b"").startswith(b"Stripe/")
        if scope["type"] != "http" or scope["method"] != "POST" or not is_ours:
            await self._app(scope, receive, send)
            return
        request = bytearray()
        accepted = False

        async def said(message: Message) -> None:
            nonlocal accepted
            if message["type"] == "http.response.start":
                # A page of a guest network, which answers without reading, is no answer of Stripe's.
                is_json = b"application/json" in dict(message["headers"]).get(b"content-type", b"")
                accepted = is_json and message["status"] < 400
            await send(message)

        await self._app(scope, _heard(receive, request), said)
        if accepted:
            found = request_violations("POST", scope["path"], request.decode())
            self.violations += [f"POST {scope['path']}: {problem}" for problem in found]
            if b"idempotency-key" not in headers:
                self.violations.append(f"POST {scope['path']}: without an idempotency key")
