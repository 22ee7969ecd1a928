"""Stripe's money in billing's words: settlements, refunds, disputes, payouts, balance lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import stripe

from connector.billing.collecting.charges import ReturnKind
from connector.billing.processor import (
    ListedCharge,
    MoneyBack,
    Movement,
    PayoutReport,
    ReturnReport,
    ReturnState,
    Settlement,
)
from connector.billing.stripe.client import word
from connector.errors import UnexpectedResponse
from connector.money import Money

_REFUND_STATES = {
    "pending": ReturnState.PENDING,
    "requires_action": ReturnState.PENDING,
    "succeeded": ReturnState.SUCCEEDED,
    "failed": ReturnState.FAILED,
    "canceled": ReturnState.CANCELLED,
}
_DISPUTE_STATES = {
    "needs_response": ReturnState.WITHDRAWN,
    "under_review": ReturnState.WITHDRAWN,
    "appeal_needs_response": ReturnState.WITHDRAWN,
    "appeal_under_review": ReturnState.WITHDRAWN,
    "won": ReturnState.WON,
    "lost": ReturnState.LOST,
    "warning_needs_response": ReturnState.WARNING,
    "warning_under_review": ReturnState.WARNING,
    "warning_closed": ReturnState.WARNING,
    "prevented": ReturnState.WARNING,
}
_APPLICATION_FEE = "application_fee"


def instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def settlement(intent: stripe.PaymentIntent) -> Settlement:
    """The money of a succeeded PaymentIntent that was expanded down to its balance transaction."""
    charge = intent.latest_charge
    if not isinstance(charge, stripe.Charge) or not isinstance(charge.balance_transaction, stripe.BalanceTransaction):
        raise UnexpectedResponse("Stripe returned a succeeded payment without its balance transaction.")
    line = charge.balance_transaction
    platform = _application_fee(line.to_dict())
    fee = Money(line.fee - platform, line.currency)
    return Settlement(charge.id, Money(line.amount, line.currency), fee, instant(line.created), platform)


def refund(stripe_refund: stripe.Refund) -> ReturnReport:
    """Read a Refund that was expanded to both its balance transactions."""
    state = _REFUND_STATES.get(stripe_refund.status or "")
    if state is None:
        raise UnexpectedResponse(f"Stripe returned a refund of the unknown status {stripe_refund.status!r}.")
    line = stripe_refund.balance_transaction
    # Stripe leaves this out until there is one.
    failure = getattr(stripe_refund, "failure_balance_transaction", None)
    fee = line.fee if isinstance(line, stripe.BalanceTransaction) else 0
    at = line.created if isinstance(line, stripe.BalanceTransaction) else stripe_refund.created
    shown = stripe_refund.to_dict()
    return ReturnReport(
        stripe_refund.id,
        ReturnKind.REFUND,
        id_of(stripe_refund.payment_intent) or "",
        id_of(stripe_refund.charge) or "",
        Money(stripe_refund.amount, stripe_refund.currency),
        Money(fee, stripe_refund.currency),
        instant(at),
        final=state is ReturnState.SUCCEEDED,
        state=state,
        back=_back([failure]) if isinstance(failure, stripe.BalanceTransaction) else None,
        failure_code=word(shown["failure_reason"]) if shown.get("failure_reason") else None,
        refund_id=(shown.get("metadata") or {}).get("refund_id"),
    )


def dispute(stripe_dispute: stripe.Dispute) -> ReturnReport:
    """A dispute is final for the ledger once its balance transaction exists: then the money has left."""
    state = _DISPUTE_STATES.get(stripe_dispute.status)
    if state is None:
        raise UnexpectedResponse(f"Stripe returned a dispute of the unknown status {stripe_dispute.status!r}.")
    lines = stripe_dispute.balance_transactions
    withdrawn = [line for line in lines if line.amount < 0]
    reinstated = [line for line in lines if line.amount > 0]
    # An appeal may take the money again: it has come back only if all of it is there now.
    returned = bool(reinstated) and sum(line.amount for line in lines) >= 0
    return ReturnReport(
        stripe_dispute.id,
        ReturnKind.DISPUTE,
        id_of(stripe_dispute.payment_intent) or "",
        id_of(stripe_dispute.charge) or "",
        Money(stripe_dispute.amount, stripe_dispute.currency),
        Money(sum(line.fee for line in withdrawn), stripe_dispute.currency),
        instant(withdrawn[0].created if withdrawn else stripe_dispute.created),
        final=bool(withdrawn),
        state=state,
        back=_back(reinstated) if returned else None,
    )


def payout(stripe_payout: stripe.Payout) -> PayoutReport:
    return PayoutReport(
        stripe_payout.id,
        Money(stripe_payout.amount, stripe_payout.currency),
        instant(stripe_payout.arrival_date).date(),
        paid=stripe_payout.status == "paid",
        failed=stripe_payout.status in ("failed", "canceled"),
    )


def listed_charge(intent: Mapping[str, Any]) -> ListedCharge:
    """Read a payment object of a list, as a plain document."""
    metadata = intent["metadata"]
    return ListedCharge(
        intent["id"],
        instant(intent["created"]),
        metadata.get("charge_id"),
        metadata.get("invoice_id"),
        metadata.get("location_id"),
        Money(intent["amount"], intent["currency"]),
        intent["payment_method"],
    )


def movement(line: Mapping[str, Any]) -> Movement:
    """Read a line of the balance, as a plain document with its source expanded."""
    source, currency = line["source"], line["currency"]
    details = source if isinstance(source, dict) else {}
    metadata = details.get("metadata") or {}
    platform = _application_fee(line)
    return Movement(
        line["id"],
        line["type"],
        str(details.get("id") or source or ""),
        Money(line["amount"], currency),
        Money(line["fee"] - platform, currency),
        instant(line["created"]),
        metadata.get("location_id"),
        metadata.get("invoice_id"),
        final=details.get("status") not in ("pending", "failed", "canceled"),
        application_fee_cents=platform,
    )


def _application_fee(line: Mapping[str, Any]) -> int:
    """Cents of the line's fee that went to the platform and not to Stripe."""
    return sum(detail["amount"] for detail in line["fee_details"] if detail["type"] == _APPLICATION_FEE)


def _back(lines: list[stripe.BalanceTransaction]) -> MoneyBack:
    currency = lines[0].currency
    return MoneyBack(
        Money(sum(line.amount for line in lines), currency),
        Money(-sum(line.fee for line in lines), currency),
        instant(lines[-1].created),
    )


def id_of(reference: object) -> str | None:
    """The id of something that Stripe gives as an id or as the object itself."""
    return reference if reference is None or isinstance(reference, str) else str(reference.id)  # type: ignore[attr-defined]
