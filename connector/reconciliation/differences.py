"""Comparing the day: what we took and wrote against the practice system's day sheet and Stripe's balance. Pure.

Matching is by number first, then by reference. Each difference is named once, with its cents and what to do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from connector.billing.processor import Movement
from connector.ledger.write_back.reference import is_ours
from connector.money import Money
from connector.pms_adapters.records import PmsEntry


class DifferenceKind(StrEnum):
    """What is wrong between two books."""

    MISSING_IN_PMS = "missing_in_pms"
    AMOUNT_DIFFERS_IN_PMS = "amount_differs_in_pms"
    OTHER_PATIENT_IN_PMS = "other_patient_in_pms"
    OTHER_DATE_IN_PMS = "other_date_in_pms"
    DOUBLED_IN_PMS = "doubled_in_pms"
    NOT_EXPECTED_IN_PMS = "not_expected_in_pms"
    MISSING_AT_STRIPE = "missing_at_stripe"
    NOT_RECORDED = "not_recorded"
    AMOUNT_DIFFERS_AT_STRIPE = "amount_differs_at_stripe"
    FEE_DIFFERS_AT_STRIPE = "fee_differs_at_stripe"
    RETURN_UNDONE = "return_undone"
    KEPT_TOO_MUCH = "kept_too_much"
    GIVEN_BACK_TOO_MUCH = "given_back_too_much"


NEXT_STEP = {
    DifferenceKind.MISSING_IN_PMS: "Look in the patient's ledger; if it was removed there, find out why.",
    DifferenceKind.AMOUNT_DIFFERS_IN_PMS: "Correct the entry in the practice system.",
    DifferenceKind.OTHER_PATIENT_IN_PMS: "Check whether patients were merged; otherwise move the entry.",
    DifferenceKind.OTHER_DATE_IN_PMS: "Correct the date in the practice system, or note why it differs.",
    DifferenceKind.DOUBLED_IN_PMS: "Keep one of the entries and remove the others in the practice system.",
    DifferenceKind.NOT_EXPECTED_IN_PMS: "It may belong to an earlier installation or another one that shares the "
    "practice system: remove it only if nobody knows it.",
    DifferenceKind.MISSING_AT_STRIPE: "Look the charge up in the Stripe dashboard.",
    DifferenceKind.NOT_RECORDED: "Look it up at Stripe; if it was made there by hand, enter it in the PMS.",
    DifferenceKind.AMOUNT_DIFFERS_AT_STRIPE: "Compare with the charge in the Stripe dashboard.",
    DifferenceKind.FEE_DIFFERS_AT_STRIPE: "Compare with the fee in the Stripe dashboard.",
    DifferenceKind.KEPT_TOO_MUCH: "Give it back with `connector payments refund`, or agree what it is for.",
    DifferenceKind.GIVEN_BACK_TOO_MUCH: "Ask the payer for it, or accept the loss and correct the ledger by hand.",
    DifferenceKind.RETURN_UNDONE: "The money is yours again; this is recorded with Stripe's next news.",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement; `subject` is a reference or an id, `cents` what it is about."""

    kind: DifferenceKind
    subject: str
    cents: int
    detail: str

    @property
    def next_step(self) -> str:
        return NEXT_STEP[self.kind]


@dataclass(frozen=True, slots=True)
class Written:
    """A write-back as the practice system should show it. `amount` is negative for a reversal."""

    reference: str
    pms_entry_id: str
    """Empty while it is not proven to be there."""
    patient_id: str
    amount: Money
    entry_date: date


@dataclass(frozen=True, slots=True)
class Balance:
    """What an invoice that money moved for came to: `owed` is less what was credited, and nothing once it is void."""

    invoice: str
    owed: Money
    kept: Money
    """Paid, less what went back, with what came again."""


def surpluses(balances: Sequence[Balance]) -> list[Difference]:
    """Invoices that were paid twice, or though they were void, and those for which more was given back than paid."""
    kind, found = DifferenceKind, []
    for balance in balances:
        if balance.kept > balance.owed:
            detail = f"The practice has {balance.kept} for the invoice {balance.invoice}, which is over {balance.owed}."
            cents = balance.kept.cents - balance.owed.cents
            found.append(Difference(kind.KEPT_TOO_MUCH, balance.invoice, cents, detail))
        if balance.kept.cents < 0:
            detail = f"More was given back for the invoice {balance.invoice} than was paid."
            found.append(Difference(kind.GIVEN_BACK_TOO_MUCH, balance.invoice, balance.kept.cents, detail))
    return found


class Sheet:
    """A day sheet, to be found by number and by reference."""

    def __init__(self, entries: Sequence[PmsEntry]) -> None:
        self.by_id = {entry.id: entry for entry in entries}
        self.by_reference: dict[str, list[PmsEntry]] = defaultdict(list)
        for entry in entries:
            for reference in entry.references:
                self.by_reference[reference].append(entry)


def compare_with_pms(
    written: Sequence[Written],
    waiting: Sequence[Written],
    elsewhere: Collection[str],
    entries: Sequence[PmsEntry],
    day: date,
) -> list[Difference]:
    """Proven write-backs against the day sheet. What waits may stand there, but only as we sent it.

    `elsewhere` are references that belong to other locations which share the practice system.
    """
    sheet = Sheet(entries)
    differences = [difference for row in [*written, *waiting] for difference in _row(row, sheet, day)]
    known = {row.reference for row in [*written, *waiting]} | set(elsewhere)
    for reference, found in sorted(sheet.by_reference.items()):
        if is_ours(reference) and reference not in known:
            differences += [_not_expected(reference, entry) for entry in found]
    return differences


def _not_expected(reference: str, entry: PmsEntry) -> Difference:
    detail = f"The entry {entry.id} carries our reference."
    return Difference(DifferenceKind.NOT_EXPECTED_IN_PMS, reference, entry.amount.cents, detail)


def _row(row: Written, sheet: Sheet, day: date) -> Iterator[Difference]:
    same = sheet.by_reference.get(row.reference, [])
    entry = sheet.by_id.get(row.pms_entry_id) or (same[0] if same else None)
    kind, cents = DifferenceKind, row.amount.cents
    if entry is None:
        if row.pms_entry_id and row.entry_date == day:
            yield Difference(
                kind.MISSING_IN_PMS, row.reference, cents, f"The entry {row.pms_entry_id} is not on the day sheet."
            )
        return
    if entry.amount != row.amount:
        detail = f"The entry {entry.id} says {entry.amount}, we wrote {row.amount}."
        yield Difference(kind.AMOUNT_DIFFERS_IN_PMS, row.reference, entry.amount.cents - cents, detail)
    if entry.patient_id != row.patient_id:
        yield Difference(
            kind.OTHER_PATIENT_IN_PMS, row.reference, cents, f"The entry {entry.id} stands with another patient."
        )
    if row.pms_entry_id and entry.entry_date != row.entry_date:
        detail = f"The entry {entry.id} is dated {entry.entry_date}, we wrote {row.entry_date}."
        yield Difference(kind.OTHER_DATE_IN_PMS, row.reference, cents, detail)
    for other in same:
        if other.id != entry.id:
            yield Difference(
                kind.DOUBLED_IN_PMS, row.reference, other.amount.cents, f"The entry {other.id} repeats {entry.id}."
            )


@dataclass(frozen=True, slots=True)
class Recorded:
    """Money that we recorded: a payment (positive) or a return (negative), under the processor's id of it."""

    processor_id: str
    amount: Money
    fee: Money


CUSTOMER_MONEY = frozenset(
    {
        "charge",
        "payment",
        "refund",
        "payment_refund",
        "payment_failure_refund",
        "refund_failure",
        "payment_reversal",
        "adjustment",
    }
)
"""Stripe's balance types that concern a patient's money; the rest are fees, payouts and reserves of the account."""


def undone_returns(lines: Sequence[Movement]) -> list[Difference]:
    """Refunds that failed after all and disputes that were won, where our book has not undone the return."""
    detail = "Stripe gave back the money of a refund that failed or a dispute that was won."
    return [
        Difference(DifferenceKind.RETURN_UNDONE, line.source_id, line.gross.cents, detail)
        for line in lines
        if line.type == "refund_failure" or (line.type == "adjustment" and line.gross.cents > 0)
    ]


def compare_with_stripe(
    recorded: Sequence[Recorded], movements: Sequence[Movement], today: Collection[str], explained: Collection[str]
) -> list[Difference]:
    """Our payments and returns of a day against Stripe's balance.

    `movements` reach some days back, because a debit's lines are older than its result, and a failed one leaves two
    that cancel out: lines are added up by source. `today` are sources with a line of the day itself; those that are
    neither recorded today nor `explained` (recorded on another day or elsewhere, or not final) are nobody's.
    """
    amounts: Counter[str] = Counter()
    fees: Counter[str] = Counter()
    for line in movements:
        if line.type in CUSTOMER_MONEY:
            amounts[line.source_id] += line.gross.cents
            fees[line.source_id] += line.fee.cents
    differences = []
    kind = DifferenceKind
    for row in recorded:
        if row.processor_id not in amounts:
            detail = f"Stripe's balance has no {row.processor_id}."
            differences.append(Difference(kind.MISSING_AT_STRIPE, row.processor_id, row.amount.cents, detail))
            continue
        amount, fee = amounts[row.processor_id], fees[row.processor_id]
        if amount != row.amount.cents:
            detail = f"Stripe says {Money(amount, row.amount.currency)}, we recorded {row.amount}."
            differences.append(
                Difference(kind.AMOUNT_DIFFERS_AT_STRIPE, row.processor_id, amount - row.amount.cents, detail)
            )
        if fee != row.fee.cents:
            detail = f"Stripe kept {Money(fee, row.fee.currency)}, we recorded {row.fee}."
            differences.append(Difference(kind.FEE_DIFFERS_AT_STRIPE, row.processor_id, fee - row.fee.cents, detail))
    for source_id in sorted(set(today) - {row.processor_id for row in recorded} - set(explained)):
        if cents := amounts[source_id]:
            detail = "Stripe moved this money without a payment of ours."
            differences.append(Difference(kind.NOT_RECORDED, source_id, cents, detail))
    return differences
