"""The account itself: what it may do, which can be changed on demand, and the payment method types that follow."""

from __future__ import annotations

import json

from connector.sandbox.stripe.errors import Document, invalid
from connector.sandbox.stripe.methods import BECS, CARD
from connector.sandbox.stripe.params import Params
from connector.sandbox.stripe.world import ACCOUNT_ID, World

_SETTING = "account"
_CAPABILITY_OF = {CARD: "card_payments", BECS: "au_becs_debit_payments"}
_STATUSES = ("active", "inactive", "pending")


def retrieve(world: World, _params: Params) -> Document:
    """GET /v1/account."""
    changed = json.loads(world.store.setting(_SETTING) or "{}")
    capabilities = dict.fromkeys((*_CAPABILITY_OF.values(), "transfers"), "active")
    return {
        "id": ACCOUNT_ID,
        "object": "account",
        "capabilities": capabilities | changed.get("capabilities", {}),
        "charges_enabled": changed.get("charges_enabled", True),
        "country": "AU",
        "default_currency": "aud",
        "details_submitted": True,
        "metadata": {},
        "payouts_enabled": True,
        "type": "standard",
    }


def change(world: World, fields: Params) -> Document:
    """Stripe takes an ability away or gives it back. Raises ApiError for what is none."""
    able, capabilities = fields.get("charges_enabled", True), fields.get("capabilities", {})
    known = set(_CAPABILITY_OF.values())
    if not isinstance(able, bool) or not set(capabilities) <= known or not set(capabilities.values()) <= set(_STATUSES):
        raise invalid("Give charges_enabled and capabilities, each active, inactive or pending.", "account")
    world.store.remember(_SETTING, json.dumps({"charges_enabled": able, "capabilities": capabilities}))
    return retrieve(world, {})


def offered_types(world: World, params: Params) -> list[str]:
    """What of the allowed types this account can offer now. Raises ApiError when nothing is left."""
    capabilities = retrieve(world, {})["capabilities"]
    active = [name for name, capability in _CAPABILITY_OF.items() if capabilities[capability] == "active"]
    types = [name for name in active if name in params.get("allowed_payment_method_types", active)]
    if not types:
        message = "None of the allowed payment method types can be used on this account."
        raise invalid(message, "allowed_payment_method_types", "payment_method_not_available")
    return types


def check_charges(world: World) -> None:
    """Raises ApiError while the account may not take money."""
    if not retrieve(world, {})["charges_enabled"]:
        raise invalid("Your account cannot currently make charges.", code="account_invalid")
