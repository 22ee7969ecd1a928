"""BECS direct debits: submitted at once, answered by the bank after two business days."""

from __future__ import annotations

from datetime import date, timedelta

from connector.sandbox.stripe import balance, calendar, disputes, payment_methods, refunds
from connector.sandbox.stripe.errors import Document, invalid
from connector.sandbox.stripe.methods import BECS
from connector.sandbox.stripe.records import FAILED_EVENT, new_charge, next_failure
from connector.sandbox.stripe.world import World

BECS_RESULT_DAYS = 2
BECS_RESULT_HOUR = 9
BECS_TRANSACTION_MAX = 1_000_000
"""A$10,000 per debit, the limit of new accounts."""


def debit_bank(world: World, intent: Document, method: Document) -> Document:
    """Submit the debit, under the mandate that the intent names or the method has."""
    today = calendar.sydney_date(world.now)
    start = max(_target_date(intent, today), today)
    result = calendar.at_sydney(calendar.plus_business_days(start, BECS_RESULT_DAYS), BECS_RESULT_HOUR)
    failure = next_failure(world, method)
    if intent["amount"] > BECS_TRANSACTION_MAX:
        failure = "charge_exceeds_transaction_limit"
    mandate = payment_methods.active_mandate(world, method, intent.get("_mandate"))
    record = new_charge(world, intent, method, "py", status="pending", captured=True, amount_captured=intent["amount"])
    details = record["payment_method_details"][BECS]
    details |= {"mandate": mandate["id"], "expected_debit_date": calendar.plus_business_days(start, 1).isoformat()}
    record["_failure"] = failure
    movement = balance.post(
        world,
        "payment",
        intent["amount"],
        record["id"],
        fee=balance.fee_for(intent["amount"], BECS),
        application_fee=intent["application_fee_amount"] or 0,
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
    platform = intent["application_fee_amount"] or 0
    taken_back = balance.post(
        world,
        "payment_failure_refund",
        -paid_in["amount"],
        record["id"],
        fee=platform - paid_in["fee"],
        application_fee=-platform,
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
    world.emit(FAILED_EVENT, intent)
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
