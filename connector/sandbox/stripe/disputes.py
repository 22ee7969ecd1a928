"""Disputes: those of cards await evidence, those of BECS debits are lost when they arrive."""

from __future__ import annotations

from connector.sandbox.stripe import balance
from connector.sandbox.stripe.errors import Document, invalid
from connector.sandbox.stripe.methods import BECS
from connector.sandbox.stripe.params import Params
from connector.sandbox.stripe.world import World, filters, public

EVIDENCE_SECONDS = 7 * 86400


def open_dispute(world: World, charge_id: str, reason: str) -> Document:
    """The payer's bank takes a charge back: amount and fee leave the balance at once."""
    record = world.load("charge", charge_id, "charge")
    if record["status"] != "succeeded" or not record["captured"] or record["disputed"]:
        raise invalid(f"Charge {charge_id} cannot be disputed now.", "charge")
    final = record["payment_method_details"]["type"] == BECS
    dispute = world.make(
        "dispute",
        "dp",
        amount=record["amount_captured"],
        charge=charge_id,
        currency=record["currency"],
        enhanced_eligibility_types=[],
        evidence={"enhanced_evidence": {}},
        evidence_details={
            "due_by": None if final else world.now + EVIDENCE_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        is_charge_refundable=False,
        payment_intent=record["payment_intent"],
        reason=reason,
        status="lost" if final else "needs_response",
    )
    amount = -record["amount_captured"]
    movement = balance.post(world, "adjustment", amount, dispute["id"], fee=balance.DISPUTE_FEE)
    dispute["balance_transactions"] = [public(movement)]
    world.save(dispute)
    world.save({**record, "disputed": True})
    world.emit("charge.dispute.created", dispute)
    world.emit("charge.dispute.funds_withdrawn", dispute)
    if final:
        world.emit("charge.dispute.closed", dispute)
    return dispute


def close(world: World, _params: Params, dispute_id: str) -> Document:
    """POST /v1/disputes/{dispute}/close: give in."""
    dispute = world.load("dispute", dispute_id)
    if dispute["status"] != "needs_response":
        raise invalid("This dispute is already closed.", "dispute")
    dispute["status"] = "lost"
    world.save(dispute)
    world.emit("charge.dispute.closed", dispute)
    return dispute


def retrieve(world: World, _params: Params, dispute_id: str) -> Document:
    """GET /v1/disputes/{dispute}."""
    return world.load("dispute", dispute_id)


def listing(world: World, params: Params) -> Document:
    """GET /v1/disputes."""
    return world.page("dispute", "/v1/disputes", params, filters(params, "charge", "payment_intent"))
