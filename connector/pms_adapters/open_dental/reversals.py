"""Recognises reversals, also those whose making was cut short; pure.

POST /payments/Refund takes only a PayNum, so the row it makes does not carry our reference until a second request marks
it. Our reference is therefore announced before: written into BankBranch of the payment that will be refunded. Whatever
happens after that, the office's own data say which reversal a refund of exactly that payment's amount belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence

from connector.pms_adapters.open_dental.mapping import NO_SOURCE, OUR_SOURCE, Payment
from connector.pms_adapters.records import PmsEntry


def entry(row: Payment, history: Sequence[Payment]) -> PmsEntry:
    """The row as the port shows it; `history` is all payments of the same patient when the row is negative."""
    return PmsEntry(
        id=str(row.number),
        patient_id=str(row.patient),
        amount=row.amount,
        entry_date=row.pay_date,
        references=references(row, history),
        foreign=_is_foreign(row),
    )


def references(row: Payment, history: Sequence[Payment]) -> frozenset[str]:
    """Every text of the row that could be our reference.

    A refund may have copied the texts of its payment, which are not its own. It is given the announced references of
    the payments that it could take back, as long as neither it nor another row is marked with one of them.
    """
    if row.amount.cents >= 0:
        return row.marks
    originals = [other for other in history if other.amount.cents > 0]
    copied = frozenset[str]().union(*(original.marks for original in originals))
    carried = frozenset[str]().union(*(other.marks - copied for other in history if other.amount.cents < 0))
    own = row.marks - copied
    if own & {original.announced for original in originals}:
        return own
    announced = {original.announced for original in originals if original.announced and could_reverse(row, original)}
    return own | (announced - carried)


def could_reverse(row: Payment, original: Payment) -> bool:
    """Whether the row may be the refund of that payment: the whole amount, and not entered before it."""
    return row.amount == -original.amount and row.entry_date >= original.entry_date


def unexplained(original: Payment, history: Sequence[Payment]) -> Payment | None:
    """A negative row that may already have taken this payment back by hand, and belongs to no reversal of ours."""
    announced = {other.announced for other in history if other.amount.cents > 0 and other.announced}
    for row in history:
        ours = row.source == OUR_SOURCE or announced & references(row, history)
        if could_reverse(row, original) and not ours:
            return row
    return None


def _is_foreign(row: Payment) -> bool:
    # A refund made through the API has the source of an office's own row, so such a row could be either's.
    if row.amount.cents < 0 and row.source == NO_SOURCE:
        return False
    return row.source not in (OUR_SOURCE, "")
