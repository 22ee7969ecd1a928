"""The account's money: balance transactions, the balance, and daily automatic payouts.

Fees are constants, so that every figure of a run can be recomputed: cards 1.75 % + 30 cents, BECS 1 % + 30 cents but at
most 3.50, disputes 25.00; rounded half up. Money is available two business days after the charge settled.
"""

from __future__ import annotations

from decimal import Decimal

from connector.money import Money
from connector.sandbox.stripe import calendar
from connector.sandbox.stripe.errors import Document, invalid
from connector.sandbox.stripe.methods import BECS
from connector.sandbox.stripe.params import Params
from connector.sandbox.stripe.world import APPLICATION_ID, World, filters, instants

CURRENCY = "aud"
CARD_RATE = Decimal("1.75")
BECS_RATE = Decimal(1)
FIXED_FEE = 30
BECS_FEE_MAX = 350
DISPUTE_FEE = 2500
SETTLEMENT_DAYS = 2
_PAYOUT_HOUR = 0
_ARRIVAL_HOUR = 17
_CATEGORIES = {
    "charge": "charge",
    "payment": "charge",
    "refund": "refund",
    "payment_refund": "refund",
    "refund_failure": "refund_failure",
    "payment_failure_refund": "charge_failure",
    "adjustment": "dispute",
    "payout": "payout",
    "payout_failure": "payout_reversal",
}


def fee_for(amount: int, method_type: str) -> int:
    """Stripe's fee in cents for a successful charge."""
    rate = BECS_RATE if method_type == BECS else CARD_RATE
    fee = Money(amount, CURRENCY).percent(rate).cents + FIXED_FEE
    return min(fee, BECS_FEE_MAX) if method_type == BECS else fee


def settlement(world: World, settled: int | None = None) -> int:
    """The instant at which money of a charge that settles at `settled` (now) joins a payout."""
    day = calendar.sydney_date(world.now if settled is None else settled)
    return calendar.at_sydney(calendar.plus_business_days(day, SETTLEMENT_DAYS), _PAYOUT_HOUR)


def post(
    world: World,
    kind: str,
    amount: int,
    source: str,
    *,
    fee: int = 0,
    application_fee: int = 0,
    available_on: int | None = None,
) -> Document:
    """Book one movement, less Stripe's fee and the platform's.

    Without `available_on` it counts at once; a payout is planned for when it counts.
    """
    available = world.now if available_on is None else available_on
    parts = (("stripe_fee", fee, None), ("application_fee", application_fee, APPLICATION_ID))
    details = [
        {"amount": part, "application": application, "currency": CURRENCY, "description": "Fee", "type": kind_of_fee}
        for kind_of_fee, part, application in parts
        if part
    ]
    kept = fee + application_fee
    transaction = world.make(
        "balance_transaction",
        "txn",
        amount=amount,
        available_on=available,
        balance_type="payments",
        currency=CURRENCY,
        fee=kept,
        fee_details=details,
        net=amount - kept,
        reporting_category=_CATEGORIES[kind],
        source=source,
        status="available" if available <= world.now else "pending",
        type=kind,
    )
    for absent in ("livemode", "metadata"):
        del transaction[absent]
    if kind != "payout":
        transaction["_payout"] = ""
        world.store.schedule(_next_payout(available), "payout", "")
    return world.save(transaction)


def run_payout(world: World, _target: str) -> None:
    """Pay out everything available, unless that is nothing; a negative balance waits for better days."""
    open_items = world.store.select("balance_transaction", {"_payout": ""}, after=0)
    items = [item for item in open_items if item["available_on"] <= world.now]
    amount = sum(item["net"] for item in items)
    for item in items:
        item["status"] = "available"
        world.save(item)
    if amount <= 0:
        return
    day = calendar.sydney_date(world.now)
    payout = world.make(
        "payout",
        "po",
        amount=amount,
        arrival_date=calendar.utc_midnight(day),
        automatic=True,
        currency=CURRENCY,
        description="STRIPE PAYOUT",
        destination="ba_sandbox",
        method="standard",
        reconciliation_status="in_progress",
        source_type="card",
        status="in_transit",
        type="bank_account",
    )
    movement = post(world, "payout", -amount, payout["id"])
    payout["balance_transaction"] = movement["id"]
    for item in [*items, movement]:
        world.save({**item, "_payout": payout["id"]})
    world.save(payout)
    world.emit("payout.created", payout)
    world.store.schedule(calendar.at_sydney(day, _ARRIVAL_HOUR), "payout_arrives", payout["id"])


def payout_arrives(world: World, payout_id: str) -> None:
    """The bank has the money; from now on the payout can be itemised."""
    payout = world.load("payout", payout_id)
    if payout["status"] != "in_transit":
        return
    payout |= {"status": "paid", "reconciliation_status": "completed"}
    world.save(payout)
    world.emit("payout.paid", payout)
    world.emit("payout.reconciliation_completed", payout)


def payout_fails(world: World, payout_id: str, reason: str) -> Document:
    """The bank has sent the money back, perhaps days after it arrived: it joins the next payout."""
    payout = world.load("payout", payout_id, "payout")
    if payout["status"] not in ("in_transit", "paid"):
        raise invalid(f"The payout {payout_id} has failed already.", "payout")
    movement = post(world, "payout_failure", payout["amount"], payout_id)
    payout |= {"status": "failed", "failure_code": reason, "failure_message": "The bank returned the payout."}
    payout["failure_balance_transaction"] = movement["id"]
    world.save(payout)
    world.emit("payout.failed", payout)
    return payout


def list_transactions(world: World, params: Params) -> Document:
    """GET /v1/balance_transactions, also itemising one payout."""
    wanted = filters(params, "currency", "source", "type")
    if "payout" in params:
        payout = world.load("payout", params["payout"], "payout")
        if payout["reconciliation_status"] != "completed":
            message = f"The payout {payout['id']} cannot be itemised yet."
            raise invalid(message, "payout", "payout_reconciliation_not_ready")
        wanted["_payout"] = payout["id"]
    page = world.page("balance_transaction", "/v1/balance_transactions", params, wanted)
    return {**page, "data": [_aged(world, item) for item in page["data"]]}


def retrieve_transaction(world: World, _params: Params, transaction_id: str) -> Document:
    """GET /v1/balance_transactions/{id}."""
    return _aged(world, world.load("balance_transaction", transaction_id))


def list_payouts(world: World, params: Params) -> Document:
    """GET /v1/payouts."""
    wanted = filters(params, "destination", "status") | instants("arrival_date", params)
    return world.page("payout", "/v1/payouts", params, wanted)


def retrieve_payout(world: World, _params: Params, payout_id: str) -> Document:
    """GET /v1/payouts/{payout}."""
    return world.load("payout", payout_id)


def retrieve_balance(world: World, _params: Params) -> Document:
    """GET /v1/balance: what can be paid out now, and what is on its way."""
    rows = world.store.connection.execute(
        "SELECT body ->> 'available_on' <= ?, sum(body ->> 'net') FROM object"
        " WHERE kind = 'balance_transaction' GROUP BY 1",
        (world.now,),
    )
    sums = dict(rows.fetchall())
    return {
        "object": "balance",
        "available": [{"amount": sums.get(1, 0), "currency": CURRENCY, "source_types": {"card": sums.get(1, 0)}}],
        "livemode": False,
        "pending": [{"amount": sums.get(0, 0), "currency": CURRENCY, "source_types": {"card": sums.get(0, 0)}}],
    }


def _aged(world: World, transaction: Document) -> Document:
    """The transaction with the status that time has given it."""
    return {**transaction, "status": "available" if transaction["available_on"] <= world.now else "pending"}


def _next_payout(available: int) -> int:
    """The first payout run at or after an instant: payouts start each business day at midnight in Sydney."""
    day = calendar.plus_business_days(calendar.sydney_date(available), 0)
    run = calendar.at_sydney(day, _PAYOUT_HOUR)
    return run if run >= available else calendar.at_sydney(calendar.plus_business_days(day, 1), _PAYOUT_HOUR)
