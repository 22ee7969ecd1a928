"""The way of one API request: disturbances, access, the method and its version, the work, and the answer."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connector.sandbox.open_dental.body import parse_body
from connector.sandbox.open_dental.endpoints import CREATE_PAYMENT, ENDPOINTS, RESOURCES, Endpoint
from connector.sandbox.open_dental.late_writes import LateWrites
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.options import Mode
from connector.sandbox.open_dental.wire import ApiError, Call, Reply

BASE = "/api/v1/"
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(slots=True)
class Conditions:
    """How the office's computers are doing; set over the control endpoints."""

    slow_milliseconds: int = 0
    econnector_down: bool = False


class Gate:
    """Answers everything below `/api/v1/`."""

    def __init__(self, office: Office, conditions: Conditions, late_writes: LateWrites) -> None:
        self._office = office
        self._conditions = conditions
        self._late_writes = late_writes
        self._free_at = 0.0

    async def answer(self, request: Request) -> Response:
        """Answer one request; a refusal is one sentence, not an object."""
        try:
            reply = await self._reply(request)
        except ApiError as refusal:
            quoted = self._office.options.quoted_errors
            content = json.dumps(refusal.sentence) if quoted else refusal.sentence
            return Response(content, refusal.status, media_type="application/json" if quoted else "text/plain")
        headers = {"location": BASE + reply.location} if reply.location else None
        return JSONResponse(reply.content, reply.status, headers)

    async def _reply(self, request: Request) -> Reply:
        raw = await request.body()
        if self._conditions.slow_milliseconds:
            await asyncio.sleep(self._conditions.slow_milliseconds / 1000)
        self._check_headers(request)
        await self._throttle()
        if self._conditions.econnector_down and self._office.options.mode is Mode.REMOTE:
            raise ApiError(400, "The office's eConnector is not running.")
        endpoint, key = self._find(request.method, request.path_params["path"])
        query: dict[str, object] = dict(request.query_params)
        unknown = sorted(set(query) - endpoint.query_keys)
        if unknown and self._office.options.strict_query_keys:
            raise ApiError(400, f"{unknown[0]} is not a valid parameter.")
        self._late_writes.land()
        if endpoint is CREATE_PAYMENT and self._late_writes.take(raw):
            raise ApiError(504, "The office did not respond within 60 seconds.")
        body = {} if request.method == "GET" else parse_body(raw)
        known = {name: value for name, value in query.items() if name in endpoint.query_keys}
        with self._office.work():
            return endpoint.handler(self._office, Call(known, body, key))

    def _check_headers(self, request: Request) -> None:
        options = self._office.options
        expected = f"ODFHIR {options.developer_key}/{options.customer_key}"
        if request.headers.get("authorization") != expected or not options.key_enabled:
            raise ApiError(401, "The developer key or customer key is invalid or disabled.")
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise ApiError(400, "Content-Type must be application/json.")

    async def _throttle(self) -> None:
        options = self._office.options
        if options.mode is not Mode.REMOTE or not options.throttle_milliseconds:
            return
        now = asyncio.get_running_loop().time()
        wait = self._free_at - now
        if wait > 0 and options.throttle_refuses:
            raise ApiError(429, "Too many requests.")
        self._free_at = max(now, self._free_at) + options.throttle_milliseconds / 1000
        if wait > 0:
            await asyncio.sleep(wait)

    def _find(self, verb: str, path: str) -> tuple[Endpoint, int]:
        """The method meant, in the order in which the vendor checks: resource, verb, permission, version."""
        parts = path.strip("/").split("/")
        numbers = [int(part) for part in parts if _NUMBER.fullmatch(part)]
        shape = "/".join("{key}" if _NUMBER.fullmatch(part) else part for part in parts)
        endpoint = ENDPOINTS.get(f"{verb} {shape}")
        if parts[0] not in RESOURCES:
            raise ApiError(404, f"{parts[0]} is not a valid resource.")
        if endpoint is None:
            raise ApiError(400, f"{parts[0]} {verb} {'/'.join(parts[1:])} is not a valid method.")
        if endpoint.permission not in self._office.options.permissions:
            raise ApiError(401, f"This customer key does not have the permission {endpoint.permission}.")
        self._office.demand(endpoint.since, f"{parts[0]} {verb}")
        return endpoint, numbers[0] if numbers else 0
