"""What guards every answer and request of the patients' pages: headers, limits of size and rate, allowed redirects."""

from __future__ import annotations

import asyncio
from collections import Counter
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.settings import STRIPE_API, StripeSettings
from connector.web.patient.rate_limit import RateLimit, client_of

FORM_MAX = 16_384
"""Bytes of a submitted form."""
FIELDS_MAX = 30
BODY_SECONDS = 10
"""So long a request may take to send its body."""
HSTS = "max-age=63072000"
LINK_PATH = "/l/"
TOO_MANY = "Too many requests: please wait a minute."
AT_ONCE_MAX = 200
AT_ONCE_OF_ONE = 20
"""Requests of one address, or network of IPv6, that are answered at the same time: so many keep nobody else out."""
BUSY = "The pages are busy: please try again in a few seconds."


class Headers:
    """Adds to every answer what keeps a page with somebody's data where it belongs."""

    def __init__(self, app: ASGIApp, *, public_url: str, stripe: StripeSettings) -> None:
        self._app = app
        self._headers = {
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "X-Robots-Tag": "noindex, nofollow",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'self'; form-action 'self' {processor_source(stripe)}; "
                "base-uri 'none'; frame-ancestors 'none'"
            ),
        }
        if public_url.startswith("https:"):
            self._headers["Strict-Transport-Security"] = HSTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, guarded)


class LimitedAtOnce:
    """Refuses requests while too many are being answered, of their address or of all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._of_one: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = client_of(HTTPConnection(scope))[0]
        if self._of_one[client] >= AT_ONCE_OF_ONE or self._of_one.total() >= AT_ONCE_MAX:
            busy = PlainTextResponse(BUSY, 503, {"Retry-After": "10", "Connection": "close"})
            await busy(scope, receive, send)
            return
        self._of_one[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._of_one[client] -= 1
            self._of_one += Counter()  # Forgets whom nothing is being answered for.


class LimitedLinks:
    """Refuses requests to link pages above the budget of their address, and counts those that find nothing."""

    def __init__(self, app: ASGIApp, *, limit: RateLimit) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(LINK_PATH):
            await self._app(scope, receive, send)
            return
        client = client_of(HTTPConnection(scope))

        async def heeded(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 404:
                self._limit.failed(client)
            await send(message)

        if self._limit.allows(client):
            await self._app(scope, receive, heeded)
        else:
            await PlainTextResponse(TOO_MANY, 429, {"Retry-After": "60"})(scope, receive, send)


async def limited_body(request: Request, most: int) -> bytes:
    """The body, read no further than `most` bytes and within BODY_SECONDS. Raises HTTPException."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise HTTPException(413)
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:
        # Nobody reads the answer, but a sender who hangs up is no failure of ours.
        raise HTTPException(400) from None
    return body


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a submitted form, without characters that cannot be printed. Raises HTTPException for no form."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = await limited_body(request, FORM_MAX)
    try:
        fields = parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        raise HTTPException(400) from None
    return {name: "".join(filter(str.isprintable, value)) for name, value in fields}


def processor_source(stripe: StripeSettings) -> str:
    """Where the processor's pages are, as a Content-Security-Policy names it."""
    return "https://*.stripe.com" if stripe.api_base == STRIPE_API else _origin(stripe.api_base)


def is_processor_page(url: str, stripe: StripeSettings) -> bool:
    """Whether a browser may be sent there: to the processor, over TLS, and nowhere else."""
    if stripe.api_base != STRIPE_API:
        return _origin(url) == _origin(stripe.api_base)
    parts = urlsplit(url)
    return parts.scheme == "https" and (parts.hostname or "").endswith(".stripe.com")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
