"""Scripted faults for simulated HTTP systems: the disturbances that a network and a busy server cause.

A fault is armed over HTTP, waits for matching requests and is used up. Requests to `/_sandbox/` are never disturbed.
The connection tricks need uvicorn, because ASGI itself has no word for a connection that breaks.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from threading import Lock
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.sandbox.control import CONTROL_PREFIX

_LOGIN_PAGE = "<!doctype html><title>Guest network</title><p>Please sign in to use this network.</p>"


class Kind(StrEnum):
    """What goes wrong. "Before" means that the request is not carried out, "after" that it is."""

    STATUS_BEFORE = "status_before"
    STATUS_AFTER = "status_after"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    TRUNCATE = "truncate"
    """Carry out, announce the whole answer, send half of it and break the connection."""
    HTML_200 = "html_200"
    """A captive portal: not carried out, and yet 200 with a web page."""
    HANG = "hang"
    """Carry out at once and hold the answer back for `delay_seconds`."""
    RATE_LIMIT = "rate_limit"
    """429 with Retry-After, not carried out."""


_CARRIED_OUT = frozenset({Kind.STATUS_AFTER, Kind.RESET_AFTER, Kind.TRUNCATE})


@dataclass(slots=True)
class Fault:
    """One armed fault: lets `skip` matching requests pass, then disturbs `count` of them (None: all)."""

    kind: Kind
    method: str = "*"
    path: str = "*"
    count: int | None = 1
    skip: int = 0
    status: int = 503
    delay_seconds: float = 1.0
    body: str | None = None

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Fault:
        """Build from a control request. Raises ValueError or TypeError when the fields make no fault."""
        fault = cls(**{**fields, "kind": Kind(fields.get("kind", ""))})
        whole = isinstance(fault.skip, int) and isinstance(fault.status, int) and isinstance(fault.count, int | None)
        if not (whole and isinstance(fault.delay_seconds, int | float) and isinstance(fault.body, str | None)):
            raise TypeError("skip, count and status are whole numbers, delay_seconds is a number, body is text")
        return fault

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is meant; method and path are patterns such as 'POST' and '/v1/refunds*'."""
        return fnmatchcase(method, self.method) and fnmatchcase(path, self.path)

    def answer(self) -> Response:
        """The answer that stands in for the real one."""
        if self.kind is Kind.HTML_200:
            return Response(self.body or _LOGIN_PAGE, media_type="text/html")
        if self.kind is Kind.RATE_LIMIT:
            text = self.body or _error("rate_limit", "Too many requests: slow down.")
            return Response(text, 429, {"Retry-After": "1"}, "application/json")
        return Response(
            self.body or _error("sandbox_fault", "The server failed."), self.status, None, "application/json"
        )


class Faults:
    """The script of armed faults; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._armed: list[Fault] = []
        self._down = False

    def arm(self, fault: Fault) -> None:
        """Add to the script; faults armed earlier are used up first."""
        with self._lock:
            self._armed.append(fault)

    def clear(self) -> None:
        """Forget all armed faults; a system that is down stays down."""
        with self._lock:
            self._armed.clear()

    def set_down(self, down: bool) -> None:
        """While down, every request is reset before it is carried out."""
        self._down = down

    def listing(self) -> list[dict[str, Any]]:
        """What is still armed, with the remaining counts."""
        with self._lock:
            return [asdict(fault) for fault in self._armed]

    def take(self, method: str, path: str) -> Fault | None:
        """Use up and return the fault for this request, if there is one."""
        if self._down:
            return Fault(Kind.RESET_BEFORE)
        with self._lock:
            fault = next((armed for armed in self._armed if armed.matches(method, path)), None)
            if fault is None:
                return None
            if fault.skip > 0:
                fault.skip -= 1
                return None
            if fault.count is not None:
                fault.count -= 1
                if fault.count <= 0:
                    self._armed.remove(fault)
            return fault


class FaultMiddleware:
    """Pure ASGI middleware that plays the script. Put it outermost among the application's own middleware."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = None
        if scope["type"] == "http" and not scope["path"].startswith(CONTROL_PREFIX):
            fault = self._faults.take(scope["method"], scope["path"])
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.kind is Kind.HANG:
            await self._hang(fault, scope, receive, send)
        else:
            await self._disturb(fault, scope, receive, send)

    async def _disturb(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind in _CARRIED_OUT:
            start, body = await self._execute(scope, receive)
        if fault.kind in {Kind.RESET_BEFORE, Kind.RESET_AFTER}:
            await _disconnect(receive, flush=False)
        elif fault.kind is Kind.TRUNCATE:
            await send(start)
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            await _disconnect(receive, flush=True)
        else:
            await fault.answer()(scope, receive, send)

    async def _hang(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        async def late(message: Message) -> None:
            if message["type"] == "http.response.start":
                await asyncio.sleep(fault.delay_seconds)
            await send(message)

        await self._app(scope, receive, late)

    async def _execute(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        """Run the application and keep its answer: the start message and the whole body."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        return messages[0], b"".join(message.get("body", b"") for message in messages[1:])


def control_routes(faults: Faults) -> list[Route]:
    """The routes `/_sandbox/faults` (GET, POST, DELETE) and `/_sandbox/down` (POST)."""

    async def script(request: Request) -> Response:
        if request.method == "POST":
            try:
                faults.arm(Fault.parse(await request.json()))
            except (ValueError, TypeError, AttributeError) as refusal:
                return JSONResponse({"error": f"This is not a fault: {refusal}."}, 400)
        if request.method == "DELETE":
            faults.clear()
        return JSONResponse({"faults": faults.listing()})

    async def down(request: Request) -> Response:
        faults.set_down(bool((await request.json()).get("down")))
        return JSONResponse({})

    return [
        Route(f"{CONTROL_PREFIX}faults", script, methods=["GET", "POST", "DELETE"]),
        Route(f"{CONTROL_PREFIX}down", down, methods=["POST"]),
    ]


async def _disconnect(receive: Receive, *, flush: bool) -> None:
    """Break the client's connection. uvicorn's `receive` is a method of the object that holds the transport."""
    transport: asyncio.Transport = getattr(receive, "__self__").transport  # noqa: B009 - typed access is impossible
    if flush:
        transport.close()
    else:
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        """Read on until the server has noticed, so that it does not try to answer."""


def _error(code: str, message: str) -> str:
    return json.dumps({"error": {"type": "api_error", "code": code, "message": message}})
