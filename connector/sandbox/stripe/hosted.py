"""The pages that a payer sees: choosing a test method for a Checkout Session, and the bank's 3-D Secure question."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from connector.sandbox.stripe import charging, checkout
from connector.sandbox.stripe.errors import ApiError, Document
from connector.sandbox.stripe.methods import BECS, TEST_METHODS
from connector.sandbox.stripe.world import World

WorldOf = Callable[[Request], World]
"""Gives the sandbox as it is at a request, with all due work done."""

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:1rem/1.5 sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}}
select,button{{font:inherit;padding:.4rem;margin:.3rem 0}}</style>
<h1>{title}</h1>{body}</html>"""


def routes(world_of: WorldOf, after: Callable[[], None]) -> list[Route]:
    """`/c/pay/{session}` and `/c/authenticate/{intent}`; `after` is called when something changed."""

    async def pay(request: Request) -> Response:
        name = str((await request.form()).get("method", ""))
        world = world_of(request)
        session = world.store.get("checkout.session", request.path_params["session"])
        if session is None or session["status"] != "open":
            return _page(
                "This page is no longer available", "<p>Ask for a new link.</p>", 404 if session is None else 410
            )
        if request.method == "GET":
            return _page("Save a payment method", _choices(session))
        try:
            with world.store.transaction():
                target = checkout.complete(world, session, name)
        except ApiError as refusal:
            notice = f'<p role="alert">{escape(str(refusal))}</p>'
            return _page("Save a payment method", notice + _choices(session), refusal.status)
        after()
        return RedirectResponse(target, 303)

    async def authenticate(request: Request) -> Response:
        passed = (await request.form()).get("outcome") == "success"
        world = world_of(request)
        intent = world.store.get("payment_intent", request.path_params["intent"])
        if intent is None or intent["status"] != "requires_action" or not intent["_return_url"]:
            return _page("Nothing to confirm", "<p>This payment needs no confirmation.</p>", 404)
        if request.method == "GET":
            return _page("Your bank asks: is this you?", _buttons())
        with world.store.transaction():
            charging.authenticated(world, intent, passed=passed)
        after()
        # Stripe tells the browser who comes back from what; none of it may be believed there.
        told = {"payment_intent": intent["id"], "payment_intent_client_secret": intent["client_secret"]}
        told["redirect_status"] = "succeeded" if passed else "failed"
        return RedirectResponse(str(URL(intent["_return_url"]).include_query_params(**told)), 303)

    return [
        Route("/c/pay/{session}", pay, methods=["GET", "POST"]),
        Route("/c/authenticate/{intent}", authenticate, methods=["GET", "POST"]),
    ]


def _choices(session: Document) -> str:
    options = "".join(
        f'<option value="{name}">{"Bank account" if behaviour.type == BECS else "Card"}: {name}</option>'
        for name, behaviour in TEST_METHODS.items()
        if behaviour.type in session["payment_method_types"]
    )
    message = (session["custom_text"]["submit"] or {}).get("message", "")
    return (
        '<form method="post"><label>Test payment method<br>'
        f'<select name="method">{options}</select></label><br>'
        "<p>By saving a bank account you accept the Direct Debit Request.</p><button>Save</button></form>"
        f"<p>{escape(message)}</p>"
    )


def _buttons() -> str:
    return (
        '<form method="post"><button name="outcome" value="success">Yes, complete</button> '
        '<button name="outcome" value="fail">No, fail</button></form>'
    )


def _page(title: str, body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(title=title, body=body), status)
