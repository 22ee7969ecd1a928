"""Carries HTTP requests to an application in the same process: a simulated year needs no sockets and no waiting."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
from starlette.types import ASGIApp, Message, Scope


class InProcess(httpx.BaseTransport):
    """The way to one application whose handlers never wait; for one thread. Breaks connections as uvicorn would."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.carried = 0
        """So many requests."""
        self.interrupt: Callable[[httpx.Request], None] = _go_on
        """Called with each request just before its first byte; to take long there is to stand still."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.carried += 1
        self.interrupt(request)
        exchange = _Exchange(request.read())
        _run(self._app(_scope(request), exchange.receive, exchange.send))
        return exchange.response(request)


def _go_on(_request: httpx.Request) -> None:
    """Nothing comes between."""


class _Exchange:
    """One request and what comes of it. It is its own `transport`, which is what a fault takes hold of."""

    def __init__(self, body: bytes) -> None:
        self._unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._start: Message | None = None
        self._parts: list[bytes] = []
        self._broken = False

    @property
    def transport(self) -> _Exchange:
        return self

    def abort(self) -> None:
        self._broken = True

    close = abort

    async def receive(self) -> Message:
        return self._unread.pop() if self._unread else {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self._parts.append(message.get("body", b""))

    def response(self, request: httpx.Request) -> httpx.Response:
        """What the caller sees. Raises ReadError and RemoteProtocolError where a real connection would."""
        if self._start is None:
            raise httpx.ReadError("The connection was reset.", request=request)
        if self._broken:
            raise httpx.RemoteProtocolError("The connection ended within the body.", request=request)
        stream = httpx.ByteStream(b"".join(self._parts))
        return httpx.Response(self._start["status"], headers=self._start["headers"], stream=stream)


def _scope(request: httpx.Request) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (request.url.host, request.url.port),
        "client": ("127.0.0.1", 0),
    }


def _run(handling: Awaitable[None]) -> None:
    """Carry a handler to its end. Raises RuntimeError for one that waits: time stands still here."""
    for awaited in handling.__await__():
        # None means that it gave way to others, and there are none.
        if awaited is not None:
            raise RuntimeError("The application waits for something, which it must not within a simulation.")
