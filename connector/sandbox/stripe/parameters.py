"""The parameters that each simulated endpoint accepts; anything else is refused as unknown.

Of Connect there are direct charges with application fees; transfers and the like are refused as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

from connector.sandbox.stripe.params import Choice, Either, Flag, Group, Items, Labels, Spec, Text, Whole

Fields = Mapping[str, Spec]

CENTS_MAX = 99_999_999
"""Eight digits: the largest amount of one PaymentIntent."""

_EXPAND: Fields = {"expand": Items(Text())}
_TYPES = Items(Choice(("card", "au_becs_debit", "link", "payto")))
_INSTANTS = Either(
    (Whole(), Group({"gt": Whole(), "gte": Whole(), "lt": Whole(), "lte": Whole()})),
)
_PAGE: Fields = {**_EXPAND, "limit": Whole(1, 100), "starting_after": Text(), "ending_before": Text()}
_DATED: Fields = {**_PAGE, "created": _INSTANTS}
_ADDRESS = Group({name: Text() for name in ("city", "country", "line1", "line2", "postal_code", "state")})
_USAGE = Choice(("off_session", "on_session"))

_CUSTOMER: Fields = {
    **_EXPAND,
    "address": _ADDRESS,
    "description": Text(),
    "email": Text(512),
    "invoice_settings": Group({"default_payment_method": Text()}),
    "metadata": Labels(),
    "name": Text(256),
    "phone": Text(20),
    "preferred_locales": Items(Text()),
}
_ACCEPTANCE = Group(
    {
        "accepted_at": Whole(),
        "offline": Group({}),
        "online": Group({"ip_address": Text(required=True), "user_agent": Text(required=True)}),
        "type": Choice(("offline", "online"), required=True),
    },
    required=True,
)
_MANDATE_DATA = Group({"customer_acceptance": _ACCEPTANCE})
_CARD_OPTIONS = Group(
    {
        "capture_method": Choice(("manual",)),
        "request_three_d_secure": Choice(("any", "automatic", "challenge")),
        "stored_credential_usage": Choice(("installment", "recurring", "unscheduled")),
    }
)
_METHOD_OPTIONS = Group({"card": _CARD_OPTIONS, "au_becs_debit": Group({"target_date": Text()})})
_SETUP_OPTIONS = Group({"card": Group({"request_three_d_secure": Choice(("any", "automatic", "challenge"))})})
_INTENT: Fields = {
    **_EXPAND,
    "allowed_payment_method_types": _TYPES,
    "customer": Text(),
    "description": Text(1000),
    "metadata": Labels(),
    "payment_method": Text(),
    "payment_method_options": _METHOD_OPTIONS,
    "receipt_email": Text(),
    "setup_future_usage": _USAGE,
    "statement_descriptor": Text(22),
    "statement_descriptor_suffix": Text(22),
}
_CAPTURE_METHOD = Choice(("automatic", "automatic_async", "manual"))
_CONFIRM: Fields = {
    "error_on_requires_action": Flag(),
    "mandate": Text(),
    "mandate_data": _MANDATE_DATA,
    "off_session": Either((Flag(), Choice(("one_off", "recurring")))),
    "return_url": Text(),
}
_SETUP: Fields = {
    **_EXPAND,
    "allowed_payment_method_types": _TYPES,
    "customer": Text(),
    "description": Text(1000),
    "metadata": Labels(),
    "payment_method": Text(),
    "payment_method_options": _SETUP_OPTIONS,
}
_SETUP_CONFIRM: Fields = {"mandate_data": _MANDATE_DATA, "return_url": Text()}
_INTENT_CANCEL = Choice(("abandoned", "duplicate", "fraudulent", "requested_by_customer"))
_SETUP_CANCEL = Choice(("abandoned", "duplicate", "requested_by_customer"))
_SESSION: Fields = {
    **_EXPAND,
    "allowed_payment_method_types": _TYPES,
    "cancel_url": Text(),
    "client_reference_id": Text(200),
    "currency": Text(3),
    "customer": Text(),
    "customer_creation": Choice(("always", "if_required")),
    "customer_email": Text(),
    "expires_at": Whole(),
    "locale": Text(),
    "custom_text": Group({"submit": Group({"message": Text(1000, required=True)})}),
    "metadata": Labels(),
    "mode": Choice(("setup",), required=True),
    "setup_intent_data": Group({"description": Text(1000), "metadata": Labels()}),
    "success_url": Text(required=True),
}
_WEBHOOK: Fields = {
    **_EXPAND,
    "api_version": Text(),
    "connect": Flag(),
    "description": Text(),
    "enabled_events": Items(Text(), 300, required=True),
    "metadata": Labels(),
    "url": Text(required=True),
}
_TYPE = Choice(("card", "au_becs_debit", "link", "payto"))

PARAMETERS: Mapping[str, Fields] = {
    "GET /v1/account": _EXPAND,
    "GET /v1/balance": _EXPAND,
    "GET /v1/balance_transactions": {
        **_DATED,
        "currency": Text(3),
        "payout": Text(),
        "source": Text(),
        "type": Text(),
    },
    "GET /v1/balance_transactions/{id}": _EXPAND,
    "GET /v1/charges": {**_DATED, "customer": Text(), "payment_intent": Text()},
    "GET /v1/charges/{charge}": _EXPAND,
    "GET /v1/checkout/sessions": {
        **_DATED,
        "customer": Text(),
        "payment_intent": Text(),
        "status": Choice(("complete", "expired", "open")),
    },
    "POST /v1/checkout/sessions": _SESSION,
    "GET /v1/checkout/sessions/{session}": _EXPAND,
    "POST /v1/checkout/sessions/{session}": {**_EXPAND, "metadata": Labels()},
    "POST /v1/checkout/sessions/{session}/expire": _EXPAND,
    "GET /v1/customers": {**_DATED, "email": Text(512)},
    "POST /v1/customers": {**_CUSTOMER, "payment_method": Text()},
    "GET /v1/customers/{customer}": _EXPAND,
    "POST /v1/customers/{customer}": _CUSTOMER,
    "DELETE /v1/customers/{customer}": {},
    "GET /v1/customers/{customer}/payment_methods": {**_PAGE, "type": _TYPE},
    "GET /v1/customers/{customer}/payment_methods/{payment_method}": _EXPAND,
    "GET /v1/disputes": {**_DATED, "charge": Text(), "payment_intent": Text()},
    "GET /v1/disputes/{dispute}": _EXPAND,
    "POST /v1/disputes/{dispute}/close": _EXPAND,
    "GET /v1/events": {**_DATED, "type": Text(), "types": Items(Text(), 20)},
    "GET /v1/events/{id}": _EXPAND,
    "GET /v1/mandates/{mandate}": _EXPAND,
    "GET /v1/payment_intents": {**_DATED, "customer": Text()},
    "POST /v1/payment_intents": {
        **_INTENT,
        **_CONFIRM,
        "amount": Whole(1, CENTS_MAX, required=True),
        "capture_method": _CAPTURE_METHOD,
        "application_fee_amount": Whole(1, CENTS_MAX),
        "confirm": Flag(),
        "currency": Text(3, required=True),
    },
    "GET /v1/payment_intents/{intent}": {**_EXPAND, "client_secret": Text()},
    "POST /v1/payment_intents/{intent}": {
        **_INTENT,
        "amount": Whole(1, CENTS_MAX),
        "application_fee_amount": Whole(1, CENTS_MAX),
        "capture_method": _CAPTURE_METHOD,
        "currency": Text(3),
    },
    "POST /v1/payment_intents/{intent}/cancel": {**_EXPAND, "cancellation_reason": _INTENT_CANCEL},
    "POST /v1/payment_intents/{intent}/capture": {
        **_EXPAND,
        "amount_to_capture": Whole(1, CENTS_MAX),
        "application_fee_amount": Whole(1, CENTS_MAX),
        "metadata": Labels(),
        "statement_descriptor": Text(22),
        "statement_descriptor_suffix": Text(22),
    },
    "POST /v1/payment_intents/{intent}/confirm": {
        **_CONFIRM,
        **_EXPAND,
        "allowed_payment_method_types": _TYPES,
        "amount_to_confirm": Whole(1, CENTS_MAX),
        "capture_method": _CAPTURE_METHOD,
        "payment_method": Text(),
        "payment_method_options": _METHOD_OPTIONS,
        "receipt_email": Text(),
        "setup_future_usage": _USAGE,
    },
    "GET /v1/payment_methods": {**_PAGE, "customer": Text(), "type": _TYPE},
    "GET /v1/payment_methods/{payment_method}": _EXPAND,
    "POST /v1/payment_methods/{payment_method}": {**_EXPAND, "metadata": Labels()},
    "POST /v1/payment_methods/{payment_method}/attach": {**_EXPAND, "customer": Text(required=True)},
    "POST /v1/payment_methods/{payment_method}/detach": _EXPAND,
    "GET /v1/payouts": {**_DATED, "arrival_date": _INSTANTS, "destination": Text(), "status": Text()},
    "GET /v1/payouts/{payout}": _EXPAND,
    "GET /v1/refunds": {**_DATED, "charge": Text(), "payment_intent": Text()},
    "POST /v1/refunds": {
        **_EXPAND,
        "amount": Whole(1, CENTS_MAX),
        "charge": Text(),
        "metadata": Labels(),
        "payment_intent": Text(),
        "reason": Choice(("duplicate", "fraudulent", "requested_by_customer")),
    },
    "GET /v1/refunds/{refund}": _EXPAND,
    "POST /v1/refunds/{refund}": {**_EXPAND, "metadata": Labels()},
    "GET /v1/setup_intents": {**_DATED, "customer": Text(), "payment_method": Text()},
    "POST /v1/setup_intents": {**_SETUP, **_SETUP_CONFIRM, "confirm": Flag(), "usage": _USAGE},
    "GET /v1/setup_intents/{intent}": {**_EXPAND, "client_secret": Text()},
    "POST /v1/setup_intents/{intent}": _SETUP,
    "POST /v1/setup_intents/{intent}/cancel": {**_EXPAND, "cancellation_reason": _SETUP_CANCEL},
    "POST /v1/setup_intents/{intent}/confirm": {**_SETUP_CONFIRM, **_EXPAND, "payment_method": Text()},
    "GET /v1/webhook_endpoints": _PAGE,
    "POST /v1/webhook_endpoints": _WEBHOOK,
    "GET /v1/webhook_endpoints/{webhook_endpoint}": _EXPAND,
    "DELETE /v1/webhook_endpoints/{webhook_endpoint}": {},
}
