"""Payment methods, the test names that stand for them, and the mandates of bank accounts."""

from __future__ import annotations

from typing import Any

from connector.sandbox.stripe.errors import ApiError, Document, invalid
from connector.sandbox.stripe.methods import (
    BECS,
    BECS_FAILURES,
    CARD,
    DECLINE_CODES,
    OWN_ERROR_CODES,
    TEST_METHODS,
    Behaviour,
)
from connector.sandbox.stripe.params import Params
from connector.sandbox.stripe.world import World, filters, live_customer, merge_metadata

_DECLINE_TEXTS = {
    "authentication_required": "Your card was declined. This transaction requires authentication.",
    "expired_card": "Your card has expired.",
    "insufficient_funds": "Your card has insufficient funds.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
}


def build(world: World, behaviour: Behaviour) -> Document:
    """A fresh payment method that behaves so."""
    details: dict[str, Any]
    if behaviour.type == BECS:
        details = {"bsb_number": "000000", "fingerprint": f"bank{behaviour.last4}", "last4": behaviour.last4}
    else:
        details = _card_details(behaviour)
    address = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    billing = {"address": address, "email": None, "name": None, "phone": None, "tax_id": None}
    method = world.make("payment_method", "pm", type=behaviour.type, billing_details=billing, _plan=behaviour.plan())
    return world.save({**method, behaviour.type: details})


def resolve(world: World, method_id: str, param: str = "payment_method") -> Document:
    """The method of that id; a test name gives a fresh method that belongs to nobody yet."""
    if method_id in TEST_METHODS:
        return build(world, TEST_METHODS[method_id])
    return world.load("payment_method", method_id, param)


def owned(world: World, method_id: str, customer_id: str | None) -> Document:
    """A method that this customer may use. Raises ApiError when it is another's or has been detached."""
    method = resolve(world, method_id)
    if method.get("_detached"):
        message = (
            "The provided PaymentMethod was detached from a Customer, so it cannot be used again."
            " To use a PaymentMethod several times, attach it to a Customer first."
        )
        raise invalid(message, "payment_method", "payment_method_unexpected_state")
    if method["customer"] is not None and method["customer"] != customer_id:
        message = "The provided PaymentMethod belongs to another Customer; give that Customer too."
        raise invalid(message, "payment_method")
    return method


def attach_to(world: World, method_id: str, customer_id: str) -> Document:
    """Give a method to a customer. Raises ApiError: 402 for the test cards that cannot be saved."""
    method = owned(world, method_id, customer_id)
    refuse_at_attach(method)
    if method["customer"] == customer_id:
        return method
    method["customer"] = customer_id
    world.save(method)
    world.emit("payment_method.attached", method)
    return method


def refuse_at_attach(method: Document) -> None:
    """Raises ApiError (402) for the test cards that cannot be saved at all."""
    if method["_plan"]["refused_at_attach"]:
        raise card_error(method["_plan"]["failure"])


def attach(world: World, params: Params, method_id: str) -> Document:
    """POST /v1/payment_methods/{payment_method}/attach."""
    live_customer(world, params["customer"], "customer")
    if method_id not in TEST_METHODS:
        world.load("payment_method", method_id)
    return attach_to(world, method_id, params["customer"])


def detach(world: World, _params: Params, method_id: str) -> Document:
    """POST /v1/payment_methods/{payment_method}/detach: the method can never be used again."""
    method = world.load("payment_method", method_id)
    if method["customer"] is None:
        raise invalid("The payment method you provided is not attached to a customer.", "payment_method")
    method |= {"customer": None, "_detached": True}
    world.save(method)
    for mandate in world.store.select("mandate", {"payment_method": method_id}):
        deactivate(world, mandate)
    world.emit("payment_method.detached", method)
    return method


def retrieve(world: World, _params: Params, method_id: str) -> Document:
    """GET /v1/payment_methods/{payment_method}."""
    return resolve(world, method_id) if method_id in TEST_METHODS else world.load("payment_method", method_id)


def update(world: World, params: Params, method_id: str) -> Document:
    """POST /v1/payment_methods/{payment_method}: metadata only."""
    method = world.load("payment_method", method_id)
    merge_metadata(method, params)
    world.save(method)
    world.emit("payment_method.updated", method)
    return method


def listing(world: World, params: Params) -> Document:
    """GET /v1/payment_methods."""
    return world.page("payment_method", "/v1/payment_methods", params, filters(params, "customer", "type"))


def retrieve_mandate(world: World, _params: Params, mandate_id: str) -> Document:
    """GET /v1/mandates/{mandate}."""
    return world.load("mandate", mandate_id)


def grant_mandate(world: World, method: Document, acceptance: Document) -> Document:
    """The payer's standing permission to debit the bank account."""
    mandate = world.make(
        "mandate",
        "mandate",
        customer_acceptance=acceptance,
        multi_use={"amount": None, "currency": None},
        payment_method=method["id"],
        status="active",
        type="multi_use",
    )
    for absent in ("created", "metadata", "single_use"):
        mandate.pop(absent, None)
    copy_url = f"{world.base_url}mandates/{mandate['id']}"
    mandate["payment_method_details"] = {BECS: {"url": copy_url}, "type": BECS}
    return world.save(mandate)


def active_mandate(world: World, method: Document, mandate_id: str | None) -> Document:
    """The mandate to debit with. Raises ApiError when there is no active one for this method."""
    if mandate_id is None:
        found = world.store.select("mandate", {"payment_method": method["id"], "status": "active"}, limit=1)
        mandate = found[0] if found else None
    else:
        mandate = world.load("mandate", mandate_id, "mandate")
    if mandate is None or mandate["status"] != "active" or mandate["payment_method"] != method["id"]:
        message = "The provided mandate is invalid: there is no active mandate for this PaymentMethod."
        raise invalid(message, "mandate", "payment_intent_mandate_invalid")
    return mandate


def deactivate(world: World, mandate: Document) -> None:
    """End a mandate; it cannot be revived."""
    if mandate["status"] == "active":
        mandate["status"] = "inactive"
        world.save(mandate)
        world.emit("mandate.updated", mandate)


def card_error(decline_code: str, **fields: Any) -> ApiError:
    """402: the card was declined."""
    code = decline_code if decline_code in OWN_ERROR_CODES else "card_declined"
    message = _DECLINE_TEXTS.get(decline_code, "Your card was declined.")
    return ApiError(
        402,
        message,
        kind="card_error",
        code=code,
        decline_code=decline_code,
        advice_code=DECLINE_CODES.get(decline_code),
        **fields,
    )


def _card_details(behaviour: Behaviour) -> dict[str, Any]:
    return {
        "brand": behaviour.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "AU",
        "display_brand": behaviour.brand,
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": f"{CARD}{behaviour.last4}",
        "funding": "credit",
        "generated_from": None,
        "last4": behaviour.last4,
        "networks": {"available": [behaviour.brand], "preferred": None},
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def bank_failure(world: World, mandate_id: str, failure: str) -> None:
    """End the mandate when a debit came back for a reason that will not pass."""
    if not BECS_FAILURES[failure]:
        deactivate(world, world.load("mandate", mandate_id))
