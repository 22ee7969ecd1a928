"""Stripe as payment processor: the only package that knows its library, its objects and its words."""

from connector.billing.stripe.processor import StripeProcessor

__all__ = ["StripeProcessor"]
