"""The event feed and the webhook endpoints that events are delivered to."""

from __future__ import annotations

from typing import Any

from connector.ids import new_id
from connector.sandbox.stripe.errors import Document, invalid
from connector.sandbox.stripe.params import Params
from connector.sandbox.stripe.world import World, merge_metadata

RETENTION_SECONDS = 30 * 86400


def listing(world: World, params: Params) -> Document:
    """GET /v1/events: the last 30 days, newest first, or oldest first from `ending_before`."""
    if "type" in params and "types" in params:
        raise invalid("Only one of type and types can be given.", "types", "parameters_exclusive")
    wanted: dict[str, Any] = {"created[since]": world.now - RETENTION_SECONDS}
    if "types" in params:
        wanted["type"] = params["types"]
    elif params.get("type", "").endswith("*"):
        wanted["type"] = _matching_types(world, params["type"][:-1])
    elif "type" in params:
        wanted["type"] = params["type"]
    return world.page("event", "/v1/events", params, wanted)


def retrieve(world: World, _params: Params, event_id: str) -> Document:
    """GET /v1/events/{id}."""
    return world.load("event", event_id)


def create_endpoint(world: World, params: Params) -> Document:
    """POST /v1/webhook_endpoints: the only answer that carries the signing secret."""
    if not params["url"].startswith(("http://", "https://")):
        raise invalid("Invalid URL: an explicit scheme must be given.", "url", "url_invalid")
    endpoint = world.make(
        "webhook_endpoint",
        "we",
        api_version=params.get("api_version"),
        description=params.get("description"),
        enabled_events=params["enabled_events"],
        status="enabled",
        url=params["url"],
        _connect=params.get("connect", False),
        _secret=f"whsec_{new_id('s')[2:]}",
    )
    merge_metadata(endpoint, params)
    world.save(endpoint)
    return {**endpoint, "secret": endpoint["_secret"]}


def retrieve_endpoint(world: World, _params: Params, endpoint_id: str) -> Document:
    """GET /v1/webhook_endpoints/{webhook_endpoint}."""
    return world.load("webhook_endpoint", endpoint_id)


def list_endpoints(world: World, params: Params) -> Document:
    """GET /v1/webhook_endpoints."""
    return world.page("webhook_endpoint", "/v1/webhook_endpoints", params)


def delete_endpoint(world: World, _params: Params, endpoint_id: str) -> Document:
    """DELETE /v1/webhook_endpoints/{webhook_endpoint}: undelivered events are dropped."""
    world.load("webhook_endpoint", endpoint_id)
    world.store.connection.execute("DELETE FROM object WHERE id = ?", (endpoint_id,))
    world.store.connection.execute("DELETE FROM delivery WHERE endpoint = ?", (endpoint_id,))
    return {"id": endpoint_id, "object": "webhook_endpoint", "deleted": True}


def _matching_types(world: World, prefix: str) -> list[str]:
    rows = world.store.connection.execute("SELECT DISTINCT body ->> 'type' FROM object WHERE kind = 'event'")
    return [row[0] for row in rows if row[0].startswith(prefix)]
