"""The patients' application: link pages, their submission, and the processor's webhook.

Looking at an address (GET, HEAD) changes nothing, because mail scanners and previews look first; a form does.
The token in the address is the whole authority: there are no cookies, so there is nothing that another site could ride.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connector.billing.documents.html import CONTENT_SECURITY_POLICY, render_html
from connector.errors import ConnectorError, InvariantBroken
from connector.settings import StripeSettings
from connector.use_cases.collection.method_page import THANK_YOU
from connector.use_cases.context import Context
from connector.use_cases.patient_pages.answers import Again, Done, Go
from connector.use_cases.patient_pages.open_link import open_link, opened_invoice
from connector.use_cases.patient_pages.renew_link import renew_link
from connector.use_cases.patient_pages.submit_link import submit_link
from connector.web.patient import views
from connector.web.patient.protection import BUSY, Headers, LimitedAtOnce, LimitedRequests, form_of, is_processor_page
from connector.web.patient.rate_limit import OTHER_BUDGETS, RateLimit
from connector.web.webhook import webhook_route

log = structlog.get_logger()

SORRY = "Something went wrong on our side. Please try again in a few minutes."
_SENTENCES = {
    400: "The form could not be read: please use the form of the page.",
    405: "This address cannot be used that way.",
    408: "The form took too long to arrive: please try again.",
    413: "The form is too large.",
    415: "Please use the form of the page.",
    503: BUSY,
}


def patient_app(context: Context, stripe: StripeSettings, on_news: Callable[[], None] = lambda: None) -> ASGIApp:
    """The application for `context.public_url`. `on_news` is called when a webhook has brought something new."""
    pages = _Pages(context, stripe)
    routes = [
        Route("/l/{token}", pages.link, methods=["GET", "POST"]),
        Route("/l/{token}/invoice", pages.invoice, methods=["GET"]),
        Route(THANK_YOU, _thank_you, methods=["GET"]),
        Route("/style.css", _style, methods=["GET"]),
    ]
    if stripe.webhook_secrets:
        routes.append(webhook_route(context, on_news))
    host = urlsplit(context.public_url).hostname or ""
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(LimitedAtOnce),
            # Another name in the request means that it was not meant for these pages.
            Middleware(TrustedHostMiddleware, allowed_hosts=[host], www_redirect=False),
            Middleware(LimitedRequests, links=RateLimit(context.clock), others=RateLimit(context.clock, OTHER_BUDGETS)),
        ],
        exception_handlers={HTTPException: _refused, ConnectorError: _failed, Exception: _failed},
    )
    # A slash too many must not redirect to an address that this application has not chosen.
    app.router.redirect_slashes = False
    return Headers(app, public_url=context.public_url, stripe=stripe)


class _Pages:
    """The endpoints of `/l/{token}`. The database is asked in threads, so that one slow page holds up no other."""

    def __init__(self, context: Context, stripe: StripeSettings) -> None:
        self._context = context
        self._stripe = stripe

    async def link(self, request: Request) -> Response:
        """One route for both, so that the answer to any other method can say which there are."""
        return await (self.submit if request.method == "POST" else self.show)(request)

    async def show(self, request: Request) -> Response:
        opened = await run_in_threadpool(open_link, self._context, request.path_params["token"])
        return views.link_page(opened, request.url.path) if opened else views.neutral_page()

    async def submit(self, request: Request) -> Response:
        token, form = request.path_params["token"], await form_of(request)
        if form.get("action") == "new":
            answer = views.asked_page()
            # Done after the answer, which therefore takes as long for every token.
            answer.background = BackgroundTask(renew_link, self._context, token)
            return answer
        match await run_in_threadpool(submit_link, self._context, token, form):
            case Go(url):
                return self._leave(url)
            case Done() as done:
                return views.done_page(done)
            case Again(opened, notice, filled):
                return views.link_page(opened, request.url.path, notice, filled)
            case _:
                return views.neutral_page()

    async def invoice(self, request: Request) -> Response:
        document = await run_in_threadpool(opened_invoice, self._context, request.path_params["token"])
        if document is None:
            return views.neutral_page()
        return HTMLResponse(render_html(document), headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    def _leave(self, url: str) -> Response:
        if not is_processor_page(url, self._stripe):
            raise InvariantBroken("The processor named a page that is not its own: the payer was not sent there.")
        return RedirectResponse(url, 303)


async def _thank_you(_request: Request) -> Response:
    return views.thank_you_page()


async def _style(_request: Request) -> Response:
    return PlainTextResponse(views.STYLE, media_type="text/css")


async def _refused(_request: Request, refusal: Exception) -> Response:
    status = refusal.status_code if isinstance(refusal, HTTPException) else 500
    page = views.problem_page(status, _SENTENCES.get(status, "There is nothing at this address."))
    if isinstance(refusal, HTTPException):
        page.headers.update(refusal.headers or {})
    return page


async def _failed(_request: Request, error: Exception) -> Response:
    """The path is not logged: it is the token."""
    log.error("patient_page.failed", exc_info=error)
    return views.problem_page(503 if isinstance(error, ConnectorError) else 500, SORRY)
