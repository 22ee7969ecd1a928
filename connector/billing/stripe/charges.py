"""Charges at Stripe: PaymentIntents that are created first and confirmed second, captured, cancelled and refunded."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import stripe

from connector.billing.members import MethodKind
from connector.billing.processor import AuthorisedMethod, ChargeReport, ChargeStatus, ReturnReport
from connector.billing.stripe import mapping, money_mapping
from connector.billing.stripe.account import StripeAccount
from connector.billing.stripe.client import Declined, translated
from connector.billing.stripe.payers import METHOD_TYPES
from connector.errors import Rejected
from connector.money import Money

if TYPE_CHECKING:
    from stripe.params import (
        PaymentIntentCaptureParams,
        PaymentIntentConfirmParams,
        PaymentIntentCreateParams,
        RefundCreateParams,
    )

SETTLED = ["latest_charge.balance_transaction"]
PAID_BACK = ["balance_transaction", "failure_balance_transaction"]

_UNCONFIRMED = (ChargeStatus.OPEN, ChargeStatus.NEEDS_PAYER)


class Charges(StripeAccount):
    """Taking money, and giving it back."""

    def prepare_charge(
        self,
        key: str,
        customer_id: str,
        amount: Money,
        charge_id: str,
        invoice_id: str,
        location_id: str,
        *,
        manual_capture: bool = False,
        application_fee: Money | None = None,
        description: str | None = None,
    ) -> str:
        wanted: PaymentIntentCreateParams = {
            "amount": amount.cents,
            "currency": amount.currency,
            "customer": customer_id,
            "allowed_payment_method_types": [MethodKind.CARD.value] if manual_capture else METHOD_TYPES,
            # Stripe's default captures later than it answers, and the answer then lacks the fee.
            "capture_method": "manual" if manual_capture else "automatic",
            "metadata": {"charge_id": charge_id, "invoice_id": invoice_id, "location_id": location_id},
        }
        if application_fee:
            wanted["application_fee_amount"] = application_fee.cents
        if description:
            wanted["description"] = description
        with translated("create the charge", writes=True):
            return self._stripe.payment_intents.create(wanted, {"idempotency_key": key}).id

    def confirm_charge(self, key: str, processor_id: str, method: AuthorisedMethod, amount: Money) -> ChargeReport:
        return self._confirm(key, processor_id, method, {"off_session": True, "amount_to_confirm": amount.cents})

    def present_charge(
        self, key: str, processor_id: str, method: AuthorisedMethod, amount: Money, return_url: str
    ) -> ChargeReport:
        return self._confirm(key, processor_id, method, {"return_url": return_url, "amount_to_confirm": amount.cents})

    def capture_charge(
        self, key: str, processor_id: str, amount: Money, application_fee: Money | None = None
    ) -> ChargeReport:
        wanted: PaymentIntentCaptureParams = {"amount_to_capture": amount.cents, "expand": SETTLED}
        if application_fee:
            wanted["application_fee_amount"] = application_fee.cents
        try:
            with translated("capture the hold", writes=True):
                intent = self._stripe.payment_intents.capture(processor_id, wanted, {"idempotency_key": key})
                return self._report(intent)
        except Rejected as error:
            return self._moved_on(processor_id, error, but=(*_UNCONFIRMED, ChargeStatus.AUTHORISED))

    def cancel_charge(self, key: str, processor_id: str) -> ChargeReport:
        try:
            with translated("cancel the charge", writes=True):
                intent = self._stripe.payment_intents.cancel(
                    processor_id, {"expand": SETTLED}, {"idempotency_key": key}
                )
                return self._report(intent)
        except Rejected as error:
            return self._moved_on(processor_id, error, but=(*_UNCONFIRMED, ChargeStatus.AUTHORISED))

    def read_charge(self, processor_id: str) -> ChargeReport:
        with translated("read the charge"):
            return mapping.charge_report(self._stripe.payment_intents.retrieve(processor_id, {"expand": SETTLED}))

    def refund_charge(self, key: str, processor_id: str, amount: Money, refund_id: str | None = None) -> ReturnReport:
        wanted: RefundCreateParams = {"amount": amount.cents, "expand": PAID_BACK}
        if processor_id.startswith("pi_"):
            wanted["payment_intent"] = processor_id
        else:
            wanted["charge"] = processor_id
        if refund_id:
            wanted["metadata"] = {"refund_id": refund_id}
        with translated("refund the charge", writes=True):
            return money_mapping.refund(self._stripe.refunds.create(wanted, {"idempotency_key": key}))

    def _confirm(
        self, key: str, processor_id: str, method: AuthorisedMethod, how: PaymentIntentConfirmParams
    ) -> ChargeReport:
        wanted: PaymentIntentConfirmParams = {**how, "payment_method": method.processor_id, "expand": SETTLED}
        if method.mandate_id:
            wanted["mandate"] = method.mandate_id
        try:
            with translated("confirm the charge", writes=True):
                intent = self._stripe.payment_intents.confirm(processor_id, wanted, {"idempotency_key": key})
                return self._report(intent)
        except Declined as declined:
            return mapping.decline(processor_id, declined.error)
        except Rejected as error:
            return self._moved_on(processor_id, error, but=(*_UNCONFIRMED, ChargeStatus.CANCELLED))

    def _report(self, answer: stripe.PaymentIntent) -> ChargeReport:
        """What an answer says, or the present state when the answer has been overtaken."""
        return self.read_charge(answer.id) if _is_overtaken(answer) else mapping.charge_report(answer)

    def _moved_on(self, processor_id: str, refusal: Rejected, but: Collection[ChargeStatus]) -> ChargeReport:
        """What became of an object that refused a step: it may have been taken already, and its answer lost.

        Its state decides, not the refusal, which is raised when the state is one of `but`.
        """
        report = self.read_charge(processor_id)
        if report.status in but:
            raise refusal
        return report


def _is_overtaken(answer: stripe.PaymentIntent) -> bool:
    """Whether more is known by now: a kept answer, since which the payer may have acted, or one without its fee."""
    if answer.status == "requires_action":
        response = answer.last_response
        return response is not None and response.headers.get("Idempotent-Replayed") == "true"
    charge = answer.latest_charge
    return answer.status == "succeeded" and isinstance(charge, stripe.Charge) and charge.balance_transaction is None
