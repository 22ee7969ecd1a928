"""Carries out the charge of a confirmed PaymentIntent: cards at once, BECS debits after two business days."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from connector.ids import new_id
from connector.sandbox.stripe import balance, calendar, disputes, payment_methods, refunds
from connector.sandbox.stripe.errors import ApiError, Document, invalid
from connector.sandbox.stripe.methods import BECS, CARD
from connector.sandbox.stripe.world import World

BECS_RESULT_DAYS = 2
BECS_RESULT_HOUR = 9
BECS_TRANSACTION_MAX = 1_000_000
"""A$10,000 per debit, the limit of new accounts."""
HOLD_SECONDS = 7 * 86400
HOLD_OFF_SESSION_SECONDS = 4 * 86400 + 18 * 3600
_FINAL_FAILURE = "payment_intent.payment_failed"


def charge(world: World, intent: Document, method: Document, *, off_session: bool, may_ask: bool) -> Document:
    """Charge the method and move the intent on.

    `may_ask`: whether the payer can be asked to authenticate. Raises ApiError: 402 for a decline, whose failed charge
    and intent stay; RuntimeError for the test card that makes the server fail.
    """
    plan = method["_plan"]
    if plan["breaks"]:
        raise RuntimeError("The test card asks for a server error.")
    if method["type"] == BECS:
        return _debit_bank(world, intent, method)
    failure = _next_failure(world, method)
    if failure == "authentication_required" and may_ask:
        return _ask_payer(world, intent, method)
    if failure is not None:
        raise _decline(world, intent, method, failure)
    if intent["capture_method"] == "manual":
        return _hold(world, intent, method, off_session=off_session)
    record = _new_charge(world, intent, method, "ch", status="succeeded", paid=True, captured=True)
    return settle_card(world, intent, record, intent["amount"])


def settle_card(world: World, intent: Document, record: Document, amount: int) -> Document:
    """Take `amount` of an authorised or new card charge: the money is ours, less the fee."""
    plan = world.load("payment_method", record["payment_method"])["_plan"]
    fee = balance.fee_for(amount, CARD)
    movement = balance.post(world, "charge", amount, record["id"], fee=fee, available_on=balance.settlement(world))
    record |= {"captured": True, "amount_captured": amount, "balance_transaction": movement["id"]}
    world.save(record)
    intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0, "next_action": None}
    intent |= {"latest_charge": record["id"], "last_payment_error": None}
    world.save(intent)
    world.emit("charge.succeeded" if intent["capture_method"] != "manual" else "charge.captured", record)
    world.emit("payment_intent.succeeded", intent)
    if plan["disputed_as"]:
        disputes.open_dispute(world, record["id"], plan["disputed_as"])
    return intent


def becs_result(world: World, intent_id: str) -> None:
    """The bank's answer to a debit has arrived."""
    intent = world.load("payment_intent", intent_id)
    record = world.load("charge", intent["latest_charge"])
    method = world.load("payment_method", record["payment_method"])
    failure = record["_failure"]
    if failure is not None:
        _debit_failed(world, intent, record, method, failure)
        return
    record |= {"status": "succeeded", "paid": True}
    world.save(record)
    intent |= {"status": "succeeded", "amount_received": intent["amount"]}
    world.save(intent)
    world.emit("charge.succeeded", record)
    world.emit("payment_intent.succeeded", intent)
    refunds.resolve_waiting(world, record, paid=True)
    if method["_plan"]["disputed_as"]:
        disputes.open_dispute(world, record["id"], method["_plan"]["disputed_as"])


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


def _next_failure(world: World, method: Document) -> str | None:
    """How the next charge on a method fails, or None; counts it."""
    plan = method["_plan"]
    left: int | None = plan["failures_left"]
    if plan["failure"] is None or left == 0:
        return None
    if left is not None:
        plan["failures_left"] = left - 1
        world.save(method)
    return str(plan["failure"])


def _new_charge(world: World, intent: Document, method: Document, prefix: str, **state: Any) -> Document:
    details = {
        name: value for name, value in method[method["type"]].items() if name not in ("display_brand", "networks")
    }
    if method["type"] == CARD:
        details = {
            name: value for name, value in details.items() if name not in ("generated_from", "three_d_secure_usage")
        }
        details |= {"network": details["brand"], "three_d_secure": None, "amount_authorized": intent["amount"]}
    paid = state["status"] == "succeeded"
    outcome = {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network" if paid else "not_sent_to_network",
        "reason": None,
        "risk_level": "normal",
        "seller_message": "Payment complete.",
        "type": "authorized",
    }
    fields = {
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "billing_details": method["billing_details"],
        "captured": False,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "fraud_details": {},
        "metadata": intent["metadata"],
        "outcome": outcome,
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": {method["type"]: details, "type": method["type"]},
        "refunded": False,
    }
    return world.make("charge", prefix, **{**fields, **state})


def _decline(world: World, intent: Document, method: Document, failure: str) -> ApiError:
    record = _new_charge(world, intent, method, "ch", status="failed")
    refusal = payment_methods.card_error(failure, charge=record["id"])
    record |= {"failure_code": refusal.error["code"], "failure_message": refusal.error["message"]}
    record["outcome"] |= {
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
    world.emit(_FINAL_FAILURE, intent)
    visible = {name: value for name, value in intent.items() if not name.startswith("_")}
    refusal.error |= {"payment_intent": visible, "payment_method": shown}
    return refusal


def _ask_payer(world: World, intent: Document, method: Document) -> Document:
    url = f"{world.base_url}c/authenticate/{intent['id']}"
    redirect = {"return_url": intent.get("_return_url"), "url": url}
    intent |= {"status": "requires_action", "payment_method": method["id"]}
    intent["next_action"] = {"type": "redirect_to_url", "redirect_to_url": redirect}
    world.save(intent)
    world.emit("payment_intent.requires_action", intent)
    return intent


def authenticated(world: World, intent: Document, *, passed: bool) -> Document:
    """The payer has answered the bank's question on the hosted page."""
    method = world.load("payment_method", intent["payment_method"])
    if passed:
        record = _new_charge(world, intent, method, "ch", status="succeeded", paid=True, captured=True)
        return settle_card(world, intent, record, intent["amount"])
    error = {
        "type": "invalid_request_error",
        "code": "payment_intent_authentication_failure",
        "message": "The provided PaymentMethod has failed authentication.",
    }
    intent |= {"status": "requires_payment_method", "payment_method": None, "last_payment_error": error}
    intent["next_action"] = None
    world.save(intent)
    world.emit(_FINAL_FAILURE, intent)
    return intent


def _hold(world: World, intent: Document, method: Document, *, off_session: bool) -> Document:
    seconds = HOLD_OFF_SESSION_SECONDS if off_session and method[CARD]["brand"] == "visa" else HOLD_SECONDS
    until = world.now + seconds
    record = _new_charge(world, intent, method, "ch", status="succeeded", paid=True)
    record["payment_method_details"][CARD]["capture_before"] = until
    world.save(record)
    intent |= {"status": "requires_capture", "amount_capturable": intent["amount"], "latest_charge": record["id"]}
    intent["last_payment_error"] = None
    world.save(intent)
    world.store.schedule(until, "hold_expires", intent["id"])
    world.emit("charge.succeeded", record)
    world.emit("payment_intent.amount_capturable_updated", intent)
    return intent


def _debit_bank(world: World, intent: Document, method: Document) -> Document:
    today = calendar.sydney_date(world.now)
    start = max(_target_date(intent, today), today)
    result = calendar.at_sydney(calendar.plus_business_days(start, BECS_RESULT_DAYS), BECS_RESULT_HOUR)
    failure = _next_failure(world, method)
    if intent["amount"] > BECS_TRANSACTION_MAX:
        failure = "charge_exceeds_transaction_limit"
    mandate = payment_methods.active_mandate(world, method, intent.get("_mandate"))
    record = _new_charge(world, intent, method, "py", status="pending", captured=True, amount_captured=intent["amount"])
    details = record["payment_method_details"][BECS]
    details |= {"mandate": mandate["id"], "expected_debit_date": calendar.plus_business_days(start, 1).isoformat()}
    record["_failure"] = failure
    movement = balance.post(
        world,
        "payment",
        intent["amount"],
        record["id"],
        fee=balance.fee_for(intent["amount"], BECS),
        available_on=balance.settlement(world, result),
    )
    record["balance_transaction"] = movement["id"]
    world.save(record)
    intent |= {"status": "processing", "latest_charge": record["id"], "last_payment_error": None}
    world.save(intent)
    world.store.schedule(result, "becs_result", intent["id"])
    world.emit("charge.pending", record)
    world.emit("payment_intent.processing", intent)
    return intent


def _debit_failed(world: World, intent: Document, record: Document, method: Document, failure: str) -> None:
    message = f"The bank returned the debit: {failure.replace('_', ' ')}."
    paid_in = world.load("balance_transaction", record["balance_transaction"])
    taken_back = balance.post(
        world,
        "payment_failure_refund",
        -paid_in["amount"],
        record["id"],
        fee=-paid_in["fee"],
        available_on=paid_in["available_on"],
    )
    record |= {"status": "failed", "paid": False, "failure_code": failure, "failure_message": message}
    record["failure_balance_transaction"] = taken_back["id"]
    world.save(record)
    shown = {name: value for name, value in method.items() if not name.startswith("_")}
    error = {"type": "invalid_request_error", "code": failure, "message": message, "charge": record["id"]}
    intent |= {"status": "requires_payment_method", "payment_method": None}
    intent["last_payment_error"] = {**error, "payment_method": shown}
    world.save(intent)
    world.emit("charge.failed", record)
    world.emit(_FINAL_FAILURE, intent)
    payment_methods.bank_failure(world, record["payment_method_details"][BECS]["mandate"], failure)
    refunds.resolve_waiting(world, record, paid=False)


def _target_date(intent: Document, today: date) -> date:
    text = (intent["payment_method_options"] or {}).get(BECS, {}).get("target_date")
    if text is None:
        return today
    try:
        target = date.fromisoformat(text)
    except ValueError:
        raise invalid("target_date must be a date such as 2026-11-27.", "payment_method_options") from None
    if not today + timedelta(days=3) <= target <= today + timedelta(days=15):
        raise invalid("target_date must be 3 to 15 days from now.", "payment_method_options")
    return target


def client_secret(intent_id: str) -> str:
    """The secret with which a payer's browser may act on an intent."""
    return f"{intent_id}_secret_{new_id('s')[2:]}"
