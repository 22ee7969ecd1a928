"""One Stripe account: the connection that every part of the processor works over, and what the account can do."""

from __future__ import annotations

import stripe

from connector.billing.processor import AccountReport
from connector.billing.stripe import mapping
from connector.billing.stripe.client import MeteredClient, build_client, translated
from connector.errors import AccessDenied
from connector.settings import StripeSettings

NO_KEY = "No Stripe key is set: set CONNECTOR_STRIPE__SECRET_KEY."


class StripeAccount:
    """The practice's own account, or the connected one that a platform's key acts for (`StripeSettings.account`).

    `http` stands in for the connections to Stripe in simulations.
    """

    def __init__(self, settings: StripeSettings, http: MeteredClient | None = None) -> None:
        self._settings = settings
        self._http = http or MeteredClient(settings)
        self._client = build_client(settings, self._http) if settings.secret_key.get_secret_value() else None

    @property
    def _stripe(self) -> stripe.V1Services:
        return self._whole.v1

    @property
    def _whole(self) -> stripe.StripeClient:
        if self._client is None:
            raise AccessDenied(NO_KEY)
        return self._client

    @property
    def reads(self) -> int:
        """Read requests sent since the start."""
        return self._http.reads

    def close(self) -> None:
        """Give up the connections."""
        self._http.close()  # type: ignore[no-untyped-call]

    def check_account(self) -> AccountReport:
        with translated("read the account"):
            live = "_live_" in self._settings.secret_key.get_secret_value()
            return mapping.account(self._stripe.accounts.retrieve_current(), live=live)
