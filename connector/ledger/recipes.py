"""From a business event to a balanced journal entry: the only way in which entries are made.

| event           | debit                                | credit                            |
|-----------------|--------------------------------------|-----------------------------------|
| invoice issued  | receivable                           | membership or instalment income   |
| charge settled  | processor clearing (net), fees (fee) | receivable (gross)                |
| refund, dispute | receivable (amount), fees (fee)      | processor clearing                |
| processor fee   | processor fees                       | processor clearing                |
| payout          | bank                                 | processor clearing                |

A late return and a refund reopen what the member owes; whether it is asked for again is billing's decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from connector.errors import InvariantBroken
from connector.ledger.accounts import Account
from connector.money import Money


class Recipe(StrEnum):
    """Kinds of journal entry; with the id of its source, the key that makes an entry unique."""

    INVOICE_ISSUED = "invoice_issued"
    CHARGE_SETTLED = "charge_settled"
    REFUND = "refund"
    DISPUTE = "dispute"
    PROCESSOR_FEE = "processor_fee"
    PAYOUT = "payout"


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of an entry: a debit is positive, a credit negative, and neither is zero."""

    account: Account
    amount: Money


@dataclass(frozen=True, slots=True)
class Entry:
    """A balanced set of legs made by one recipe for one source. Raises InvariantBroken when it does not balance."""

    recipe: Recipe
    source_id: str
    legs: tuple[Leg, ...]

    def __post_init__(self) -> None:
        if len({leg.amount.currency for leg in self.legs}) != 1 or sum(leg.amount.cents for leg in self.legs) != 0:
            raise InvariantBroken(f"The journal entry {self.recipe} for {self.source_id} does not balance.")


def invoice_issued(invoice_id: str, amount: Money, income: Account) -> Entry:
    return _entry(Recipe.INVOICE_ISSUED, invoice_id, [(Account.RECEIVABLE, amount), (income, -amount)])


def charge_settled(payment_id: str, gross: Money, fee: Money) -> Entry:
    legs = [(Account.PROCESSOR_CLEARING, gross - fee), (Account.PROCESSOR_FEES, fee), (Account.RECEIVABLE, -gross)]
    return _entry(Recipe.CHARGE_SETTLED, payment_id, legs)


def refund(return_id: str, amount: Money, fee: Money) -> Entry:
    return _entry(Recipe.REFUND, return_id, _given_back(amount, fee))


def dispute(return_id: str, amount: Money, fee: Money) -> Entry:
    return _entry(Recipe.DISPUTE, return_id, _given_back(amount, fee))


def processor_fee(movement_id: str, fee: Money) -> Entry:
    return _entry(
        Recipe.PROCESSOR_FEE, movement_id, [(Account.PROCESSOR_FEES, fee), (Account.PROCESSOR_CLEARING, -fee)]
    )


def payout(payout_id: str, amount: Money) -> Entry:
    return _entry(Recipe.PAYOUT, payout_id, [(Account.BANK, amount), (Account.PROCESSOR_CLEARING, -amount)])


def _given_back(amount: Money, fee: Money) -> list[tuple[Account, Money]]:
    return [(Account.RECEIVABLE, amount), (Account.PROCESSOR_FEES, fee), (Account.PROCESSOR_CLEARING, -(amount + fee))]


def _entry(recipe: Recipe, source_id: str, legs: Iterable[tuple[Account, Money]]) -> Entry:
    return Entry(recipe, source_id, tuple(Leg(account, amount) for account, amount in legs if amount))
