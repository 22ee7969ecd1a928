"""Stripe's objects in billing's words: accounts, methods, charges and events. Pure, as `money_mapping` is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import stripe

from connector.billing.members import MethodKind
from connector.billing.processor import (
    AccountReport,
    AuthorisedMethod,
    ChargeReport,
    ChargeStatus,
    EventKind,
    ProcessorEvent,
)
from connector.billing.stripe.client import word
from connector.billing.stripe.money_mapping import id_of, instant, settlement
from connector.errors import UnexpectedResponse

EVENT_KINDS = {
    "payment_intent.succeeded": EventKind.CHARGE,
    "payment_intent.payment_failed": EventKind.CHARGE,
    "payment_intent.processing": EventKind.CHARGE,
    "payment_intent.canceled": EventKind.CHARGE,
    "payment_intent.requires_action": EventKind.CHARGE,
    "payment_intent.amount_capturable_updated": EventKind.CHARGE,
    "checkout.session.completed": EventKind.ENROLMENT,
    "refund.created": EventKind.REFUND,
    "refund.updated": EventKind.REFUND,
    "refund.failed": EventKind.REFUND,
    "charge.dispute.created": EventKind.DISPUTE,
    "charge.dispute.funds_withdrawn": EventKind.DISPUTE,
    "charge.dispute.funds_reinstated": EventKind.DISPUTE,
    "charge.dispute.closed": EventKind.DISPUTE,
    "payout.paid": EventKind.PAYOUT,
    "payout.failed": EventKind.PAYOUT,
    "mandate.updated": EventKind.MANDATE,
    "payment_method.automatically_updated": EventKind.METHOD,
    "payment_method.detached": EventKind.METHOD,
}
"""Event types that are read; Stripe allows at most 20 in one list."""

_STATUS = {
    "requires_payment_method": ChargeStatus.OPEN,
    "requires_confirmation": ChargeStatus.OPEN,
    "requires_action": ChargeStatus.NEEDS_PAYER,
    "requires_capture": ChargeStatus.AUTHORISED,
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

_EVENT_ID = re.compile(r"evt_[A-Za-z0-9_]{1,250}", re.ASCII)
_EVENT_TYPE = re.compile(r"[a-z0-9_.]{1,255}", re.ASCII)
_OBJECT_ID = re.compile(r"[A-Za-z0-9_]{1,255}", re.ASCII)

_REFUSED_BY_PAYER = "payment_intent_authentication_failure"


def account(stripe_account: stripe.Account, *, live: bool) -> AccountReport:
    """A capability that Stripe does not list is one that the account does not have."""
    able = stripe_account.to_dict().get("capabilities") or {}
    return AccountReport(
        charges_enabled=bool(stripe_account.charges_enabled),
        card=able.get("card_payments") == "active",
        becs=able.get("au_becs_debit_payments") == "active",
        currency=stripe_account.default_currency or "",
        live=live,
    )


def method(payment_method: stripe.PaymentMethod, mandate_id: str | None) -> AuthorisedMethod:
    details = payment_method.to_dict().get(payment_method.type, {})
    try:
        kind = MethodKind(payment_method.type)
    except ValueError:
        raise UnexpectedResponse(
            f"Stripe returned a payment method of the unknown type {payment_method.type!r}."
        ) from None
    return AuthorisedMethod(
        kind,
        payment_method.id,
        mandate_id,
        str(details.get("last4", "")),
        brand=details.get("brand"),
        exp_month=details.get("exp_month"),
        exp_year=details.get("exp_year"),
        fingerprint=details.get("fingerprint"),
    )


def charge_report(intent: stripe.PaymentIntent) -> ChargeReport:
    """Read a PaymentIntent that was expanded down to its balance transaction."""
    match _STATUS.get(intent.status):
        case None:
            raise UnexpectedResponse(f"Stripe returned a payment of the unknown status {intent.status!r}.")
        case ChargeStatus.SUCCEEDED as status:
            return ChargeReport(intent.id, status, settlement=settlement(intent))
        case ChargeStatus.NEEDS_PAYER as status:
            action = intent.next_action.to_dict() if intent.next_action else {}
            return ChargeReport(intent.id, status, payer_url=(action.get("redirect_to_url") or {}).get("url"))
        case ChargeStatus.AUTHORISED as status:
            return ChargeReport(intent.id, status, capture_before=_capture_before(intent))
        case ChargeStatus.PROCESSING as status:
            return ChargeReport(intent.id, status)
        case status:
            error = intent.last_payment_error
            if error is None:
                return ChargeReport(intent.id, status)
            return _failed(intent.id, status, error, id_of(intent.latest_charge))


def decline(processor_id: str, error: stripe.CardError) -> ChargeReport:
    """A 402 answer to a confirmation: the attempt failed and no money moved."""
    return _failed(processor_id, ChargeStatus.OPEN, error.error, None)


def event(document: Mapping[str, Any]) -> ProcessorEvent:
    """Read an event of the feed or a webhook. Raises UnexpectedResponse for one that could not be kept as it is."""
    event_id, event_type = _form(_EVENT_ID, document["id"]), _form(_EVENT_TYPE, document["type"])
    kind = EVENT_KINDS.get(event_type, EventKind.OTHER)
    # What is not acted on may be about something without an id, e.g. the balance.
    object_id = "" if kind is EventKind.OTHER else _form(_OBJECT_ID, document["data"]["object"]["id"])
    return ProcessorEvent(event_id, kind, event_type, object_id, instant(document["created"]))


def _form(pattern: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise UnexpectedResponse("Stripe returned an event whose ids or type are none: it is not kept.")
    return value


def _failed(
    processor_id: str,
    status: ChargeStatus,
    error: stripe.ErrorObject | stripe.PaymentIntent.LastPaymentError | None,
    latest_charge: str | None,
) -> ChargeReport:
    details = error.to_dict() if error else {}
    code = _word(details.get("decline_code")) or _word(details.get("code")) or "unknown"
    # A payer who refuses at the bank's page leaves no charge: the latest one is of an earlier attempt.
    failed = details.get("charge") or (None if code == _REFUSED_BY_PAYER else latest_charge)
    return ChargeReport(
        processor_id,
        status,
        failure_code=code,
        failed_charge_id=failed,
        mandate_dead=code in _MANDATE_ENDS,
        advice_code=_word(details.get("advice_code")),
        network_advice_code=_word(details.get("network_advice_code")),
        network_decline_code=_word(details.get("network_decline_code")),
    )


def _word(value: object) -> str | None:
    return word(value) if value else None


def _capture_before(intent: stripe.PaymentIntent) -> datetime | None:
    charge = intent.latest_charge
    if not isinstance(charge, stripe.Charge) or charge.payment_method_details is None:
        raise UnexpectedResponse("Stripe returned a hold without its charge.")
    card = charge.payment_method_details.card
    until = card.to_dict().get("capture_before") if card else None
    return instant(until) if until else None
