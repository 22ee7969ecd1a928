"""The PaymentProcessor port on Stripe: off-session PaymentIntents, created first and confirmed second."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TypeVar

import stripe

from connector.billing.charges import ReturnKind
from connector.billing.members import MethodKind
from connector.billing.processor import (
    AuthorisedMethod,
    ChargeReport,
    HostedPage,
    Movement,
    PayoutReport,
    ProcessorEvent,
    ReturnReport,
)
from connector.billing.stripe import mapping
from connector.billing.stripe.client import build_client, open_http, translated, word
from connector.errors import AccessDenied, Rejected, UnexpectedResponse
from connector.money import Money
from connector.settings import StripeSettings

NO_KEY = "No Stripe key is set: set CONNECTOR_STRIPE__SECRET_KEY."
METHOD_TYPES = [MethodKind.CARD.value, MethodKind.BECS.value]
SETTLED = ["latest_charge.balance_transaction"]
PAGE = 100

Object = TypeVar("Object", stripe.Event, stripe.BalanceTransaction)


class StripeProcessor:
    """One Stripe account."""

    def __init__(self, settings: StripeSettings) -> None:
        self._http = open_http(settings)
        self._client = build_client(settings, self._http).v1 if settings.secret_key.get_secret_value() else None
        self._success_url = settings.success_url

    @property
    def _stripe(self) -> stripe.V1Services:
        if self._client is None:
            raise AccessDenied(NO_KEY)
        return self._client

    def close(self) -> None:
        """Give up the connections."""
        self._http.close()  # type: ignore[no-untyped-call]

    def create_customer(self, key: str, member_id: str) -> str:
        with translated("create the customer", writes=True):
            return self._stripe.customers.create({"metadata": {"member_id": member_id}}, {"idempotency_key": key}).id

    def open_enrolment(self, key: str, customer_id: str, agreement_id: str, currency: str) -> HostedPage:
        with translated("open the sign-up page", writes=True):
            session = self._stripe.checkout.sessions.create(
                {
                    "mode": "setup",
                    "currency": currency,
                    "customer": customer_id,
                    "client_reference_id": agreement_id,
                    "allowed_payment_method_types": METHOD_TYPES,
                    "success_url": self._success_url,
                },
                {"idempotency_key": key},
            )
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
        try:
            with translated("attach the payment method", writes=True):
                attached = self._stripe.payment_methods.attach(
                    method_id, {"customer": customer_id}, {"idempotency_key": key}
                )
                if attached.type != MethodKind.BECS:
                    return mapping.method(attached, None)
        except stripe.CardError as error:
            raise Rejected(f"Stripe refused the payment method ({word(error.code)}): ask for another one.") from None
        raise Rejected("A bank account needs a direct debit request: let the payer sign up on the hosted page.")

    def prepare_charge(
        self, key: str, customer_id: str, amount: Money, charge_id: str, invoice_id: str, location_id: str
    ) -> str:
        with translated("create the charge", writes=True):
            return self._stripe.payment_intents.create(
                {
                    "amount": amount.cents,
                    "currency": amount.currency,
                    "customer": customer_id,
                    "allowed_payment_method_types": METHOD_TYPES,
                    "metadata": {"charge_id": charge_id, "invoice_id": invoice_id, "location_id": location_id},
                },
                {"idempotency_key": key},
            ).id

    def confirm_charge(self, key: str, processor_id: str, method: AuthorisedMethod, amount: Money) -> ChargeReport:
        try:
            with translated("confirm the charge", writes=True):
                intent = self._stripe.payment_intents.confirm(
                    processor_id,
                    {
                        "payment_method": method.processor_id,
                        "off_session": True,
                        "amount_to_confirm": amount.cents,
                        "expand": SETTLED,
                        **({"mandate": method.mandate_id} if method.mandate_id else {}),
                    },
                    {"idempotency_key": key},
                )
                return mapping.charge_report(intent)
        except stripe.CardError as error:
            return mapping.decline(processor_id, error)
        except Rejected:
            # The object may have moved on meanwhile (an earlier answer was lost): its state decides, not the refusal.
            report = self.read_charge(processor_id)
            if report.status in ("open", "cancelled"):
                raise
            return report

    def read_charge(self, processor_id: str) -> ChargeReport:
        with translated("read the charge"):
            return mapping.charge_report(self._stripe.payment_intents.retrieve(processor_id, {"expand": SETTLED}))

    def events_since(self, instant: datetime) -> Iterator[ProcessorEvent]:
        with translated("read the events"):
            page = self._stripe.events.list(
                {"created": {"gte": int(instant.timestamp())}, "types": list(mapping.EVENT_KINDS), "limit": PAGE}
            )
            # Stripe lists newest first; the whole window is read before the oldest is known.
            events = [mapping.event(event) for event in _each_once(page.auto_paging_iter())]
        return reversed(events)

    def read_return(self, kind: ReturnKind, processor_id: str) -> ReturnReport:
        with translated(f"read the {kind}"):
            if kind is ReturnKind.REFUND:
                return mapping.refund(self._stripe.refunds.retrieve(processor_id, {"expand": ["balance_transaction"]}))
            return mapping.dispute(self._stripe.disputes.retrieve(processor_id))

    def read_payout(self, processor_id: str) -> PayoutReport:
        with translated("read the payout"):
            return mapping.payout(self._stripe.payouts.retrieve(processor_id))

    def movements(self, start: datetime, end: datetime) -> Iterator[Movement]:
        with translated("read the balance"):
            page = self._stripe.balance_transactions.list(
                {
                    "created": {"gte": int(start.timestamp()), "lt": int(end.timestamp())},
                    "limit": PAGE,
                    "expand": ["data.source"],
                }
            )
            lines = [mapping.movement(line) for line in _each_once(page.auto_paging_iter())]
        return reversed(lines)


def _each_once(found: Iterable[Object]) -> Iterator[Object]:
    """What a list holds, over all its pages. Raises UnexpectedResponse when it repeats itself and would never end."""
    seen: set[str] = set()
    for item in found:
        if item.id in seen:
            raise UnexpectedResponse("Stripe's list repeats itself: it is read again later.")
        seen.add(item.id)
        yield item
