"""Comparing the day: what we took and wrote against the practice system's day sheet and Stripe's balance. Pure.

Matching is by number first, then by reference. Each difference is named once, with its cents and what to do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
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


NEXT_STEP = {
    DifferenceKind.MISSING_IN_PMS: "Look in the patient's ledger; if it was removed there, find out why.",
    DifferenceKind.AMOUNT_DIFFERS_IN_PMS: "Correct the entry in the practice system.",
    DifferenceKind.OTHER_PATIENT_IN_PMS: "Check whether patients were merged; otherwise move the entry.",
    DifferenceKind.OTHER_DATE_IN_PMS: "Correct the date in the practice system, or note why it differs.",
    DifferenceKind.DOUBLED_IN_PMS: "Keep one of the entries and remove the others in the practice system.",
    DifferenceKind.NOT_EXPECTED_IN_PMS: "Compare with the write-back; if nobody entered it on purpose, remove it.",
    DifferenceKind.MISSING_AT_STRIPE: "Look the charge up in the Stripe dashboard.",
    DifferenceKind.NOT_RECORDED: "Look it up at Stripe; if it was made there by hand, enter it in the PMS.",
    DifferenceKind.AMOUNT_DIFFERS_AT_STRIPE: "Compare with the charge in the Stripe dashboard.",
    DifferenceKind.FEE_DIFFERS_AT_STRIPE: "Compare with the fee in the Stripe dashboard.",
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
    """A write-back that is proven to be in the practice system. `amount` is negative for a reversal."""

    reference: str
    pms_entry_id: str
    patient_id: str
    amount: Money
    entry_date: date


def compare_with_pms(
    written: Sequence[Written], waiting: Iterable[str], sheet: Sequence[PmsEntry], day: date
) -> list[Difference]:
    """Written rows of the day against the day sheet; `waiting` are references that may or may not be there."""
    by_id = {entry.id: entry for entry in sheet}
    by_reference: dict[str, list[PmsEntry]] = defaultdict(list)
    for entry in sheet:
        for reference in entry.references:
            by_reference[reference].append(entry)
    differences = [difference for row in written for difference in _written_row(row, by_id, by_reference, day)]
    known = {row.reference for row in written}
    allowed = set(waiting)
    for reference, entries in sorted(by_reference.items()):
        if is_ours(reference) and reference not in known:
            # A write-back whose outcome is still open may stand there once, but not twice.
            differences += [_not_expected(reference, entry) for entry in entries[reference in allowed :]]
    return differences


def _not_expected(reference: str, entry: PmsEntry) -> Difference:
    detail = f"The entry {entry.id} carries our reference."
    return Difference(DifferenceKind.NOT_EXPECTED_IN_PMS, reference, entry.amount.cents, detail)


def _written_row(
    row: Written, by_id: dict[str, PmsEntry], by_reference: dict[str, list[PmsEntry]], day: date
) -> Iterable[Difference]:
    same = by_reference.get(row.reference, [])
    entry = by_id.get(row.pms_entry_id) or (same[0] if same else None)
    kind, cents = DifferenceKind, row.amount.cents
    if entry is None:
        if row.entry_date == day:
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
    if entry.entry_date != row.entry_date:
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


def compare_with_stripe(recorded: Sequence[Recorded], movements: Sequence[Movement]) -> list[Difference]:
    """Our payments and returns of the day against Stripe's balance lines of the same day.

    A failed debit leaves two lines of one source that cancel out, so lines are added up by source first.
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
            detail = f"Stripe's balance of the day has no {row.processor_id}."
            differences.append(Difference(kind.MISSING_AT_STRIPE, row.processor_id, row.amount.cents, detail))
            continue
        amount, fee = amounts.pop(row.processor_id), fees.pop(row.processor_id, 0)
        if amount != row.amount.cents:
            detail = f"Stripe says {Money(amount, row.amount.currency)}, we recorded {row.amount}."
            differences.append(
                Difference(kind.AMOUNT_DIFFERS_AT_STRIPE, row.processor_id, amount - row.amount.cents, detail)
            )
        if fee != row.fee.cents:
            detail = f"Stripe kept {Money(fee, row.fee.currency)}, we recorded {row.fee}."
            differences.append(Difference(kind.FEE_DIFFERS_AT_STRIPE, row.processor_id, fee - row.fee.cents, detail))
    for source_id, cents in sorted(amounts.items()):
        if cents:
            detail = "Stripe moved this money without a payment of ours."
            differences.append(Difference(kind.NOT_RECORDED, source_id, cents, detail))
    return differences
