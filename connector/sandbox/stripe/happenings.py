"""What others do, on demand under `/_sandbox/`: payers and their banks, card networks, Stripe itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from connector.sandbox.stripe import account, balance, disputes, payment_methods
from connector.sandbox.stripe.errors import Document, invalid
from connector.sandbox.stripe.methods import CARD
from connector.sandbox.stripe.params import Params
from connector.sandbox.stripe.world import World

_RENEWED = ("exp_month", "exp_year", "last4", "fingerprint")


def _disputed(world: World, fields: Params) -> Document:
    """`charge` or `payment_intent`, and optionally `amount`, `reason` and `inquiry`."""
    charge_id = fields.get("charge")
    if charge_id is None:
        intent = world.load("payment_intent", str(fields.get("payment_intent")), "payment_intent")
        charge_id = str(intent["latest_charge"])
    reason = fields.get("reason", "fraudulent")
    amount, inquiry = fields.get("amount"), bool(fields.get("inquiry"))
    return disputes.open_dispute(world, charge_id, reason, amount=amount and int(amount), inquiry=inquiry)


def _dispute_won(world: World, fields: Params) -> Document:
    return disputes.win(world, str(fields.get("dispute")))


def _inquiry_escalated(world: World, fields: Params) -> Document:
    return disputes.escalate(world, str(fields.get("dispute")))


def _payout_failed(world: World, fields: Params) -> Document:
    return balance.payout_fails(world, str(fields.get("payout")), str(fields.get("reason", "account_closed")))


def _card_renewed(world: World, fields: Params) -> Document:
    """The bank has issued a new card: any of expiry, last4 and fingerprint under the same id."""
    method = world.load("payment_method", str(fields.get("payment_method")), "payment_method")
    if method["type"] != CARD:
        raise invalid("Only cards are renewed.", "payment_method")
    method[CARD] |= {name: fields[name] for name in _RENEWED if name in fields}
    world.save(method)
    world.emit("payment_method.automatically_updated", method)
    return method


def _mandate_revoked(world: World, fields: Params) -> Document:
    mandate = world.load("mandate", str(fields.get("mandate")), "mandate")
    payment_methods.deactivate(world, mandate)
    return mandate


HAPPENINGS: Mapping[str, Callable[[World, Params], Document]] = {
    "account": account.change,
    "disputes": _disputed,
    "disputes/escalated": _inquiry_escalated,
    "disputes/won": _dispute_won,
    "mandates/revoked": _mandate_revoked,
    "payment_methods/renewed": _card_renewed,
    "payouts/failed": _payout_failed,
}
"""Path under `/_sandbox/` and what a POST of a JSON object there makes happen; the answer is the object."""
