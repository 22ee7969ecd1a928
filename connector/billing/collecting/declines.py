"""What the refusal of a charge means: whether, when and how often it may be tried again, and what the payer is told.

The advice of the card's issuer is asked first, then that of its network, then the code itself (Stripe: decline codes,
advice codes; card networks: retry rules). Bank debits have only the code of the bank's return.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class DeclineClass(StrEnum):
    """What follows from a refusal."""

    HARD = "hard"
    """Never again with this method; the payer has to give another."""
    PAYER_NEEDED = "payer_needed"
    """Only with the payer present: a link, and never another try without."""
    NEW_DETAILS = "new_details"
    """After the card's details have changed."""
    SOFT = "soft"
    """May succeed later: the schedule of retries applies."""
    SOFT_TWICE = "soft_twice"
    """As soft, but two attempts are all that make sense."""
    TECHNICAL = "technical"
    """Nobody refused; soon again, without taking a step of the schedule."""
    DUPLICATE = "duplicate"
    """The network saw the same charge before: first find out whether the money was taken."""
    MANDATE_DEAD = "mandate_dead"
    """The bank will not debit this account again; the payer has to authorise another."""
    ACCOUNT_LIMIT = "account_limit"
    """The practice's own limit at the processor; not the payer's fault."""
    REFUSED = "refused"
    """Refused for a reason that only the practice can clear up."""
    UNKNOWN = "unknown"
    """A code that nobody has described: as soft, once."""

    @property
    def asks_staff(self) -> bool:
        """Whether staff are told at once, rather than after some weeks."""
        return self in (DeclineClass.DUPLICATE, DeclineClass.ACCOUNT_LIMIT, DeclineClass.REFUSED)

    @property
    def blames_payer(self) -> bool:
        """Whether the payer can do anything about it, and so may be reminded, frozen or cancelled for it."""
        return self not in (DeclineClass.DUPLICATE, DeclineClass.ACCOUNT_LIMIT)

    @property
    def most_attempts(self) -> int | None:
        """So many attempts with one method make sense when one ends like this; None: as many as are scheduled."""
        return _MOST_ATTEMPTS.get(self)


_MOST_ATTEMPTS = {
    DeclineClass.HARD: 1,
    DeclineClass.PAYER_NEEDED: 1,
    DeclineClass.NEW_DETAILS: 1,
    DeclineClass.DUPLICATE: 1,
    DeclineClass.MANDATE_DEAD: 1,
    DeclineClass.REFUSED: 1,
    DeclineClass.SOFT_TWICE: 2,
    DeclineClass.UNKNOWN: 2,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The meaning of one refusal. `wait`: no other attempt sooner after it than this."""

    decline_class: DeclineClass
    wait: timedelta | None = None


REFUSED_BY_PROCESSOR = "refused_by_processor"
"""Our own code for a charge that the processor would not even try, e.g. because the method was removed."""

_NEVER_CODES = (
    "incorrect_number lost_card pickup_card stolen_card revocation_of_authorization revocation_of_all_authorizations"
    " highest_risk_level"
)
"""Refused for good by issuer, network or Stripe: no advice makes another try right."""

_UNWISE_CODES = (
    "stop_payment_order restricted_card invalid_account new_account_information_available card_not_supported"
    " currency_not_supported not_permitted service_not_allowed transaction_not_allowed security_violation"
    " fraudulent merchant_blacklist testmode_decline"
)
"""Not retried by our own choice, unless the issuer advises it."""

_DETAIL_CODES = "incorrect_cvc invalid_cvc invalid_expiry_month invalid_expiry_year incorrect_zip"
_TECHNICAL_CODES = "processing_error issuer_not_available reenter_transaction"
_DEAD_MANDATE_CODES = (
    "account_closed no_account debit_not_authorized bank_account_restricted payment_intent_mandate_invalid"
    " payment_method_bank_account_blocked"
)
_LIMIT_CODES = "charge_exceeds_source_limit charge_exceeds_transaction_limit"


def _each(codes: str, meaning: T) -> dict[str, T]:
    return dict.fromkeys(codes.split(), meaning)


_CARD_CODES: dict[str, DeclineClass] = {
    **_each(_NEVER_CODES, DeclineClass.HARD),
    **_each(_UNWISE_CODES, DeclineClass.HARD),
    **_each(_DETAIL_CODES, DeclineClass.NEW_DETAILS),
    "expired_card": DeclineClass.NEW_DETAILS,
    **_each("insufficient_funds card_velocity_exceeded withdrawal_count_limit_exceeded", DeclineClass.SOFT),
    **_each("call_issuer no_action_taken try_again_later approve_with_id invalid_amount", DeclineClass.SOFT),
    **_each("do_not_honor generic_decline", DeclineClass.SOFT_TWICE),
    **_each(_TECHNICAL_CODES, DeclineClass.TECHNICAL),
    "authentication_required": DeclineClass.PAYER_NEEDED,
    "duplicate_transaction": DeclineClass.DUPLICATE,
    REFUSED_BY_PROCESSOR: DeclineClass.REFUSED,
}

_BECS_CODES: dict[str, DeclineClass] = {
    **_each("refer_to_customer insufficient_funds", DeclineClass.SOFT),
    **_each(_DEAD_MANDATE_CODES, DeclineClass.MANDATE_DEAD),
    **_each(_LIMIT_CODES, DeclineClass.ACCOUNT_LIMIT),
}

_NETWORK_STOPS = frozenset({"03", "21", "40", "41"})
_NETWORK_NEW_DETAILS = "01"
_NETWORK_WAITS = {
    "02": timedelta(hours=72),
    "24": timedelta(hours=1),
    "25": timedelta(hours=24),
    "26": timedelta(days=2),
    "27": timedelta(days=4),
    "28": timedelta(days=6),
    "29": timedelta(days=8),
    "30": timedelta(days=10),
}
_LIMIT_WINDOW = timedelta(days=7)

_LIFTED_BY_ADVICE = (DeclineClass.HARD, DeclineClass.NEW_DETAILS, DeclineClass.UNKNOWN)


def classify(is_card: bool, code: str, advice_code: str | None, network_advice_code: str | None) -> Verdict:
    """The meaning of a refusal by its code and, for cards, the advice that came with it.

    Advice to try again lifts a code that we would not retry by our own choice, but never one that is refused for good,
    nor the network's own stop; networks charge for such tries.
    """
    if not is_card:
        return _bank_return(code)
    if advice_code == "do_not_try_again":
        return Verdict(DeclineClass.HARD)
    if advice_code == "confirm_card_data":
        return Verdict(DeclineClass.NEW_DETAILS)
    if network_advice_code in _NETWORK_STOPS:
        return Verdict(DeclineClass.HARD)
    if network_advice_code == _NETWORK_NEW_DETAILS:
        return Verdict(DeclineClass.NEW_DETAILS)
    wait = _NETWORK_WAITS.get(network_advice_code or "")
    found = _CARD_CODES.get(code, DeclineClass.UNKNOWN)
    advised = advice_code == "try_again_later" or wait is not None
    if advised and found in _LIFTED_BY_ADVICE and code not in _NEVER_CODES.split():
        found = DeclineClass.SOFT
    return Verdict(found, wait if found.most_attempts != 1 else None)


def _bank_return(code: str) -> Verdict:
    """Banks advise nothing; a return that is not described stops everything until staff have looked."""
    found = _BECS_CODES.get(code, DeclineClass.REFUSED)
    return Verdict(found, _LIMIT_WINDOW if found is DeclineClass.ACCOUNT_LIMIT else None)


_DECLINED = "Your bank declined the payment: please pay with another card or account, or ask your bank."
_NOT_MADE = "We could not make this payment and are looking into it: you need not do anything."
_PAYER_TEXTS = {
    **_each(
        "insufficient_funds refer_to_customer",
        "Your bank did not pay: please make sure there is enough money in the account, or pay in another way.",
    ),
    "authentication_required": "Your bank wants you to approve this payment: please pay here, and answer it.",
    "expired_card": "Your card has expired: please give us the details of your new card.",
    **_each(
        f"{_DETAIL_CODES} incorrect_number",
        "The details of your card were not accepted: please enter them again, or use another card.",
    ),
    **_each(
        _DEAD_MANDATE_CODES,
        "Your bank account can no longer be debited: please give us another account or card.",
    ),
    **_each(
        _TECHNICAL_CODES,
        "Your bank could not be reached: please pay again in a few minutes, or use another card or account.",
    ),
    **_each(f"{_LIMIT_CODES} duplicate_transaction", _NOT_MADE),
    REFUSED_BY_PROCESSOR: "We could not make this payment: please use another card or account, or ask the practice.",
}


def payer_text(code: str) -> str:
    """One sentence for the page on which a payer pays. Lost, stolen, blocked and suspected all read like any decline.

    Whoever holds a stolen card must not learn from us that its loss is known (Stripe: decline codes).
    """
    return _PAYER_TEXTS.get(code, _DECLINED)
