"""Payers at Stripe: customers, and the payment methods that they authorise on Stripe's own pages."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import stripe

from connector.billing.members import MethodKind
from connector.billing.processor import AuthorisedMethod, HostedPage
from connector.billing.stripe import mapping
from connector.billing.stripe.account import StripeAccount
from connector.billing.stripe.client import translated
from connector.errors import Rejected

if TYPE_CHECKING:
    from stripe.params import CustomerCreateParams
    from stripe.params.checkout import SessionCreateParams

METHOD_TYPES = [MethodKind.CARD.value, MethodKind.BECS.value]


_SEAL = "SmilePass Connector keeps its seal here. It pays for nothing; leave it where it is."


class Payers(StripeAccount):
    """Who pays, and with what."""

    def write_seal(self, key: str, text: str, kept_as: str | None = None) -> str:
        with translated("keep the seal", writes=True):
            if kept_as:
                return self._stripe.customers.update(kept_as, {"metadata": {"seal": text}}, {"idempotency_key": key}).id
            wanted: CustomerCreateParams = {"description": _SEAL, "metadata": {"seal": text}}
            return self._stripe.customers.create(wanted, {"idempotency_key": key}).id

    def read_seal(self, kept_as: str) -> str | None:
        with translated("read the seal"):
            kept = self._stripe.customers.retrieve(kept_as).to_dict()
            return (kept.get("metadata") or {}).get("seal")

    def create_customer(self, key: str, member_id: str) -> str:
        with translated("create the customer", writes=True):
            return self._stripe.customers.create({"metadata": {"member_id": member_id}}, {"idempotency_key": key}).id

    def open_enrolment(
        self,
        key: str,
        customer_id: str,
        agreement_id: str,
        currency: str,
        *,
        return_url: str | None = None,
        message: str | None = None,
        expires_at: datetime | None = None,
    ) -> HostedPage:
        wanted: SessionCreateParams = {
            "mode": "setup",
            "currency": currency,
            "customer": customer_id,
            "client_reference_id": agreement_id,
            "allowed_payment_method_types": METHOD_TYPES,
            "setup_intent_data": {"metadata": {"agreement_id": agreement_id}},
            "success_url": return_url or self._settings.success_url,
        }
        if message:
            wanted["custom_text"] = {"submit": {"message": message}}
        if expires_at:
            wanted["expires_at"] = int(expires_at.timestamp())
        with translated("open the sign-up page", writes=True):
            session = self._stripe.checkout.sessions.create(wanted, {"idempotency_key": key})
            return HostedPage(session.id, session.url or "")

    def read_enrolment(self, session_id: str) -> tuple[str, AuthorisedMethod] | None:
        with translated("read the sign-up"):
            session = self._stripe.checkout.sessions.retrieve(session_id, {"expand": ["setup_intent.payment_method"]})
            intent = session.setup_intent
            if session.status != "complete" or not isinstance(intent, stripe.SetupIntent):
                return None
            if intent.status != "succeeded" or session.client_reference_id is None:
                return None
            if not isinstance(intent.payment_method, stripe.PaymentMethod):
                return None
            mandate = intent.mandate if isinstance(intent.mandate, str) or intent.mandate is None else intent.mandate.id
            return session.client_reference_id, mapping.method(intent.payment_method, mandate)

    def attach_method(self, key: str, customer_id: str, method_id: str) -> AuthorisedMethod:
        with translated("attach the payment method", writes=True):
            attached = self._stripe.payment_methods.attach(
                method_id, {"customer": customer_id}, {"idempotency_key": key}
            )
            if attached.type != MethodKind.BECS:
                return mapping.method(attached, None)
        raise Rejected("A bank account needs a direct debit request: let the payer sign up on the hosted page.")

    def read_method(self, method_id: str) -> AuthorisedMethod | None:
        with translated("read the payment method"):
            try:
                found = self._stripe.payment_methods.retrieve(method_id)
            except stripe.InvalidRequestError as error:
                if error.code == "resource_missing":
                    return None
                raise
            return mapping.method(found, None) if found.customer else None

    def mandate_active(self, mandate_id: str) -> bool:
        with translated("read the mandate"):
            return self._stripe.mandates.retrieve(mandate_id).status == "active"
