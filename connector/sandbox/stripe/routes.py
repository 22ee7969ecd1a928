"""Which handler answers which endpoint, and the parameters it takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connector.sandbox.stripe import (
    account,
    balance,
    checkout,
    customers,
    disputes,
    events,
    payment_intents,
    payment_methods,
    refunds,
    setup_intents,
)
from connector.sandbox.stripe.errors import ApiError, Document
from connector.sandbox.stripe.parameters import PARAMETERS, Fields

Handler = Callable[..., Document]
"""Takes the world, the checked parameters, and the ids in the path."""

HANDLERS: Mapping[str, Handler] = {
    "GET /v1/account": account.retrieve,
    "GET /v1/balance": balance.retrieve_balance,
    "GET /v1/balance_transactions": balance.list_transactions,
    "GET /v1/balance_transactions/{id}": balance.retrieve_transaction,
    "GET /v1/charges": payment_intents.list_charges,
    "GET /v1/charges/{charge}": payment_intents.retrieve_charge,
    "GET /v1/checkout/sessions": checkout.listing,
    "POST /v1/checkout/sessions": checkout.create,
    "GET /v1/checkout/sessions/{session}": checkout.retrieve,
    "POST /v1/checkout/sessions/{session}": checkout.update,
    "POST /v1/checkout/sessions/{session}/expire": checkout.expire,
    "GET /v1/customers": customers.listing,
    "POST /v1/customers": customers.create,
    "GET /v1/customers/{customer}": customers.retrieve,
    "POST /v1/customers/{customer}": customers.update,
    "DELETE /v1/customers/{customer}": customers.delete,
    "GET /v1/customers/{customer}/payment_methods": customers.list_methods,
    "GET /v1/customers/{customer}/payment_methods/{payment_method}": customers.retrieve_method,
    "GET /v1/disputes": disputes.listing,
    "GET /v1/disputes/{dispute}": disputes.retrieve,
    "POST /v1/disputes/{dispute}/close": disputes.close,
    "GET /v1/events": events.listing,
    "GET /v1/events/{id}": events.retrieve,
    "GET /v1/mandates/{mandate}": payment_methods.retrieve_mandate,
    "GET /v1/payment_intents": payment_intents.listing,
    "POST /v1/payment_intents": payment_intents.create,
    "GET /v1/payment_intents/{intent}": payment_intents.retrieve,
    "POST /v1/payment_intents/{intent}": payment_intents.update,
    "POST /v1/payment_intents/{intent}/cancel": payment_intents.cancel,
    "POST /v1/payment_intents/{intent}/capture": payment_intents.capture,
    "POST /v1/payment_intents/{intent}/confirm": payment_intents.confirm,
    "GET /v1/payment_methods": payment_methods.listing,
    "GET /v1/payment_methods/{payment_method}": payment_methods.retrieve,
    "POST /v1/payment_methods/{payment_method}": payment_methods.update,
    "POST /v1/payment_methods/{payment_method}/attach": payment_methods.attach,
    "POST /v1/payment_methods/{payment_method}/detach": payment_methods.detach,
    "GET /v1/payouts": balance.list_payouts,
    "GET /v1/payouts/{payout}": balance.retrieve_payout,
    "GET /v1/refunds": refunds.listing,
    "POST /v1/refunds": refunds.create,
    "GET /v1/refunds/{refund}": refunds.retrieve,
    "POST /v1/refunds/{refund}": refunds.update,
    "GET /v1/setup_intents": setup_intents.listing,
    "POST /v1/setup_intents": setup_intents.create,
    "GET /v1/setup_intents/{intent}": setup_intents.retrieve,
    "POST /v1/setup_intents/{intent}": setup_intents.update,
    "POST /v1/setup_intents/{intent}/cancel": setup_intents.cancel,
    "POST /v1/setup_intents/{intent}/confirm": setup_intents.confirm,
    "GET /v1/webhook_endpoints": events.list_endpoints,
    "POST /v1/webhook_endpoints": events.create_endpoint,
    "GET /v1/webhook_endpoints/{webhook_endpoint}": events.retrieve_endpoint,
    "DELETE /v1/webhook_endpoints/{webhook_endpoint}": events.delete_endpoint,
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One simulated endpoint."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    fields: Fields


def _compile(name: str, handler: Handler) -> Endpoint:
    method, path = name.split(" ")
    pattern = re.compile(re.sub(r"\{\w+\}", "([^/]+)", path))
    return Endpoint(method, pattern, handler, PARAMETERS[name])


_ENDPOINTS = [_compile(name, handler) for name, handler in HANDLERS.items()]


def find(method: str, path: str) -> tuple[Endpoint, tuple[str, ...]]:
    """The endpoint and the ids in the path. Raises ApiError (404) when there is none."""
    for endpoint in _ENDPOINTS:
        match = endpoint.pattern.fullmatch(path) if endpoint.method == method else None
        if match is not None:
            return endpoint, match.groups()
    raise ApiError(404, f"Unrecognized request URL ({method}: {path}).")
