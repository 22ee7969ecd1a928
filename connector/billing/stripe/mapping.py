"""Stripe's objects in billing's words. Pure; the only module that reads their fields."""

from __future__ import annotations

from datetime import UTC, datetime

import stripe

from connector.billing.charges import ReturnKind
from connector.billing.members import MethodKind
from connector.billing.processor import (
    AuthorisedMethod,
    ChargeReport,
    ChargeStatus,
    EventKind,
    Movement,
    PayoutReport,
    ProcessorEvent,
    ReturnReport,
    Settlement,
)
from connector.billing.stripe.client import word
from connector.errors import UnexpectedResponse
from connector.money import Money

EVENT_KINDS = {
    "payment_intent.succeeded": EventKind.CHARGE,
    "payment_intent.payment_failed": EventKind.CHARGE,
    "payment_intent.processing": EventKind.CHARGE,
    "payment_intent.canceled": EventKind.CHARGE,
    "checkout.session.completed": EventKind.ENROLMENT,
    "refund.created": EventKind.REFUND,
    "refund.updated": EventKind.REFUND,
    "charge.dispute.created": EventKind.DISPUTE,
    "charge.dispute.funds_withdrawn": EventKind.DISPUTE,
    "charge.dispute.closed": EventKind.DISPUTE,
    "payout.paid": EventKind.PAYOUT,
}
"""Event types that are read; Stripe allows at most 20 in one list."""

_STATUS = {
    "requires_payment_method": ChargeStatus.OPEN,
    "requires_confirmation": ChargeStatus.OPEN,
    "requires_action": ChargeStatus.OPEN,
    "processing": ChargeStatus.PROCESSING,
    "succeeded": ChargeStatus.SUCCEEDED,
    "canceled": ChargeStatus.CANCELLED,
}

_MANDATE_ENDS = frozenset(
    {
        "account_closed",
        "no_account",
        "debit_not_authorized",
        "bank_account_restricted",
        "payment_intent_mandate_invalid",
        "payment_method_bank_account_blocked",
    }
)
"""BECS failures after which the direct debit request is dead (Stripe: BECS failure codes)."""


def instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def method(payment_method: stripe.PaymentMethod, mandate_id: str | None) -> AuthorisedMethod:
    details = payment_method.to_dict().get(payment_method.type, {})
    try:
        kind = MethodKind(payment_method.type)
    except ValueError:
        raise UnexpectedResponse(
            f"Stripe returned a payment method of the unknown type {payment_method.type!r}."
        ) from None
    return AuthorisedMethod(kind, payment_method.id, mandate_id, str(details.get("last4", "")))


def charge_report(intent: stripe.PaymentIntent) -> ChargeReport:
    """Read a PaymentIntent that was expanded down to its balance transaction."""
    status = _STATUS.get(intent.status)
    if status is None:
        raise UnexpectedResponse(f"Stripe returned a payment of the unknown status {intent.status!r}.")
    if status is ChargeStatus.SUCCEEDED:
        return ChargeReport(intent.id, status, settlement=_settlement(intent))
    error = intent.last_payment_error
    if error is None:
        return ChargeReport(intent.id, status)
    code = _failure_code(getattr(error, "decline_code", None), error.code)
    return ChargeReport(
        intent.id,
        status,
        failure_code=code,
        failed_charge_id=_id(intent.latest_charge),
        mandate_dead=code in _MANDATE_ENDS,
    )


def decline(processor_id: str, error: stripe.CardError) -> ChargeReport:
    """A 402 answer to a confirmation: the attempt failed and no money moved."""
    details = error.error
    code = _failure_code(getattr(details, "decline_code", None), error.code)
    failed = getattr(details, "charge", None)
    return ChargeReport(
        processor_id, ChargeStatus.OPEN, failure_code=code, failed_charge_id=failed, mandate_dead=code in _MANDATE_ENDS
    )


def _failure_code(decline_code: str | None, code: str | None) -> str:
    found = decline_code or code
    return word(found) if found else "unknown"


def _settlement(intent: stripe.PaymentIntent) -> Settlement:
    charge = intent.latest_charge
    if not isinstance(charge, stripe.Charge) or not isinstance(charge.balance_transaction, stripe.BalanceTransaction):
        raise UnexpectedResponse("Stripe returned a succeeded payment without its balance transaction.")
    line = charge.balance_transaction
    return Settlement(
        charge.id, Money(line.amount, line.currency), Money(line.fee, line.currency), instant(line.created)
    )


def event(stripe_event: stripe.Event) -> ProcessorEvent:
    kind = EVENT_KINDS.get(stripe_event.type, EventKind.OTHER)
    object_id = str(stripe_event.data.object["id"])
    return ProcessorEvent(stripe_event.id, kind, stripe_event.type, object_id, instant(stripe_event.created))


def refund(stripe_refund: stripe.Refund) -> ReturnReport:
    line = stripe_refund.balance_transaction
    fee = line.fee if isinstance(line, stripe.BalanceTransaction) else 0
    at = line.created if isinstance(line, stripe.BalanceTransaction) else stripe_refund.created
    return ReturnReport(
        stripe_refund.id,
        ReturnKind.REFUND,
        _id(stripe_refund.payment_intent) or "",
        _id(stripe_refund.charge) or "",
        Money(stripe_refund.amount, stripe_refund.currency),
        Money(fee, stripe_refund.currency),
        instant(at),
        final=stripe_refund.status == "succeeded",
    )


def dispute(stripe_dispute: stripe.Dispute) -> ReturnReport:
    """A dispute is final for the ledger once its balance transaction exists: then the money has left."""
    withdrawn = [line for line in stripe_dispute.balance_transactions if line.amount < 0]
    return ReturnReport(
        stripe_dispute.id,
        ReturnKind.DISPUTE,
        _id(stripe_dispute.payment_intent) or "",
        _id(stripe_dispute.charge) or "",
        Money(stripe_dispute.amount, stripe_dispute.currency),
        Money(sum(line.fee for line in withdrawn), stripe_dispute.currency),
        instant(withdrawn[0].created if withdrawn else stripe_dispute.created),
        final=bool(withdrawn),
    )


def payout(stripe_payout: stripe.Payout) -> PayoutReport:
    return PayoutReport(
        stripe_payout.id,
        Money(stripe_payout.amount, stripe_payout.currency),
        instant(stripe_payout.arrival_date).date(),
        paid=stripe_payout.status == "paid",
    )


def movement(line: stripe.BalanceTransaction) -> Movement:
    source = line.source
    details = {} if source is None or isinstance(source, str) else source.to_dict()
    metadata = details.get("metadata") or {}
    return Movement(
        line.id,
        line.type,
        _id(source) or "",
        Money(line.amount, line.currency),
        Money(line.fee, line.currency),
        instant(line.created),
        metadata.get("location_id"),
        metadata.get("invoice_id"),
        final=details.get("status") not in ("pending", "failed", "canceled"),
    )


def _id(reference: object) -> str | None:
    """The id of something that Stripe gives as an id or as the object itself."""
    return reference if reference is None or isinstance(reference, str) else str(reference.id)  # type: ignore[attr-defined]
