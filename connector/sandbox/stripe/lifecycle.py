"""Work that falls due by the clock: bank results, payouts, expiries. Each runs as of the instant it was due."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from connector.sandbox.stripe import balance, charging, checkout, debits, refunds
from connector.sandbox.stripe.store import Store
from connector.sandbox.stripe.world import World

_ACTIONS: Mapping[str, Callable[[World, str], None]] = {
    "becs_result": debits.becs_result,
    "capture_settles": charging.capture_settles,
    "hold_expires": charging.hold_expires,
    "payout": balance.run_payout,
    "payout_arrives": balance.payout_arrives,
    "refund_arrives": refunds.refund_arrives,
    "refund_fails": refunds.refund_fails,
    "session_expires": checkout.session_expires,
}


def run_due(store: Store, now: int, base_url: str) -> int:
    """Do everything that is due by `now`, earliest first, each piece in its own transaction; returns how many."""
    count = 0
    while (due := store.next_due(now)) is not None:
        row, at, action, target = due
        with store.transaction():
            _ACTIONS[action](World(store, at, base_url), target)
            store.done(row)
        count += 1
    return count
