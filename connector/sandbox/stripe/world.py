"""What a handler works with: the store, the instant, and the making, loading and announcing of objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connector.ids import new_id
from connector.sandbox.stripe.errors import Document, invalid, missing
from connector.sandbox.stripe.params import Params
from connector.sandbox.stripe.store import Filters, Store

API_VERSION = "2026-10-28.endive"
ACCOUNT_ID = "acct_sandbox0000000001"
"""The one account, a practice's; a call that names it in the header comes from its platform."""
APPLICATION_ID = "ca_sandbox"

_SHAPES: Mapping[str, Mapping[str, list[str]]] = json.loads(
    (Path(__file__).parent / "shapes.json").read_text(encoding="utf-8")
)
"""Per kind of object: the fields that are null until they are set, and those that `expand` may resolve."""

_KIND_OF_PREFIX = {
    "ch": "charge",
    "py": "charge",
    "cus": "customer",
    "dp": "dispute",
    "mandate": "mandate",
    "pi": "payment_intent",
    "pm": "payment_method",
    "po": "payout",
    "re": "refund",
    "pyr": "refund",
    "seti": "setup_intent",
    "txn": "balance_transaction",
}
_EXPAND_DEPTH = 4
_DEFAULT_PAGE = 10


@dataclass(slots=True)
class World:
    """The sandbox as one request, or one piece of due work, sees it. `now` is in Unix seconds."""

    store: Store
    now: int
    base_url: str
    request_id: str | None = None
    idempotency_key: str | None = None
    from_platform: bool = False
    """Whether a platform's key acts for the account, by the header `Stripe-Account`."""

    def make(self, kind: str, prefix: str, **fields: Any) -> Document:
        """A new object with every field of its kind; not yet saved."""
        blank: Document = {"id": new_id(prefix), "object": kind}
        blank |= dict.fromkeys(_SHAPES[kind]["null"])
        return blank | {"created": self.now, "livemode": False, "metadata": {}} | fields

    def save(self, document: Document) -> Document:
        """Write the object's present state."""
        self.store.put(document)
        return document

    def load(self, kind: str, object_id: str, param: str | None = None) -> Document:
        """The object of that id. Raises ApiError: 404 when the URL names it, 400 when the parameter `param` does."""
        found = self.store.get(kind, object_id)
        if found is None:
            raise missing(kind, object_id, param or "id", 400 if param else 404)
        return found

    def emit(self, event_type: str, document: Document) -> None:
        """Record an event with the object's present state and queue its webhooks."""
        endpoints = [
            endpoint["id"]
            for endpoint in self.store.select("webhook_endpoint")
            if {"*", event_type} & set(endpoint["enabled_events"])
        ]
        event = {
            "id": new_id("evt"),
            "object": "event",
            "account": None,
            "api_version": API_VERSION,
            "created": self.now,
            "data": {"object": public(document)},
            "livemode": False,
            "pending_webhooks": len(endpoints),
            "request": {"id": self.request_id, "idempotency_key": self.idempotency_key},
            "type": event_type,
        }
        self.store.put(event)
        self.store.connection.executemany(
            "INSERT INTO delivery (event, endpoint, attempts) VALUES (?, ?, 0)",
            [(event["id"], endpoint) for endpoint in endpoints],
        )

    def page(self, kind: str, url: str, params: Params, filters: Filters | None = None) -> Document:
        """A list object, newest first, with Stripe's cursors `starting_after` and `ending_before`."""
        if "starting_after" in params and "ending_before" in params:
            raise invalid("Only one of starting_after and ending_before can be given.", code="parameters_exclusive")
        limit = params.get("limit", _DEFAULT_PAGE)
        wanted = {**(filters or {}), **_instants("created", params.get("created"))}
        if "ending_before" in params:
            after = self._cursor(kind, params, "ending_before")
            found = self.store.select(kind, wanted, limit=limit + 1, after=after)
            data = found[:limit][::-1]
        else:
            before = self._cursor(kind, params, "starting_after") if "starting_after" in params else None
            found = self.store.select(kind, wanted, limit=limit + 1, before=before)
            data = found[:limit]
        return {"object": "list", "data": data, "has_more": len(found) > limit, "url": url}

    def render(self, document: Document, expand: list[str]) -> Document:
        """The object as the client sees it, with the asked-for ids replaced by their objects."""
        shown = public(document)
        if shown.get("object") == "list":
            shown["data"] = [public(item) for item in shown["data"]]
        for path in expand:
            names = path.split(".")
            if len(names) > _EXPAND_DEPTH + 1:
                raise invalid(f"You cannot expand more than {_EXPAND_DEPTH} levels of a property: {path}.", "expand")
            self._expand(shown, names, path)
        return shown

    def _cursor(self, kind: str, params: Params, name: str) -> int:
        if self.store.get(kind, params[name]) is None:
            raise missing(kind, params[name], name, 400)
        return self.store.position(params[name]) or 0

    def _expand(self, node: Document, names: list[str], path: str) -> None:
        name, *rest = names
        if node.get("object") == "list" and name == "data":
            for item in node["data"]:
                self._expand(item, rest, path)
            return
        value = node.get(name)
        if isinstance(value, dict) and rest and "object" not in value:
            self._expand(value, rest, path)
            return
        kind = str(node.get("object"))
        known = _SHAPES[kind]["expandable"] if kind in _SHAPES else ["default_payment_method"]
        if name not in known:
            raise invalid(f"This property cannot be expanded ({path}).", "expand")
        if name not in node:
            return
        if isinstance(value, str):
            found = self.store.get(_KIND_OF_PREFIX[value.split("_", 1)[0]], value)
            if found is not None:
                node[name] = value = public(found)
        if rest and isinstance(value, dict):
            self._expand(value, rest, path)


def public(document: Document) -> Document:
    """A copy without what belongs to the sandbox alone."""
    return {name: value for name, value in document.items() if not name.startswith("_")}


def live_customer(world: World, customer_id: str, param: str | None = None) -> Document:
    """The customer, unless it was deleted. Raises ApiError (404, or 400 for a parameter)."""
    customer = world.load("customer", customer_id, param)
    if "_deleted" in customer:
        raise missing("customer", customer_id, param or "id", 400 if param else 404)
    return customer


def merge_metadata(document: Document, params: Params) -> None:
    """Apply a metadata parameter as Stripe does: keys merge, an empty value removes, empty metadata removes all."""
    labels = params.get("metadata")
    if labels is None:
        return
    merged = {} if labels == {"": ""} else {**(document.get("metadata") or {}), **labels}
    document["metadata"] = {key: value for key, value in merged.items() if value != ""}


def filters(params: Params, *names: str) -> dict[str, Any]:
    """The given ones among some parameters that filter by equality."""
    return {name: params[name] for name in names if name in params}


def _instants(name: str, wanted: Any) -> dict[str, Any]:
    if wanted is None:
        return {}
    if isinstance(wanted, dict):
        return {f"{name}[{comparison}]": value for comparison, value in wanted.items()}
    return {name: wanted}


def instants(name: str, params: Params) -> dict[str, Any]:
    """The filter for a parameter that is an instant or a range of instants."""
    return _instants(name, params.get(name))
