"""Refunds: at once for cards, after some business days for BECS, waiting while a debit is still under way."""

from __future__ import annotations

from connector.sandbox.stripe import balance, calendar
from connector.sandbox.stripe.errors import Document, invalid
from connector.sandbox.stripe.methods import BECS
from connector.sandbox.stripe.params import Params
from connector.sandbox.stripe.world import World, filters, merge_metadata

BECS_REFUND_DAYS = 3
BECS_WINDOW_SECONDS = 90 * 86400
_DAY_SECONDS = 86400
_ALIVE = ("pending", "succeeded", "requires_action")


def create(world: World, params: Params) -> Document:
    """POST /v1/refunds."""
    record = _charge_of(world, params)
    amount = params.get("amount", record["amount_captured"] - _asked_for(world, record))
    _check(world, record, amount)
    refund = world.make(
        "refund",
        "pyr" if _is_bank(record) else "re",
        amount=amount,
        charge=record["id"],
        currency=record["currency"],
        customer=record["customer"],
        payment_intent=record["payment_intent"],
        payment_method=record["payment_method"],
        reason=params.get("reason"),
        status="pending",
    )
    del refund["livemode"]
    merge_metadata(refund, params)
    if record["status"] == "succeeded":
        _pay_back(world, refund, record)
    else:
        refund["pending_reason"] = "charge_pending"
    world.save(refund)
    world.emit("refund.created", refund)
    if record["status"] == "succeeded":
        world.emit("charge.refunded", record)
    return refund


def _pay_back(world: World, refund: Document, record: Document) -> None:
    """Take the money from the balance and send it off."""
    kind = "payment_refund" if _is_bank(record) else "refund"
    refund["balance_transaction"] = balance.post(world, kind, -refund["amount"], refund["id"])["id"]
    record["amount_refunded"] += refund["amount"]
    record["refunded"] = record["amount_refunded"] == record["amount_captured"]
    world.save(record)
    plan = world.load("payment_method", record["payment_method"])["_plan"]
    if _is_bank(record):
        day = calendar.plus_business_days(calendar.sydney_date(world.now), BECS_REFUND_DAYS)
        world.store.schedule(calendar.at_sydney(day, 9), "refund_arrives", refund["id"])
        refund["pending_reason"] = "processing"
    else:
        refund["status"] = "succeeded"
    if plan["refund_fails_after_days"]:
        at = world.now + plan["refund_fails_after_days"] * _DAY_SECONDS
        world.store.schedule(at, "refund_fails", refund["id"])


def refund_arrives(world: World, refund_id: str) -> None:
    """The payer's bank has the money."""
    refund = world.load("refund", refund_id)
    refund |= {"status": "succeeded", "pending_reason": None}
    world.save(refund)
    world.emit("refund.updated", refund)


def refund_fails(world: World, refund_id: str) -> None:
    """The payer's bank has sent the money back."""
    refund = world.load("refund", refund_id)
    record = world.load("charge", refund["charge"])
    movement = balance.post(world, "refund_failure", refund["amount"], refund["id"])
    refund |= {"status": "failed", "failure_reason": "lost_or_stolen_card"}
    refund["failure_balance_transaction"] = movement["id"]
    world.save(refund)
    record["amount_refunded"] -= refund["amount"]
    record["refunded"] = False
    world.save(record)
    world.emit("refund.updated", refund)
    world.emit("refund.failed", refund)


def resolve_waiting(world: World, record: Document, *, paid: bool) -> None:
    """Carry out or cancel the refunds that were asked for while the debit was under way."""
    for refund in world.store.select("refund", {"charge": record["id"], "status": "pending"}, after=0):
        if paid:
            _pay_back(world, refund, record)
        else:
            refund |= {"status": "canceled", "pending_reason": None}
        world.save(refund)
        world.emit("refund.updated", refund)
        if paid:
            world.emit("charge.refunded", record)


def retrieve(world: World, _params: Params, refund_id: str) -> Document:
    """GET /v1/refunds/{refund}."""
    return world.load("refund", refund_id)


def update(world: World, params: Params, refund_id: str) -> Document:
    """POST /v1/refunds/{refund}: metadata only."""
    refund = world.load("refund", refund_id)
    merge_metadata(refund, params)
    world.save(refund)
    world.emit("refund.updated", refund)
    return refund


def listing(world: World, params: Params) -> Document:
    """GET /v1/refunds."""
    return world.page("refund", "/v1/refunds", params, filters(params, "charge", "payment_intent"))


def _charge_of(world: World, params: Params) -> Document:
    if ("charge" in params) == ("payment_intent" in params):
        raise invalid("Give either charge or payment_intent.", "charge", "parameter_missing")
    if "charge" in params:
        return world.load("charge", params["charge"], "charge")
    intent = world.load("payment_intent", params["payment_intent"], "payment_intent")
    if intent["status"] not in ("succeeded", "processing"):
        message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
        raise invalid(message, "payment_intent")
    return world.load("charge", intent["latest_charge"])


def _check(world: World, record: Document, amount: int) -> None:
    if record["status"] == "failed" or not record["captured"]:
        raise invalid(f"Charge {record['id']} has no money to refund.", "charge", "charge_not_refundable")
    if any(not dispute["is_charge_refundable"] for dispute in world.store.select("dispute", {"charge": record["id"]})):
        raise invalid(f"Charge {record['id']} has been charged back and cannot be refunded.", None, "charge_disputed")
    left = record["amount_captured"] - _asked_for(world, record)
    if left <= 0:
        message = f"Charge {record['id']} has already been refunded."
        raise invalid(message, None, "charge_already_refunded")
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})."
        raise invalid(message, "amount")
    if _is_bank(record) and world.now > record["created"] + BECS_WINDOW_SECONDS:
        raise invalid("BECS payments can be refunded for 90 days only.", "charge", "charge_not_refundable")


def _asked_for(world: World, record: Document) -> int:
    """Cents of all refunds that have been or may yet be paid."""
    refunds = world.store.select("refund", {"charge": record["id"]})
    return sum(refund["amount"] for refund in refunds if refund["status"] in _ALIVE)


def _is_bank(record: Document) -> bool:
    return bool(record["payment_method_details"]["type"] == BECS)
