"""A simulated Stripe that the unmodified stripe-python talks to: same objects, refusals, timing and money."""

from connector.sandbox.stripe.app import create_app

__all__ = ["create_app"]
