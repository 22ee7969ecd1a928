"""Guards the control endpoints of a sandbox: their POST requests carry a JSON object and say so.

A page in a browser can post a form to loopback unasked, but not JSON. What is wrong is named under `error`.
"""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTROL_PREFIX = "/_sandbox/"


class ControlGuard:
    """Pure ASGI middleware; lets everything but control requests pass untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        guarded = scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(CONTROL_PREFIX)
        if not guarded:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        body = await request.body()
        if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            refusal = JSONResponse({"error": "A control request is JSON: send it as application/json."}, 415)
            await refusal(scope, receive, send)
        elif not _is_object(body):
            await JSONResponse({"error": "The body is not a JSON object."}, 400)(scope, receive, send)
        else:
            unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

            async def again() -> Message:
                return unread.pop() if unread else await receive()

            await self._app(scope, again, send)


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False
