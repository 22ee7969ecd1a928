"""The charge object that each try to take money leaves behind."""

from __future__ import annotations

from typing import Any

from connector.sandbox.stripe.errors import Document
from connector.sandbox.stripe.methods import CARD
from connector.sandbox.stripe.world import APPLICATION_ID, World

FAILED_EVENT = "payment_intent.payment_failed"


def next_failure(world: World, method: Document) -> str | None:
    """How the next charge on a method fails, or None; counts it."""
    plan = method["_plan"]
    left: int | None = plan["failures_left"]
    if plan["failure"] is None or left == 0:
        return None
    if left is not None:
        plan["failures_left"] = left - 1
        world.save(method)
    return str(plan["failure"])


def new_charge(world: World, intent: Document, method: Document, prefix: str, **state: Any) -> Document:
    """A charge of the intent's amount with that method; not yet saved."""
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
        "application": APPLICATION_ID if intent["application_fee_amount"] else None,
        "application_fee_amount": intent["application_fee_amount"],
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
