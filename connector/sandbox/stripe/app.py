"""The sandbox as an ASGI application: authentication, parameters, idempotency and transactions around the handlers.

Requests are carried out one after the other in the event loop's thread, so nothing here needs a lock; a key counts as
in flight until its answer has been sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from connector.ids import new_id
from connector.sandbox.clock import SandboxClock
from connector.sandbox.control import ControlGuard
from connector.sandbox.faults import FaultMiddleware, Faults, control_routes
from connector.sandbox.stripe import control, hosted, lifecycle, params, routes
from connector.sandbox.stripe.errors import ApiError
from connector.sandbox.stripe.idempotency import Keys, StoredAnswer, error_document, fingerprint
from connector.sandbox.stripe.store import Store
from connector.sandbox.stripe.webhooks import Deliveries
from connector.sandbox.stripe.world import ACCOUNT_ID, API_VERSION, World

_log = logging.getLogger(__name__)
_KEY = re.compile(r"Bearer (sk|rk)_test_\w+")


@dataclass(frozen=True, slots=True)
class _Call:
    """One request, taken apart and checked."""

    endpoint: routes.Endpoint
    ids: tuple[str, ...]
    params: params.Params
    fingerprint: str


class Api:
    """Everything under `/v1`."""

    def __init__(self, store: Store, clock: SandboxClock, deliveries: Deliveries) -> None:
        self._store = store
        self._clock = clock
        self._deliveries = deliveries
        self._keys = Keys(store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = (await request.body()).decode(errors="replace")
        world = self.world(request)
        held: str | None = None
        try:
            call = _read(request, body)
            held, replay = self._claim(request, call, world)
            headers = {"Idempotent-Replayed": "true", "Original-Request": replay.request} if replay else {}
            answer = replay or self._execute(call, world)
        except ApiError as refusal:
            headers = {}
            answer = StoredAnswer(refusal.status, json.dumps(error_document(refusal)), "")
        self._deliveries.wake()
        headers |= {"Request-Id": world.request_id or "", "Stripe-Version": API_VERSION}
        if world.idempotency_key:
            headers["Idempotency-Key"] = world.idempotency_key
        try:
            await Response(answer.body, answer.status, headers, "application/json")(scope, receive, send)
        finally:
            if held is not None:
                self._keys.release(held)

    def world(self, request: Request) -> World:
        """The sandbox at this moment, with everything done that was due."""
        world = World(self._store, int(self._clock.now().timestamp()), str(request.base_url).removesuffix("v1/"))
        world.request_id = new_id("req")
        world.from_platform = "Stripe-Account" in request.headers
        world.idempotency_key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        lifecycle.run_due(self._store, world.now, world.base_url)
        return world

    def _claim(self, request: Request, call: _Call, world: World) -> tuple[str | None, StoredAnswer | None]:
        """Hold the request's key, or find the answer that it already has."""
        key = world.idempotency_key
        if request.method != "POST" or key is None:
            return None, None
        replay = self._keys.begin(key, call.fingerprint, world.now)
        return (None if replay else key), replay

    def _execute(self, call: _Call, world: World) -> StoredAnswer:
        """Carry out the request; what it changed and the answer for its key are committed together."""
        with self._store.transaction():
            answer = self._attempt(call, world)
            if world.idempotency_key is not None:
                self._keys.keep(world.idempotency_key, call.fingerprint, answer, world.now)
        return answer

    def _attempt(self, call: _Call, world: World) -> StoredAnswer:
        """A refusal keeps what was done before it, as a declined charge must be kept; a failure of ours does not."""
        connection = self._store.connection
        connection.execute("SAVEPOINT attempt")
        try:
            document = call.endpoint.handler(world, call.params, *call.ids)
            status, body = 200, world.render(document, call.params.get("expand", []))
        except ApiError as refusal:
            status, body = refusal.status, error_document(refusal)
        except Exception:  # noqa: BLE001 - whatever goes wrong is a 500 that the key remembers
            _log.exception("sandbox.request_failed")
            connection.execute("ROLLBACK TO attempt")
            failure = ApiError(500, "An unknown error occurred.", kind="api_error")
            status, body = failure.status, error_document(failure)
        connection.execute("RELEASE attempt")
        return StoredAnswer(status, json.dumps(body), world.request_id or "")


def create_app(database: Path) -> Starlette:
    """The simulated Stripe with its state in `database`, which is created when it does not exist."""
    store = Store(database)
    clock = control.restore_clock(store)
    deliveries = Deliveries(store)
    api = Api(store, clock, deliveries)
    faults = Faults()

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        delivering = asyncio.create_task(deliveries.run())
        yield
        delivering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await delivering
        store.close()

    return Starlette(
        routes=[
            *control_routes(faults),
            *control.routes(store, clock, deliveries),
            *hosted.routes(api.world, deliveries.wake),
            Mount("/v1", api),
        ],
        middleware=[Middleware(ControlGuard), Middleware(FaultMiddleware, faults=faults)],
        exception_handlers={404: _not_found},
        lifespan=lifespan,
    )


def _read(request: Request, body: str) -> _Call:
    """Check who asks and what is asked. Raises ApiError; nothing of this is kept for the idempotency key."""
    if _KEY.fullmatch(request.headers.get("Authorization", "")) is None:
        raise ApiError(401, "Invalid API Key provided: use a test key that begins with sk_test_ or rk_test_.")
    if request.headers.get("Stripe-Account", ACCOUNT_ID) != ACCOUNT_ID:
        message = "The provided key does not have access to this account (or the account does not exist)."
        raise ApiError(403, message, code="account_invalid")
    path = request.scope["path"]
    endpoint, ids = routes.find(request.method, path)
    query = request.scope["query_string"].decode()
    form = params.parse_form("&".join(part for part in (query, body) if part))
    return _Call(endpoint, ids, params.read_fields(form, endpoint.fields), fingerprint(request.method, path, form))


async def _not_found(request: Request, _problem: Exception) -> Response:
    refusal = ApiError(404, f"Unrecognized request URL ({request.method}: {request.url.path}).")
    return Response(json.dumps(error_document(refusal)), 404, {"Request-Id": new_id("req")}, "application/json")
