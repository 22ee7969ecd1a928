"""Owns the reading of a CSV file of payment plans that began elsewhere: what is left of each, or why it stays out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import BinaryIO

from connector.billing.agreements.asking import described, last_askable
from connector.billing.agreements.instalment_terms import INSTALMENTS_MAX, PlanOffer, checked
from connector.billing.agreements.schedule import first_due_from
from connector.billing.intake.cells import (
    BadCell,
    amount_cell,
    check_currency,
    date_cell,
    fee_bearer_cell,
    frequency_cell,
    text_cell,
)
from connector.billing.intake.csv_rows import Columns, RefusedRow, read_rows
from connector.billing.policy import BillingPolicy, FeeBearer
from connector.errors import DomainError
from connector.money import Money

REQUIRED = ("id", "member", "total", "instalments_left", "frequency", "next_due")
COLUMNS = Columns(REQUIRED, frozenset([*REQUIRED, "paid", "description", "cycle_from", "currency", "fee_bearer"]))
ID_MAX = 100


@dataclass(frozen=True, slots=True)
class PaymentPlanFileRules:
    """What the rows are measured against besides the file itself."""

    today: date
    currency: str
    policy: BillingPolicy


@dataclass(frozen=True, slots=True, repr=False)
class PaymentPlanRow:
    """What is left of a payment plan. The repr shows no field."""

    line: int
    external_id: str
    member: str
    """The payer's id in the file of members, or here."""
    paid: Money
    """Elsewhere, already."""
    rest: PlanOffer
    cycle_from: date
    """The instalments fall due in a cycle that counts from here."""
    description: str
    fee_bearer: FeeBearer
    """What was agreed elsewhere does not become dearer here: the practice, unless the file says otherwise."""

    def __repr__(self) -> str:
        return f"PaymentPlanRow(line {self.line})"


def read_payment_plan_file(stream: BinaryIO, rules: PaymentPlanFileRules) -> Iterator[PaymentPlanRow | RefusedRow]:
    """Each data row of a seekable stream, once and in order; see `read_rows`. Raises DomainError like it."""
    first: dict[str, int] = {}
    for row in read_rows(stream, COLUMNS):
        yield row if isinstance(row, RefusedRow) else _checked(*row, rules, first)


def _checked(
    line: int, cells: Mapping[str, str], rules: PaymentPlanFileRules, first: dict[str, int]
) -> PaymentPlanRow | RefusedRow:
    try:
        plan = check_cells(line, cells, rules)
    except BadCell as bad:
        return RefusedRow(line, bad.column, bad.reason)
    if first.setdefault(plan.external_id, line) != line:
        reason = f"The id is the same as on line {first[plan.external_id]}: remove one of the two rows."
        return RefusedRow(line, "id", reason)
    return plan


def check_cells(line: int, cells: Mapping[str, str], rules: PaymentPlanFileRules) -> PaymentPlanRow:
    """Check cell by cell, then the terms as a whole. Raises BadCell at the first that will not do."""
    external_id, member = (_needed(cells, column) for column in ("id", "member"))
    check_currency(cells, rules.currency)
    total = amount_cell(cells, "total", rules.currency)
    paid = amount_cell(cells, "paid", rules.currency) or Money.zero(rules.currency)
    if total is None or total.cents <= 0:
        raise BadCell("total", "The total must be above zero: fill it in.")
    if paid.cents < 0:
        raise BadCell("paid", "What was paid cannot be below zero.")
    if paid >= total:
        raise BadCell("paid", "Nothing is left to pay: leave this plan out.")
    frequency = frequency_cell(cells)
    latest = last_askable(rules.today)
    next_due = date_cell(cells, "next_due", latest, "more than ten years ahead")
    if frequency is None or next_due is None:
        raise BadCell("next_due" if frequency else "frequency", "The cell is blank: fill it in.")
    cycle_from = date_cell(cells, "cycle_from", next_due, "after the next instalment") or next_due
    if first_due_from(cycle_from, frequency, next_due)[1] != next_due:
        raise BadCell("cycle_from", "Nothing falls due on the day next_due in a cycle that counts from this day.")
    nothing = Money.zero(rules.currency)
    offer = PlanOffer(total - paid, nothing, nothing, _count(cells), frequency, next_due)
    try:
        return PaymentPlanRow(
            line,
            external_id,
            member,
            paid,
            checked(offer, rules.policy, rules.today),
            cycle_from,
            described(text_cell(cells, "description", longest=1_000)),
            fee_bearer_cell(cells) or FeeBearer.PRACTICE,
        )
    except DomainError as error:
        raise BadCell("", str(error)) from None


def _needed(cells: Mapping[str, str], column: str) -> str:
    text = text_cell(cells, column, ID_MAX)
    if not text:
        raise BadCell(column, "The cell is blank: fill it in.")
    return text


def _count(cells: Mapping[str, str]) -> int:
    text = cells.get("instalments_left", "").strip()
    # A number that is longer than the largest one, even by zeros before it, was not typed by somebody who counted.
    plain = text.isascii() and text.isdigit() and len(text) <= len(str(INSTALMENTS_MAX))
    if not (plain and 1 <= int(text) <= INSTALMENTS_MAX):
        raise BadCell("instalments_left", f"This is not a number from 1 to {INSTALMENTS_MAX}.")
    return int(text)
