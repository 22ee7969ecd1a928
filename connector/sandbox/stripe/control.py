"""The sandbox's own endpoints under `/_sandbox/`: the clock, happenings, totals for an independent judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.sandbox.clock import SandboxClock
from connector.sandbox.stripe import lifecycle
from connector.sandbox.stripe.errors import ApiError, Document
from connector.sandbox.stripe.happenings import HAPPENINGS
from connector.sandbox.stripe.idempotency import error_document
from connector.sandbox.stripe.params import Params
from connector.sandbox.stripe.store import Store
from connector.sandbox.stripe.webhooks import Deliveries
from connector.sandbox.stripe.world import World, public

_CLOCK = "clock"


def restore_clock(store: Store) -> SandboxClock:
    """The clock as the last process left it."""
    clock = SandboxClock()
    saved = store.setting(_CLOCK)
    if saved is not None:
        clock.set(datetime.fromisoformat(saved))
    return clock


def routes(store: Store, clock: SandboxClock, deliveries: Deliveries) -> list[Route]:
    """`/_sandbox/clock`, `/_sandbox/totals`, and a path for each thing that can be made to happen."""

    async def time_of_day(request: Request) -> Response:
        count = 0
        if request.method == "POST":
            try:
                clock.set(datetime.fromisoformat((await request.json())["now"]))
            except (KeyError, TypeError, ValueError) as refusal:
                return JSONResponse({"error": f"This is not an instant: {refusal}."}, 400)
            with store.transaction():
                store.remember(_CLOCK, clock.now().isoformat())
        count = lifecycle.run_due(store, int(clock.now().timestamp()), str(request.base_url))
        deliveries.wake()
        return JSONResponse({"now": clock.now().astimezone(UTC).isoformat(), "ran": count})

    def happening(happen: Callable[[World, Params], Document]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            fields = await request.json()
            now = int(clock.now().timestamp())
            world = World(store, now, str(request.base_url))
            lifecycle.run_due(store, now, world.base_url)
            try:
                with store.transaction():
                    found = happen(world, fields)
            except ApiError as refusal:
                return JSONResponse(error_document(refusal), refusal.status)
            deliveries.wake()
            return JSONResponse(public(found))

        return answer

    async def sums(request: Request) -> Response:
        lifecycle.run_due(store, int(clock.now().timestamp()), str(request.base_url))
        return JSONResponse(totals(store))

    return [
        Route("/_sandbox/clock", time_of_day, methods=["GET", "POST"]),
        *(Route(f"/_sandbox/{name}", happening(happen), methods=["POST"]) for name, happen in HAPPENINGS.items()),
        Route("/_sandbox/totals", sums, methods=["GET"]),
    ]


def totals(store: Store) -> dict[str, Any]:
    """Sums in cents, straight from the stored objects, and invoices that were charged more than once."""
    taken = [record for record in store.select("charge", {"status": "succeeded"}) if record["captured"]]
    refunded = [refund for refund in store.select("refund") if refund["status"] in ("pending", "succeeded")]
    movements = store.select("balance_transaction")
    invoices = Counter(record["metadata"].get("invoice_id") for record in taken)
    return {
        "charges": {"count": len(taken), "cents": sum(record["amount_captured"] for record in taken)},
        "refunded": {"count": len(refunded), "cents": sum(refund["amount"] for refund in refunded)},
        "disputed": _sum(store, "dispute", {}),
        "fees": {"cents": sum(movement["fee"] for movement in movements)},
        "paid_out": _sum(store, "payout", {"status": "paid"}),
        "balance": {"cents": sum(movement["net"] for movement in movements)},
        "duplicates": {invoice: count for invoice, count in invoices.items() if invoice and count > 1},
    }


def _sum(store: Store, kind: str, wanted: dict[str, Any]) -> dict[str, int]:
    found = store.select(kind, wanted)
    return {"count": len(found), "cents": sum(item["amount"] for item in found)}
