"""Webhooks: a request from anywhere becomes an event only when Stripe has signed it, for us, about now."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import stripe

from connector.billing.processor import EventKind, ProcessorEvent
from connector.billing.stripe import mapping
from connector.billing.stripe.client import translated
from connector.errors import AccessDenied, DomainError
from connector.settings import StripeSettings

TOLERANCE_SECONDS = 300
"""How far the time of a signature may be from ours, in either direction; Stripe's own default."""
NO_SECRET = "No webhook secret is set: set CONNECTOR_STRIPE__WEBHOOK_SECRET to the one that Stripe shows."  # noqa: S105


def verified(settings: StripeSettings, payload: bytes, signature: str, now: datetime) -> ProcessorEvent:
    """The event of a webhook request; of kind OTHER when it is not ours to act on.

    So it is when it happened in another account of the platform, or in the other mode: a platform's live endpoint hears
    of tests, too, and a test must not settle anything.

    Raises AccessDenied without a secret, DomainError for a signature that is not Stripe's or not of this time, and
    UnexpectedResponse for a signed body that is no event.
    """
    if not settings.webhook_secrets:
        raise AccessDenied(NO_SECRET)
    if not any(_is_signed(payload, signature, secret) for secret in settings.webhook_secrets):
        raise DomainError("The request is not signed by Stripe: check CONNECTOR_STRIPE__WEBHOOK_SECRET.")
    # Stripe's library refuses old signatures by the machine's clock and lets future ones pass; this does neither.
    if abs(now.timestamp() - _signed_at(signature)) > TOLERANCE_SECONDS:
        raise DomainError("The signature of the request is not of this time: check the clock of this machine.")
    with translated("read the webhook"):
        content = stripe.Webhook.construct_event_without_verification(payload).to_dict()
        found = mapping.event(content)
    foreign = content.get("account") not in (None, settings.account)
    is_live = "_live_" in settings.secret_key.get_secret_value()
    other_mode = content.get("livemode") not in (None, is_live)
    return replace(found, kind=EventKind.OTHER) if foreign or other_mode else found


def _is_signed(payload: bytes, signature: str, secret: str) -> bool:
    try:
        return stripe.WebhookSignature.verify_header(payload, signature, secret, tolerance=0)  # type: ignore[no-any-return]
    except (stripe.SignatureVerificationError, UnicodeError, TypeError):
        # The library compares texts, which fails on anything but ASCII.
        return False


def _signed_at(signature: str) -> int:
    """The time stamp that was signed; the header has been read once already."""
    parts = [part.split("=") for part in signature.split(",")]
    return next(int(part[1]) for part in parts if part[0] == "t")
