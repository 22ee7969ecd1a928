"""Checkout Sessions that save a payment method (`mode=setup`), finished on the sandbox's own hosted page."""

from __future__ import annotations

from connector.sandbox.stripe import customers, payment_methods, setup_intents
from connector.sandbox.stripe.account import offered_types
from connector.sandbox.stripe.errors import Document, invalid
from connector.sandbox.stripe.methods import TEST_METHODS
from connector.sandbox.stripe.params import Params
from connector.sandbox.stripe.world import World, filters, live_customer, merge_metadata

LIFE_SECONDS = 24 * 3600
SHORTEST_SECONDS = 30 * 60
_PLACEHOLDER = "{CHECKOUT_SESSION_ID}"


def create(world: World, params: Params) -> Document:
    """POST /v1/checkout/sessions."""
    expires_at = params.get("expires_at", world.now + LIFE_SECONDS)
    if not world.now + SHORTEST_SECONDS <= expires_at <= world.now + LIFE_SECONDS:
        raise invalid("expires_at must be between 30 minutes and 24 hours from now.", "expires_at")
    if "customer" in params:
        live_customer(world, params["customer"], "customer")
    types = offered_types(world, params)
    if "allowed_payment_method_types" not in params and "currency" not in params:
        raise invalid("Missing required param: currency.", "currency", "parameter_missing")
    data = params.get("setup_intent_data", {})
    intent = setup_intents.create(world, {**filters(params, "customer", "allowed_payment_method_types"), **data})
    session = world.make(
        "checkout.session",
        "cs_test",
        **filters(params, "cancel_url", "client_reference_id", "currency", "customer", "customer_email", "success_url"),
        customer_creation=None if "customer" in params else params.get("customer_creation", "if_required"),
        automatic_tax={"enabled": False, "liability": None, "provider": None, "status": None},
        custom_fields=[],
        custom_text={
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
            **params.get("custom_text", {}),
        },
        expires_at=expires_at,
        mode="setup",
        payment_method_types=types,
        payment_status="no_payment_required",
        setup_intent=intent["id"],
        shipping_options=[],
        status="open",
        ui_mode="hosted",
    )
    session["url"] = f"{world.base_url}c/pay/{session['id']}"
    merge_metadata(session, params)
    world.store.schedule(expires_at, "session_expires", session["id"])
    return world.save(session)


def retrieve(world: World, _params: Params, session_id: str) -> Document:
    """GET /v1/checkout/sessions/{session}."""
    return world.load("checkout.session", session_id)


def update(world: World, params: Params, session_id: str) -> Document:
    """POST /v1/checkout/sessions/{session}: metadata only."""
    session = world.load("checkout.session", session_id)
    merge_metadata(session, params)
    return world.save(session)


def listing(world: World, params: Params) -> Document:
    """GET /v1/checkout/sessions."""
    wanted = filters(params, "customer", "payment_intent", "status")
    return world.page("checkout.session", "/v1/checkout/sessions", params, wanted)


def expire(world: World, _params: Params, session_id: str) -> Document:
    """POST /v1/checkout/sessions/{session}/expire."""
    session = world.load("checkout.session", session_id)
    if session["status"] != "open":
        raise invalid("Only Checkout Sessions with a status of open can be expired.", "session")
    return _expire(world, session)


def session_expires(world: World, session_id: str) -> None:
    """The session's time is up."""
    session = world.load("checkout.session", session_id)
    if session["status"] == "open":
        _expire(world, session)


def complete(world: World, session: Document, method_name: str) -> str:
    """The payer has chosen a test method on the hosted page: save it. Returns where the browser goes next.

    Raises ApiError: 402 for cards that refuse already here, 400 for a type that the session does not offer.
    """
    behaviour = TEST_METHODS.get(method_name)
    if behaviour is None or behaviour.type not in session["payment_method_types"]:
        raise invalid("This payment method is not offered here.", "method")
    if session["customer"] is None and session["customer_creation"] == "always":
        session["customer"] = _new_customer(world, session)
    intent = world.load("setup_intent", session["setup_intent"])
    intent["customer"] = session["customer"]
    method = payment_methods.build(world, behaviour)
    browser = {"ip_address": "127.0.0.1", "user_agent": "sandbox"}
    acceptance = {"accepted_at": world.now, "offline": None, "online": browser, "type": "online"}
    setup_intents.complete(world, intent, method, acceptance)
    session |= {"status": "complete", "url": None}
    world.save(session)
    world.emit("checkout.session.completed", session)
    return str(session["success_url"]).replace(_PLACEHOLDER, session["id"])


def _new_customer(world: World, session: Document) -> str:
    return str(customers.create(world, {"email": session["customer_email"] or ""})["id"])


def _expire(world: World, session: Document) -> Document:
    setup_intents.cancel(world, {"cancellation_reason": "abandoned"}, session["setup_intent"])
    session |= {"status": "expired", "url": None}
    world.save(session)
    world.emit("checkout.session.expired", session)
    return session
