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
from connector.web.patient.rate_limit import Client, RateLimit, client_of

FORM_MAX = 16_384
"""Bytes of a submitted form."""
FIELDS_MAX = 30
BODY_SECONDS = 5
"""So long a request may take to send its body."""
HSTS = "max-age=63072000"
LINK_PATH = "/l/"
TOO_MANY = "Too many requests: please wait a minute."
AT_ONCE_MAX = 200
AT_ONCE = (20, 40)
"""Requests of a household, and of the network around it, that are answered at the same time: so many keep nobody else
out."""
BUSY = "The pages are busy: please try again in a few seconds."
_COME_AGAIN = {"Retry-After": "10", "Connection": "close"}


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
    """Refuses requests while too many are being answered, of their address, its network or all.

    A form counts only once it has arrived as a whole, so whoever sends one without end takes nobody's place.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._total = 0
        self._places: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = client_of(HTTPConnection(scope))
        is_counted = False

        async def arriving() -> Message:
            nonlocal is_counted
            message = await receive()
            if not is_counted and message["type"] == "http.request" and not message.get("more_body"):
                is_counted = self._take(client)
                if not is_counted:
                    raise HTTPException(503, BUSY, _COME_AGAIN)
            return message

        if scope["method"] != "POST" and not (is_counted := self._take(client)):
            await PlainTextResponse(BUSY, 503, _COME_AGAIN)(scope, receive, send)
            return
        try:
            await self._app(scope, arriving, send)
        finally:
            if is_counted:
                self._give_back(client)

    def _take(self, client: Client) -> bool:
        if self._total >= AT_ONCE_MAX or any(self._places[p] >= most for p, most in zip(client, AT_ONCE, strict=False)):
            return False
        self._total += 1
        self._places.update(client)
        return True

    def _give_back(self, client: Client) -> None:
        self._total -= 1
        self._places.subtract(client)
        self._places += Counter()  # Forgets those for whom nothing is being answered.


class LimitedRequests:
    """Refuses requests above the budget of their address, and counts those for links that find nothing."""

    def __init__(self, app: ASGIApp, *, links: RateLimit, others: RateLimit) -> None:
        self._app = app
        self._links, self._others = links, others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = client_of(HTTPConnection(scope))
        limit = self._links if scope["path"].startswith(LINK_PATH) else self._others

        async def heeded(message: Message) -> None:
            if limit is self._links and message["type"] == "http.response.start" and message["status"] == 404:
                limit.failed(client)
            await send(message)

        if limit.allows(client):
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
