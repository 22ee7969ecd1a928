"""Customers and the payment methods that belong to them."""

from __future__ import annotations

from connector.sandbox.stripe import payment_methods
from connector.sandbox.stripe.errors import Document, missing
from connector.sandbox.stripe.params import Params
from connector.sandbox.stripe.world import World, filters, live_customer, merge_metadata

_PLAIN = ("address", "description", "email", "name", "phone", "preferred_locales")


def create(world: World, params: Params) -> Document:
    """POST /v1/customers."""
    customer = world.make("customer", "cus", balance=0, delinquent=False, invoice_prefix="SANDBOX", tax_exempt="none")
    customer["preferred_locales"] = []
    customer["invoice_settings"] = {
        "custom_fields": None,
        "default_payment_method": None,
        "footer": None,
        "rendering_options": None,
    }
    if "payment_method" in params:
        payment_methods.attach_to(world, params["payment_method"], customer["id"])
    _apply(world, customer, params)
    world.emit("customer.created", customer)
    return customer


def update(world: World, params: Params, customer_id: str) -> Document:
    """POST /v1/customers/{customer}."""
    customer = live_customer(world, customer_id)
    _apply(world, customer, params)
    world.emit("customer.updated", customer)
    return customer


def retrieve(world: World, _params: Params, customer_id: str) -> Document:
    """GET /v1/customers/{customer}; a deleted one is answered by its id and `deleted`."""
    customer = world.load("customer", customer_id)
    if "_deleted" in customer:
        return {"id": customer["id"], "object": "customer", "deleted": True}
    return customer


def delete(world: World, _params: Params, customer_id: str) -> Document:
    """DELETE /v1/customers/{customer}: its payment methods are detached with it."""
    customer = live_customer(world, customer_id)
    for method in world.store.select("payment_method", {"customer": customer_id}):
        payment_methods.detach(world, {}, method["id"])
    world.emit("customer.deleted", customer)
    world.save({**customer, "_deleted": True, "_listed": None})
    return {"id": customer_id, "object": "customer", "deleted": True}


def listing(world: World, params: Params) -> Document:
    """GET /v1/customers."""
    return world.page("customer", "/v1/customers", params, {"_listed": 1, **filters(params, "email")})


def list_methods(world: World, params: Params, customer_id: str) -> Document:
    """GET /v1/customers/{customer}/payment_methods."""
    live_customer(world, customer_id)
    url = f"/v1/customers/{customer_id}/payment_methods"
    return world.page("payment_method", url, params, {"customer": customer_id, **filters(params, "type")})


def retrieve_method(world: World, _params: Params, customer_id: str, method_id: str) -> Document:
    """GET /v1/customers/{customer}/payment_methods/{payment_method}."""
    live_customer(world, customer_id)
    method = world.load("payment_method", method_id)
    if method["customer"] != customer_id:
        raise missing("payment_method", method_id)
    return method


def _apply(world: World, customer: Document, params: Params) -> None:
    for name in _PLAIN:
        if name in params:
            customer[name] = params[name] or None
    default = params.get("invoice_settings", {}).get("default_payment_method")
    if default is not None:
        if default:
            payment_methods.owned(world, default, customer["id"])
        customer["invoice_settings"]["default_payment_method"] = default or None
    merge_metadata(customer, params)
    world.save({**customer, "_listed": 1})
