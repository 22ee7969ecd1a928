"""From a business event to a balanced journal entry: the only way in which entries are made.

| event                 | debit                                             | credit                                 |
|-----------------------|---------------------------------------------------|----------------------------------------|
| invoice issued        | receivable                                        | income, GST payable, fees charged on   |
| invoice cancelled     | income, GST payable, fees charged on              | receivable                             |
| credit note           | income, GST payable, fees charged on              | receivable                             |
| credit note cancelled | receivable                                        | income, GST payable, fees charged on   |
| charge settled        | clearing (net), fees (Stripe's), platform payable | receivable (gross)                     |
| paid at the practice  | desk                                              | receivable                             |
| refund, dispute       | receivable (amount), fees (fee)                   | processor clearing                     |
| bank refund           | receivable                                        | bank                                   |
| bounced at the desk   | receivable                                        | desk                                   |
| return undone         | processor clearing                                | receivable (amount), fees (fee)        |
| platform fee          | platform fees, GST on fees                        | platform payable                       |
| processor fee         | processor fees                                    | processor clearing                     |
| payout                | bank                                              | processor clearing                     |
| payout failed         | processor clearing                                | bank                                   |

Money that goes back reopens what the member owes. After a refund a credit note closes it; after a dispute it stays
open until it is paid again, or is given up: a credit note over what is owed, or all of the invoice is cancelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from connector.errors import InvariantBroken
from connector.ledger.accounts import Account
from connector.money import Money


class Recipe(StrEnum):
    """Kinds of journal entry; with the id of its source, the key that makes an entry unique."""

    INVOICE_ISSUED = "invoice_issued"
    INVOICE_CANCELLED = "invoice_cancelled"
    CREDIT_NOTE = "credit_note"
    CREDIT_NOTE_CANCELLED = "credit_note_cancelled"
    CHARGE_SETTLED = "charge_settled"
    DESK_PAYMENT = "desk_payment"
    REFUND = "refund"
    DISPUTE = "dispute"
    BANK_REFUND = "bank_refund"
    DESK_BOUNCED = "desk_bounced"
    RETURN_UNDONE = "return_undone"
    PLATFORM_FEE = "platform_fee"
    PROCESSOR_FEE = "processor_fee"
    PAYOUT = "payout"
    PAYOUT_FAILED = "payout_failed"


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


def invoice_issued(invoice_id: str, credits_: Mapping[Account, Money]) -> Entry:
    """`credits_`: what the invoice's lines bring to each account; together they are what the member owes."""
    return _entry(Recipe.INVOICE_ISSUED, invoice_id, _owed(credits_))


def invoice_cancelled(invoice_id: str, credits_: Mapping[Account, Money]) -> Entry:
    """Takes back what `invoice_issued` booked."""
    return _entry(Recipe.INVOICE_CANCELLED, invoice_id, [(account, -amount) for account, amount in _owed(credits_)])


def credit_note(credit_note_id: str, debits: Mapping[Account, Money]) -> Entry:
    """`debits`: what the credited part of the invoice had brought to each account."""
    return _entry(Recipe.CREDIT_NOTE, credit_note_id, [(account, -amount) for account, amount in _owed(debits)])


def credit_note_cancelled(credit_note_id: str, debits: Mapping[Account, Money]) -> Entry:
    """Takes back what `credit_note` booked."""
    return _entry(Recipe.CREDIT_NOTE_CANCELLED, credit_note_id, _owed(debits))


def charge_settled(payment_id: str, gross: Money, fee: Money, kept_by_platform: Money | None = None) -> Entry:
    """`fee` is Stripe's own; `kept_by_platform` what Stripe passed on to the platform."""
    kept = kept_by_platform or Money.zero(gross.currency)
    legs = [
        (Account.PROCESSOR_CLEARING, gross - fee - kept),
        (Account.PROCESSOR_FEES, fee),
        (Account.PLATFORM_PAYABLE, kept),
        (Account.RECEIVABLE, -gross),
    ]
    return _entry(Recipe.CHARGE_SETTLED, payment_id, legs)


def desk_payment(payment_id: str, gross: Money) -> Entry:
    """Paid at the practice; the processor is not concerned."""
    return _entry(Recipe.DESK_PAYMENT, payment_id, [(Account.DESK, gross), (Account.RECEIVABLE, -gross)])


def refund(return_id: str, amount: Money, fee: Money) -> Entry:
    return _entry(Recipe.REFUND, return_id, _given_back(amount, fee))


def dispute(return_id: str, amount: Money, fee: Money) -> Entry:
    return _entry(Recipe.DISPUTE, return_id, _given_back(amount, fee))


def bank_refund(return_id: str, amount: Money) -> Entry:
    """The practice has given the money back from its own bank account; the processor is not concerned."""
    return _entry(Recipe.BANK_REFUND, return_id, [(Account.RECEIVABLE, amount), (Account.BANK, -amount)])


def desk_bounced(return_id: str, amount: Money) -> Entry:
    """What was paid at the practice did not go through."""
    return _entry(Recipe.DESK_BOUNCED, return_id, [(Account.RECEIVABLE, amount), (Account.DESK, -amount)])


def return_undone(undone_id: str, amount: Money, fee: Money) -> Entry:
    """The money of a return is back; `fee` is what came back with it, negative when it cost another one."""
    taken = [(account, -leg) for account, leg in _given_back(amount, fee)]
    return _entry(Recipe.RETURN_UNDONE, undone_id, taken)


def platform_fee(payment_id: str, amount: Money, gst: Money) -> Entry:
    """`amount` contains the GST."""
    legs = [
        (Account.PLATFORM_FEES, amount - gst),
        (Account.GST_ON_FEES, gst),
        (Account.PLATFORM_PAYABLE, -amount),
    ]
    return _entry(Recipe.PLATFORM_FEE, payment_id, legs)


def processor_fee(movement_id: str, fee: Money) -> Entry:
    return _entry(
        Recipe.PROCESSOR_FEE, movement_id, [(Account.PROCESSOR_FEES, fee), (Account.PROCESSOR_CLEARING, -fee)]
    )


def payout(payout_id: str, amount: Money) -> Entry:
    return _entry(Recipe.PAYOUT, payout_id, [(Account.BANK, amount), (Account.PROCESSOR_CLEARING, -amount)])


def payout_failed(payout_id: str, amount: Money) -> Entry:
    return _entry(Recipe.PAYOUT_FAILED, payout_id, [(Account.PROCESSOR_CLEARING, amount), (Account.BANK, -amount)])


def _owed(credits_: Mapping[Account, Money]) -> list[tuple[Account, Money]]:
    currency = next(iter(credits_.values())).currency
    owed = sum(credits_.values(), start=Money.zero(currency))
    return [(Account.RECEIVABLE, owed), *((account, -amount) for account, amount in credits_.items())]


def _given_back(amount: Money, fee: Money) -> list[tuple[Account, Money]]:
    return [(Account.RECEIVABLE, amount), (Account.PROCESSOR_FEES, fee), (Account.PROCESSOR_CLEARING, -(amount + fee))]


def _entry(recipe: Recipe, source_id: str, legs: Iterable[tuple[Account, Money]]) -> Entry:
    return Entry(recipe, source_id, tuple(Leg(account, amount) for account, amount in legs if amount))
