"""Disputes: those of cards await evidence, those of BECS debits are lost when they arrive."""

from __future__ import annotations

from connector.sandbox.stripe import balance
from connector.sandbox.stripe.errors import Document, invalid
from connector.sandbox.stripe.methods import BECS
from connector.sandbox.stripe.params import Params
from connector.sandbox.stripe.world import World, filters, public

EVIDENCE_SECONDS = 7 * 86400


def open_dispute(
    world: World, charge_id: str, reason: str, *, amount: int | None = None, inquiry: bool = False
) -> Document:
    """The payer's bank takes a charge back, or a part of it: amount and fee leave the balance at once.

    An inquiry only asks.
    """
    record = world.load("charge", charge_id, "charge")
    if record["status"] != "succeeded" or not record["captured"] or record["disputed"]:
        raise invalid(f"Charge {charge_id} cannot be disputed now.", "charge")
    if amount is not None and not 0 < amount <= record["amount_captured"]:
        raise invalid("No more than was taken can be disputed, and no less than a cent.", "amount")
    final = record["payment_method_details"]["type"] == BECS
    dispute = world.make(
        "dispute",
        "dp",
        amount=record["amount_captured"] if amount is None else amount,
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
        balance_transactions=[],
        is_charge_refundable=inquiry,
        payment_intent=record["payment_intent"],
        reason=reason,
        status="warning_needs_response" if inquiry else "lost" if final else "needs_response",
    )
    if not inquiry:
        _withdraw(world, dispute)
    world.save(dispute)
    world.save({**record, "disputed": True})
    world.emit("charge.dispute.created", dispute)
    if not inquiry:
        world.emit("charge.dispute.funds_withdrawn", dispute)
    if final:
        world.emit("charge.dispute.closed", dispute)
    return dispute


def escalate(world: World, dispute_id: str) -> Document:
    """The answers did not satisfy the bank: the inquiry becomes a dispute, and the money leaves now."""
    dispute = world.load("dispute", dispute_id, "dispute")
    if dispute["status"] != "warning_needs_response":
        raise invalid("This is no open inquiry.", "dispute")
    _withdraw(world, dispute)
    dispute |= {"status": "needs_response", "is_charge_refundable": False}
    world.save(dispute)
    world.emit("charge.dispute.updated", dispute)
    world.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def win(world: World, dispute_id: str) -> Document:
    """The payer's bank decides for us: amount and fee come back."""
    dispute = world.load("dispute", dispute_id, "dispute")
    if dispute["status"] != "needs_response":
        raise invalid("This dispute cannot be won any more.", "dispute")
    movement = balance.post(world, "adjustment", dispute["amount"], dispute_id, fee=-balance.DISPUTE_FEE)
    dispute["balance_transactions"].append(public(movement))
    dispute |= {"status": "won", "is_charge_refundable": True}
    world.save(dispute)
    world.emit("charge.dispute.funds_reinstated", dispute)
    world.emit("charge.dispute.closed", dispute)
    return dispute


def _withdraw(world: World, dispute: Document) -> None:
    movement = balance.post(world, "adjustment", -dispute["amount"], dispute["id"], fee=balance.DISPUTE_FEE)
    dispute["balance_transactions"].append(public(movement))


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
