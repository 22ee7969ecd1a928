"""Carries out the charge of a confirmed PaymentIntent: cards at once or after 3-D Secure, and their holds."""

from __future__ import annotations

from connector.ids import new_id
from connector.sandbox.stripe import balance, debits, disputes, payment_methods
from connector.sandbox.stripe.errors import ApiError, Document
from connector.sandbox.stripe.methods import BECS, CARD
from connector.sandbox.stripe.records import FAILED_EVENT, new_charge, next_failure
from connector.sandbox.stripe.world import World

HOLD_SECONDS = 7 * 86400
NETWORK_DECLINE = "05"
HOLD_OFF_SESSION_SECONDS = 4 * 86400 + 18 * 3600


def charge(world: World, intent: Document, method: Document, *, off_session: bool, may_ask: bool) -> Document:
    """Charge the method and move the intent on.

    `may_ask`: whether the payer can be asked to authenticate. Raises ApiError: 402 for a decline, whose failed charge
    and intent stay; RuntimeError for the test card that makes the server fail.
    """
    plan = method["_plan"]
    if plan["breaks"]:
        raise RuntimeError("The test card asks for a server error.")
    if method["type"] == BECS:
        return debits.debit_bank(world, intent, method)
    failure = next_failure(world, method)
    if failure == "authentication_required" and may_ask:
        return _ask_payer(world, intent, method)
    if failure is not None:
        raise _decline(world, intent, method, failure)
    return _approved(world, intent, method, off_session=off_session)


def _approved(world: World, intent: Document, method: Document, *, off_session: bool) -> Document:
    if intent["capture_method"] == "manual":
        return _hold(world, intent, method, off_session=off_session)
    record = new_charge(world, intent, method, "ch", status="succeeded", paid=True, captured=True)
    return settle_card(world, intent, record, intent["amount"])


def settle_card(world: World, intent: Document, record: Document, amount: int) -> Document:
    """Take `amount` of an authorised or new card charge: the money is ours, less the fee."""
    plan = world.load("payment_method", record["payment_method"])["_plan"]
    platform = min(intent["application_fee_amount"] or 0, amount)
    record |= {"captured": True, "amount_captured": amount, "application_fee_amount": platform or None}
    if intent["capture_method"] == "automatic_async":
        world.store.schedule(world.now, "capture_settles", record["id"])
    else:
        _book(world, record)
    world.save(record)
    intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0, "next_action": None}
    intent |= {"latest_charge": record["id"], "last_payment_error": None}
    world.save(intent)
    world.emit("charge.succeeded" if intent["capture_method"] != "manual" else "charge.captured", record)
    world.emit("payment_intent.succeeded", intent)
    if plan["disputed_as"]:
        disputes.open_dispute(world, record["id"], plan["disputed_as"])
    return intent


def capture_settles(world: World, charge_id: str) -> None:
    """An asynchronous capture has come through, a moment after its answer: only now is there a balance line."""
    record = world.load("charge", charge_id)
    _book(world, record)
    world.save(record)
    world.emit("charge.updated", record)


def _book(world: World, record: Document) -> None:
    amount = record["amount_captured"]
    movement = balance.post(
        world,
        "charge",
        amount,
        record["id"],
        fee=balance.fee_for(amount, CARD),
        application_fee=record["application_fee_amount"] or 0,
        available_on=balance.settlement(world),
    )
    record["balance_transaction"] = movement["id"]


def hold_expires(world: World, intent_id: str) -> None:
    """An authorisation that nobody captured is released."""
    intent = world.load("payment_intent", intent_id)
    if intent["status"] == "requires_capture":
        cancel(world, intent, "automatic")


def cancel(world: World, intent: Document, reason: str) -> Document:
    """End an intent that has not taken money, and release its hold."""
    if intent["status"] == "requires_capture":
        record = world.load("charge", intent["latest_charge"])
        record |= {"refunded": True, "amount_refunded": record["amount"]}
        world.save(record)
        world.emit("charge.expired" if reason == "automatic" else "charge.refunded", record)
    intent |= {
        "status": "canceled",
        "next_action": None,
        "canceled_at": world.now,
        "cancellation_reason": reason,
        "amount_capturable": 0,
    }
    world.save(intent)
    world.emit("payment_intent.canceled", intent)
    return intent


def _decline(world: World, intent: Document, method: Document, failure: str) -> ApiError:
    record = new_charge(world, intent, method, "ch", status="failed")
    advice = method["_plan"]["network_advice"]
    network = {"network_advice_code": advice, "network_decline_code": NETWORK_DECLINE if advice else None}
    refusal = payment_methods.card_error(failure, charge=record["id"], **network)
    record |= {"failure_code": refusal.error["code"], "failure_message": refusal.error["message"]}
    record["outcome"] |= {
        **network,
        "advice_code": refusal.error.get("advice_code"),
        "network_status": "declined_by_network",
        "reason": failure,
        "seller_message": "The bank returned a decline.",
        "type": "issuer_declined",
    }
    world.save(record)
    shown = {name: value for name, value in method.items() if not name.startswith("_")}
    intent |= {"status": "requires_payment_method", "payment_method": None, "latest_charge": record["id"]}
    intent |= {"last_payment_error": {**refusal.error, "payment_method": shown}, "next_action": None}
    world.save(intent)
    world.emit("charge.failed", record)
    world.emit(FAILED_EVENT, intent)
    visible = {name: value for name, value in intent.items() if not name.startswith("_")}
    refusal.error |= {"payment_intent": visible, "payment_method": shown}
    return refusal


def _ask_payer(world: World, intent: Document, method: Document) -> Document:
    """Only a payer with somewhere to return to is sent to a page; others would need Stripe's script."""
    url = f"{world.base_url}c/authenticate/{intent['id']}"
    redirect = {"return_url": intent["_return_url"], "url": url}
    intent |= {"status": "requires_action", "payment_method": method["id"], "last_payment_error": None}
    intent["next_action"] = (
        {"type": "redirect_to_url", "redirect_to_url": redirect}
        if intent["_return_url"]
        else {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
    )
    world.save(intent)
    world.emit("payment_intent.requires_action", intent)
    return intent


def authenticated(world: World, intent: Document, *, passed: bool) -> Document:
    """The payer has answered the bank's question on the hosted page."""
    method = world.load("payment_method", intent["payment_method"])
    if passed:
        return _approved(world, intent, method, off_session=False)
    error = {
        "type": "invalid_request_error",
        "code": "payment_intent_authentication_failure",
        "message": "The provided PaymentMethod has failed authentication.",
    }
    intent |= {"status": "requires_payment_method", "payment_method": None, "last_payment_error": error}
    intent["next_action"] = None
    world.save(intent)
    world.emit(FAILED_EVENT, intent)
    return intent


def _hold(world: World, intent: Document, method: Document, *, off_session: bool) -> Document:
    seconds = HOLD_OFF_SESSION_SECONDS if off_session and method[CARD]["brand"] == "visa" else HOLD_SECONDS
    until = world.now + seconds
    record = new_charge(world, intent, method, "ch", status="succeeded", paid=True)
    record["payment_method_details"][CARD]["capture_before"] = until
    world.save(record)
    intent |= {"status": "requires_capture", "amount_capturable": intent["amount"], "latest_charge": record["id"]}
    intent |= {"last_payment_error": None, "next_action": None}
    world.save(intent)
    world.store.schedule(until, "hold_expires", intent["id"])
    world.emit("charge.succeeded", record)
    world.emit("payment_intent.amount_capturable_updated", intent)
    return intent


def client_secret(intent_id: str) -> str:
    """The secret with which a payer's browser may act on an intent."""
    return f"{intent_id}_secret_{new_id('s')[2:]}"
