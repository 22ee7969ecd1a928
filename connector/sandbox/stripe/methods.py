"""The test payment methods: what each one is called and how it behaves.

| Name | Behaviour |
|---|---|
| `pm_card_visa`, `pm_card_au`, `pm_card_mastercard`, `pm_card_amex` | every charge succeeds |
| `pm_card_chargeCustomerFail` | attaches, then every charge is declined with generic_decline |
| `pm_card_visa_chargeDeclined`, `…InsufficientFunds`, `…LostCard`, `…StolenCard` | refused already when attached |
| `pm_card_chargeDeclinedExpiredCard`, `…ProcessingError` | refused already when attached |
| `pm_card_authenticationRequired` | every charge needs 3-D Secure; off session it is refused |
| `pm_card_createDispute` | succeeds, then is disputed as fraudulent |
| `pm_card_refundFail`, `pm_card_refundFailLate` | succeeds; a refund fails a day or thirty after it was made |
| `pm_card_apiError` | a charge ends in a 500 that is kept for its idempotency key; nothing has changed |
| `pm_card_decline_CODE` | attaches, then every charge is declined with CODE (`DECLINE_CODES`) |
| `pm_card_networkAdvice_NN` | every charge is declined with do_not_honor and Mastercard's advice NN |
| `pm_card_declineOnce_CODE`, `pm_card_declineTwice_CODE` | declined once or twice, then succeeds |
| `pm_becs_success` | every debit succeeds after two business days |
| `pm_becs_fail_CODE` | every debit comes back with CODE (`BECS_FAILURES`) |
| `pm_becs_failOnce_CODE`, `pm_becs_failTwice_CODE` | debits come back once or twice, then succeed |
| `pm_becs_dispute` | succeeds, then is disputed, which is final |

Names with an underscore before CODE or NN, `pm_card_apiError`, both of `pm_card_refundFail` and all that begin with
`pm_becs_` exist only here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

CARD = "card"
BECS = "au_becs_debit"

DECLINE_CODES: Mapping[str, str | None] = {
    "approve_with_id": "try_again_later",
    "authentication_required": None,
    "call_issuer": None,
    "card_not_supported": None,
    "card_velocity_exceeded": "try_again_later",
    "currency_not_supported": None,
    "do_not_honor": "try_again_later",
    "duplicate_transaction": None,
    "expired_card": "confirm_card_data",
    "fraudulent": "do_not_try_again",
    "generic_decline": "try_again_later",
    "incorrect_cvc": "confirm_card_data",
    "incorrect_number": "confirm_card_data",
    "incorrect_zip": "confirm_card_data",
    "insufficient_funds": "try_again_later",
    "invalid_account": "do_not_try_again",
    "invalid_amount": None,
    "invalid_cvc": "confirm_card_data",
    "invalid_expiry_month": "confirm_card_data",
    "invalid_expiry_year": "confirm_card_data",
    "issuer_not_available": "try_again_later",
    "lost_card": "do_not_try_again",
    "merchant_blacklist": "do_not_try_again",
    "new_account_information_available": "confirm_card_data",
    "no_action_taken": "try_again_later",
    "not_permitted": "do_not_try_again",
    "pickup_card": "do_not_try_again",
    "processing_error": "try_again_later",
    "reenter_transaction": "try_again_later",
    "restricted_card": "do_not_try_again",
    "revocation_of_all_authorizations": "do_not_try_again",
    "revocation_of_authorization": "do_not_try_again",
    "security_violation": "do_not_try_again",
    "service_not_allowed": "do_not_try_again",
    "stolen_card": "do_not_try_again",
    "stop_payment_order": "do_not_try_again",
    "testmode_decline": None,
    "transaction_not_allowed": "do_not_try_again",
    "try_again_later": "try_again_later",
    "withdrawal_count_limit_exceeded": "try_again_later",
}
"""Decline codes of cards and the advice that comes with each."""

NETWORK_ADVICE = ("01", "02", "03", "21", "24", "25", "26", "27", "28", "29", "30", "40", "41")
"""What Mastercard may advise after a decline, in its merchant advice codes."""

OWN_ERROR_CODES = frozenset({"authentication_required", "expired_card", "incorrect_cvc", "incorrect_number"}) | {
    "incorrect_zip",
    "invalid_cvc",
    "invalid_expiry_month",
    "invalid_expiry_year",
    "processing_error",
}
"""Decline codes that are the error's `code` too; all others come as `card_declined`."""

BECS_FAILURES: Mapping[str, bool] = {
    "refer_to_customer": True,
    "insufficient_funds": True,
    "account_closed": False,
    "no_account": False,
    "debit_not_authorized": False,
    "bank_account_restricted": False,
    "payment_method_bank_account_blocked": False,
    "charge_exceeds_source_limit": True,
    "charge_exceeds_transaction_limit": True,
}
"""Failure codes of BECS debits, and whether the mandate stays active."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How charges on a method go. `failures_left` counts the charges that still fail; None means all of them."""

    type: str = CARD
    brand: str = "visa"
    last4: str = "4242"
    failure: str | None = None
    failures_left: int | None = None
    refused_at_attach: bool = False
    disputed_as: str | None = None
    refund_fails_after_days: int | None = None
    network_advice: str | None = None
    breaks: bool = False

    def plan(self) -> dict[str, Any]:
        """The part that is kept on the payment method."""
        return asdict(self)


def _table() -> dict[str, Behaviour]:
    refused = {
        "pm_card_visa_chargeDeclined": ("generic_decline", "0002"),
        "pm_card_visa_chargeDeclinedInsufficientFunds": ("insufficient_funds", "9995"),
        "pm_card_visa_chargeDeclinedLostCard": ("lost_card", "9987"),
        "pm_card_visa_chargeDeclinedStolenCard": ("stolen_card", "9979"),
        "pm_card_chargeDeclinedExpiredCard": ("expired_card", "0069"),
        "pm_card_chargeDeclinedProcessingError": ("processing_error", "0119"),
    }
    methods = {
        "pm_card_visa": Behaviour(),
        "pm_card_au": Behaviour(last4="0006"),
        "pm_card_mastercard": Behaviour(brand="mastercard", last4="4444"),
        "pm_card_amex": Behaviour(brand="amex", last4="8431"),
        "pm_card_chargeCustomerFail": Behaviour(last4="0341", failure="generic_decline"),
        "pm_card_authenticationRequired": Behaviour(last4="3184", failure="authentication_required"),
        "pm_card_createDispute": Behaviour(last4="0259", disputed_as="fraudulent"),
        "pm_card_refundFail": Behaviour(last4="5126", refund_fails_after_days=1),
        "pm_card_refundFailLate": Behaviour(last4="5127", refund_fails_after_days=30),
        "pm_card_apiError": Behaviour(last4="0500", breaks=True),
        "pm_becs_success": Behaviour(BECS, "", "3456"),
        "pm_becs_dispute": Behaviour(BECS, "", "6660", disputed_as="debit_not_authorized"),
    }
    methods |= {
        name: Behaviour(last4=last4, failure=code, refused_at_attach=True) for name, (code, last4) in refused.items()
    }
    for advice in NETWORK_ADVICE:
        methods[f"pm_card_networkAdvice_{advice}"] = Behaviour(
            brand="mastercard", last4="4444", failure="do_not_honor", network_advice=advice
        )
    for times, left in (("", None), ("Once", 1), ("Twice", 2)):
        for code in DECLINE_CODES:
            methods[f"pm_card_decline{times}_{code}"] = Behaviour(last4="0341", failure=code, failures_left=left)
        for code in BECS_FAILURES:
            methods[f"pm_becs_fail{times}_{code}"] = Behaviour(BECS, "", "2227", code, left)
    return methods


TEST_METHODS: Mapping[str, Behaviour] = _table()
