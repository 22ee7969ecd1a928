"""PaymentIntents: their state machine from creation to success or cancellation."""

from __future__ import annotations

from connector.sandbox.stripe import charging, payment_methods
from connector.sandbox.stripe.account import check_charges, offered_types
from connector.sandbox.stripe.errors import Document, invalid, unexpected_state
from connector.sandbox.stripe.methods import BECS, CARD
from connector.sandbox.stripe.params import Params
from connector.sandbox.stripe.world import APPLICATION_ID, World, filters, live_customer, merge_metadata, public

CENTS_MIN = 50
_CHANGEABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
_PLAIN = ("description", "receipt_email", "setup_future_usage", "statement_descriptor", "statement_descriptor_suffix")


def create(world: World, params: Params) -> Document:
    """POST /v1/payment_intents."""
    if "off_session" in params and not params.get("confirm"):
        raise invalid("You cannot provide off_session without confirm=true.", "off_session")
    _check_amount(params["amount"], params["currency"])
    intent = world.make(
        "payment_intent",
        "pi",
        amount=params["amount"],
        amount_capturable=0,
        amount_details={"tip": {}},
        amount_received=0,
        automatic_payment_methods={"allow_redirects": "always", "enabled": True},
        capture_method=params.get("capture_method", "automatic_async"),
        confirmation_method="automatic",
        currency=params["currency"].lower(),
        status="requires_payment_method",
        payment_method_types=offered_types(world, params),
        payment_method_options={},
    )
    if "allowed_payment_method_types" in params:
        intent["automatic_payment_methods"] = None
    intent["client_secret"] = charging.client_secret(intent["id"])
    _apply(world, intent, params)
    world.save(intent)
    world.emit("payment_intent.created", intent)
    return _confirm(world, intent, params) if params.get("confirm") else intent


def update(world: World, params: Params, intent_id: str) -> Document:
    """POST /v1/payment_intents/{intent}."""
    intent = world.load("payment_intent", intent_id)
    only_words = set(params) <= {"metadata", "description", "receipt_email", "expand"}
    if intent["status"] not in _CHANGEABLE and not only_words:
        raise unexpected_state(public(intent), "update")
    if "amount" in params or "currency" in params:
        intent["amount"] = params.get("amount", intent["amount"])
        intent["currency"] = str(params.get("currency", intent["currency"])).lower()
        _check_amount(intent["amount"], intent["currency"])
        _check_application_fee(intent["application_fee_amount"], intent["amount"])
    intent["capture_method"] = params.get("capture_method", intent["capture_method"])
    if "allowed_payment_method_types" in params:
        intent["payment_method_types"] = offered_types(world, params)
    _apply(world, intent, params)
    return world.save(intent)


def confirm(world: World, params: Params, intent_id: str) -> Document:
    """POST /v1/payment_intents/{intent}/confirm."""
    intent = world.load("payment_intent", intent_id)
    if intent["status"] not in _CHANGEABLE:
        raise unexpected_state(public(intent), "confirm")
    if params.get("amount_to_confirm", intent["amount"]) != intent["amount"]:
        message = f"amount_to_confirm does not match the amount of this PaymentIntent ({intent['amount']})."
        raise invalid(message, "amount_to_confirm", "payment_intent_invalid_parameter", payment_intent=public(intent))
    if "allowed_payment_method_types" in params:
        intent["payment_method_types"] = offered_types(world, params)
    intent["capture_method"] = params.get("capture_method", intent["capture_method"])
    _apply(world, intent, {name: value for name, value in params.items() if name != "payment_method"})
    return _confirm(world, intent, params)


def capture(world: World, params: Params, intent_id: str) -> Document:
    """POST /v1/payment_intents/{intent}/capture: once, at most what was authorised; the rest is released."""
    intent = world.load("payment_intent", intent_id)
    if intent["status"] != "requires_capture":
        raise unexpected_state(public(intent), "capture")
    amount: int = params.get("amount_to_capture") or intent["amount_capturable"]
    if amount > intent["amount_capturable"]:
        message = f"The amount to capture is greater than the authorised amount ({intent['amount_capturable']})."
        raise invalid(message, "amount_to_capture", "amount_too_large")
    _set_application_fee(world, intent, params, amount)
    merge_metadata(intent, params)
    record = world.load("charge", intent["latest_charge"])
    return charging.settle_card(world, intent, record, amount)


def cancel(world: World, params: Params, intent_id: str) -> Document:
    """POST /v1/payment_intents/{intent}/cancel: not while processing, nor after the end."""
    intent = world.load("payment_intent", intent_id)
    if intent["status"] not in (*_CHANGEABLE, "requires_capture"):
        raise unexpected_state(public(intent), "cancel")
    return charging.cancel(world, intent, params.get("cancellation_reason", "requested_by_customer"))


def retrieve(world: World, _params: Params, intent_id: str) -> Document:
    """GET /v1/payment_intents/{intent}."""
    return world.load("payment_intent", intent_id)


def listing(world: World, params: Params) -> Document:
    """GET /v1/payment_intents."""
    return world.page("payment_intent", "/v1/payment_intents", params, filters(params, "customer"))


def retrieve_charge(world: World, _params: Params, charge_id: str) -> Document:
    """GET /v1/charges/{charge}."""
    return world.load("charge", charge_id)


def list_charges(world: World, params: Params) -> Document:
    """GET /v1/charges."""
    return world.page("charge", "/v1/charges", params, filters(params, "customer", "payment_intent"))


def _apply(world: World, intent: Document, params: Params) -> None:
    for name in _PLAIN:
        if name in params:
            intent[name] = params[name] or None
    _set_application_fee(world, intent, params, intent["amount"])
    if "payment_method_options" in params:
        intent["payment_method_options"] = params["payment_method_options"]
    if "customer" in params:
        live_customer(world, params["customer"], "customer")
        intent["customer"] = params["customer"]
    if "payment_method" in params:
        method = _usable(world, intent, params["payment_method"])
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    merge_metadata(intent, params)


def _confirm(world: World, intent: Document, params: Params) -> Document:
    method_id = params.get("payment_method") if "confirm" not in params else None
    method_id = method_id or intent["payment_method"]
    if not method_id:
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise invalid(message, None, "payment_intent_unexpected_state", payment_intent=public(intent))
    method = _usable(world, intent, method_id)
    if method["type"] == CARD and intent["statement_descriptor"]:
        message = "statement_descriptor is not supported for cards: use statement_descriptor_suffix."
        raise invalid(message, "statement_descriptor")
    if method["type"] == BECS and intent["capture_method"] == "manual":
        raise invalid("au_becs_debit does not support capture_method=manual.", "capture_method")
    check_charges(world)
    off_session = params.get("off_session", False) is not False
    if off_session and "return_url" in params:
        raise invalid("return_url cannot be given with off_session.", "return_url")
    if method["type"] == BECS and "mandate" not in params and "mandate_data" in params:
        acceptance = params["mandate_data"]["customer_acceptance"]
        intent["_mandate"] = payment_methods.grant_mandate(world, method, acceptance)["id"]
    else:
        intent["_mandate"] = params.get("mandate")
    intent |= {"payment_method": method["id"], "_return_url": params.get("return_url")}
    may_ask = not off_session and not params.get("error_on_requires_action", False)
    charged = charging.charge(world, intent, method, off_session=off_session, may_ask=may_ask)
    if intent["setup_future_usage"] and intent["customer"] and method["customer"] is None:
        payment_methods.attach_to(world, method["id"], intent["customer"])
    return charged


def _usable(world: World, intent: Document, method_id: str) -> Document:
    method = payment_methods.owned(world, method_id, intent["customer"])
    if method["type"] not in intent["payment_method_types"]:
        message = f"The payment method type {method['type']} is not allowed on this PaymentIntent."
        raise invalid(message, "payment_method", "payment_intent_incompatible_payment_method")
    if method["type"] == BECS and intent["currency"] != "aud":
        raise invalid("au_becs_debit takes aud only.", "currency", "payment_method_currency_mismatch")
    return method


def _set_application_fee(world: World, intent: Document, params: Params, amount: int) -> None:
    if "application_fee_amount" not in params:
        return
    if not world.from_platform:
        message = "Only a platform that acts for a connected account can take an application fee: send Stripe-Account."
        raise invalid(message, "application_fee_amount", "application_fees_not_allowed")
    _check_application_fee(params["application_fee_amount"], amount)
    intent |= {"application": APPLICATION_ID, "application_fee_amount": params["application_fee_amount"]}


def _check_application_fee(fee: int | None, amount: int) -> None:
    if fee is not None and fee >= amount:
        raise invalid(f"The application fee must be less than the amount ({amount}).", "application_fee_amount")


def _check_amount(amount: int, currency: str) -> None:
    if currency.lower() != "aud":
        raise invalid(f"Invalid currency: {currency}. This account takes aud.", "currency")
    if amount < CENTS_MIN:
        raise invalid("Amount must be at least $0.50 aud", "amount", "amount_too_small")
