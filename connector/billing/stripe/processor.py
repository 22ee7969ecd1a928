"""The PaymentProcessor port on Stripe."""

from __future__ import annotations

from connector.billing.stripe.charges import Charges
from connector.billing.stripe.news import News
from connector.billing.stripe.payers import Payers


class StripeProcessor(Payers, Charges, News):
    """One Stripe account as billing's processor. Methods are described at the port."""
