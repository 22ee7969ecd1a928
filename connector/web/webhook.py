"""The processor's webhook: what it signs is stored in the inbox that polling fills too, and acted on later."""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from connector.billing.inbox import store
from connector.errors import DomainError, UnexpectedResponse
from connector.use_cases.context import Context
from connector.web.patient.protection import limited_body

PATH = "/stripe/webhook"
BODY_MAX = 524_288
"""Bytes; events are some thousands."""


def webhook_route(context: Context, on_news: Callable[[], None]) -> Route:
    """POST /stripe/webhook. `on_news` is called when an event was new, and must return at once."""

    def receive(payload: bytes, signature: str) -> bool:
        now = context.clock.now()
        event = context.processor.verify_webhook(payload, signature, now)
        with context.database.unit_of_work() as session:
            return store(session, [event], now, polled=False) > 0

    async def webhook(request: Request) -> Response:
        payload = await limited_body(request, BODY_MAX)
        try:
            new = await run_in_threadpool(receive, payload, request.headers.get("Stripe-Signature", ""))
        except (DomainError, UnexpectedResponse):
            return PlainTextResponse("This request is not accepted.", 400)
        if new:
            on_news()
        return PlainTextResponse("")

    return Route(PATH, webhook, methods=["POST"])
