"""SetupIntents: saving a payment method, with its mandate when it is a bank account."""

from __future__ import annotations

from connector.sandbox.stripe import charging, payment_methods
from connector.sandbox.stripe.account import offered_types
from connector.sandbox.stripe.errors import ApiError, Document, invalid, unexpected_state
from connector.sandbox.stripe.methods import BECS
from connector.sandbox.stripe.params import Params
from connector.sandbox.stripe.world import World, filters, live_customer, merge_metadata, public

_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


def create(world: World, params: Params) -> Document:
    """POST /v1/setup_intents."""
    intent = world.make(
        "setup_intent",
        "seti",
        automatic_payment_methods={"allow_redirects": "always", "enabled": True},
        payment_method_options={},
        payment_method_types=offered_types(world, params),
        status="requires_payment_method",
        usage=params.get("usage", "off_session"),
    )
    if "allowed_payment_method_types" in params:
        intent["automatic_payment_methods"] = None
    intent["client_secret"] = charging.client_secret(intent["id"])
    _apply(world, intent, params)
    world.emit("setup_intent.created", intent)
    return _confirm(world, intent, params.get("mandate_data")) if params.get("confirm") else intent


def update(world: World, params: Params, intent_id: str) -> Document:
    """POST /v1/setup_intents/{intent}."""
    intent = world.load("setup_intent", intent_id)
    if intent["status"] not in _OPEN:
        raise unexpected_state(public(intent), "update")
    if "allowed_payment_method_types" in params:
        intent["payment_method_types"] = offered_types(world, params)
    _apply(world, intent, params)
    return intent


def confirm(world: World, params: Params, intent_id: str) -> Document:
    """POST /v1/setup_intents/{intent}/confirm."""
    intent = world.load("setup_intent", intent_id)
    if intent["status"] not in _OPEN:
        raise unexpected_state(public(intent), "confirm")
    if "payment_method" in params:
        _apply(world, intent, {"payment_method": params["payment_method"]})
    return _confirm(world, intent, params.get("mandate_data"))


def cancel(world: World, params: Params, intent_id: str) -> Document:
    """POST /v1/setup_intents/{intent}/cancel."""
    intent = world.load("setup_intent", intent_id)
    if intent["status"] not in _OPEN:
        raise unexpected_state(public(intent), "cancel")
    intent |= {"status": "canceled", "cancellation_reason": params.get("cancellation_reason")}
    world.save(intent)
    world.emit("setup_intent.canceled", intent)
    return intent


def retrieve(world: World, _params: Params, intent_id: str) -> Document:
    """GET /v1/setup_intents/{intent}."""
    return world.load("setup_intent", intent_id)


def listing(world: World, params: Params) -> Document:
    """GET /v1/setup_intents."""
    wanted = filters(params, "customer", "payment_method")
    return world.page("setup_intent", "/v1/setup_intents", params, wanted)


def complete(world: World, intent: Document, method: Document, acceptance: Document | None) -> Document:
    """Save the method for later: attach it, grant the mandate, announce success.

    Raises ApiError: 402 for the test cards that cannot be saved, after which the intent wants another method.
    """
    try:
        payment_methods.refuse_at_attach(method)
    except ApiError as refusal:
        intent |= {"status": "requires_payment_method", "payment_method": None, "last_setup_error": {**refusal.error}}
        world.save(intent)
        world.emit("setup_intent.setup_failed", intent)
        refusal.error["setup_intent"] = public(intent)
        raise
    if intent["customer"] is not None and method["customer"] is None:
        method["customer"] = intent["customer"]
        world.save(method)
        world.emit("payment_method.attached", method)
    if method["type"] == BECS:
        if acceptance is None:
            message = "A BECS direct debit needs mandate_data with the payer's acceptance."
            raise invalid(message, "mandate_data", "setup_intent_mandate_invalid")
        intent["mandate"] = payment_methods.grant_mandate(world, method, acceptance)["id"]
    intent |= {"status": "succeeded", "payment_method": method["id"], "last_setup_error": None}
    world.save(intent)
    world.emit("setup_intent.succeeded", intent)
    return intent


def _apply(world: World, intent: Document, params: Params) -> None:
    if "customer" in params:
        live_customer(world, params["customer"], "customer")
        intent["customer"] = params["customer"]
    if "description" in params:
        intent["description"] = params["description"] or None
    if "payment_method" in params:
        method = payment_methods.owned(world, params["payment_method"], intent["customer"])
        if method["type"] not in intent["payment_method_types"]:
            message = f"The payment method type {method['type']} is not allowed on this SetupIntent."
            raise invalid(message, "payment_method", "setup_intent_invalid_parameter")
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    merge_metadata(intent, params)
    world.save(intent)


def _confirm(world: World, intent: Document, mandate_data: Params | None) -> Document:
    if not intent["payment_method"]:
        message = "You cannot confirm this SetupIntent because it's missing a payment method."
        raise invalid(message, None, "setup_intent_unexpected_state", setup_intent=public(intent))
    method = world.load("payment_method", intent["payment_method"], "payment_method")
    acceptance = mandate_data["customer_acceptance"] if mandate_data else None
    return complete(world, intent, method, acceptance)
