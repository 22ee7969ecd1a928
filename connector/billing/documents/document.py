"""What an invoice says on paper: a frozen value that adds up, with no knowledge of where its figures came from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from connector.errors import InvariantBroken
from connector.money import Money, total

GST_FREE = "GST-free"
"""Tax label of dental care (GST Act, section 38-10)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seller:
    """The practice that issues the invoice, as it was on the day of issue."""

    name: str
    """Legal name of the company."""
    trading_name: str = ""
    abn: str = ""
    """Australian Business Number, eleven digits with or without spaces; empty elsewhere."""
    address: tuple[str, ...] = ()
    phone: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class BillTo:
    """Whom the invoice is addressed to. Has no repr: it is personal."""

    name: str
    address: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class DocumentLine:
    """What one person gets for an amount. Has no repr: it is personal."""

    person: str
    description: str
    amount: Money
    tax_label: str = GST_FREE


@dataclass(frozen=True, slots=True)
class Adjustment:
    """An amount between subtotal and total: a join fee or platform fee above zero, a discount below."""

    label: str
    amount: Money
    tax_label: str = GST_FREE


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class InvoiceDocument:
    """One invoice, ready to be drawn. Dates are business dates of the location. Has no repr: it is personal.

    Raises InvariantBroken when the figures contradict one another: a wrong invoice is never shown.
    """

    number: str
    issued_on: date
    due_on: date
    status: str
    """In words for the reader, e.g. "Paid"."""
    seller: Seller
    bill_to: BillTo
    lines: tuple[DocumentLine, ...]
    subtotal: Money
    adjustments: tuple[Adjustment, ...] = ()
    total: Money
    gst: Money
    """GST contained in the total: stored when the invoice is issued, never derived from the total."""
    paid: Money
    """What has arrived and was not taken back."""
    credited: Money
    """What is not asked for any more because it was refunded."""
    total_due: Money
    """The rest, or zero when nothing more is asked for (an invoice that was cancelled or written off)."""
    currency: str
    payment_notes: tuple[str, ...] = ()
    """Sentences on payments and refunds, e.g. "Card ending 4242 on 03/09/2026: $20.50"."""
    timezone: str
    """IANA name of the zone that the dates belong to."""

    def __post_init__(self) -> None:
        self._check_currency()
        self._check_sums()
        if not 0 <= self.gst.cents <= self.total.cents:
            raise self._broken("its GST is not a part of its total")
        if self.gst and not self.seller.abn:
            raise self._broken("it contains GST but names no ABN, which every tax invoice must do")
        if self.paid.cents < 0:
            raise self._broken("the amount paid is below zero")
        if not 0 <= self.credited.cents <= self.total.cents:
            raise self._broken("what is credited is not a part of its total")
        unpaid = max(self.total.cents - self.credited.cents - self.paid.cents, 0)
        if self.total_due.cents not in (0, unpaid):
            raise self._broken(f"{self.total_due} is due where {Money(unpaid, self.currency)} is unpaid")

    def _check_currency(self) -> None:
        parts: Iterable[DocumentLine | Adjustment] = (*self.lines, *self.adjustments)
        sums = (self.subtotal, self.total, self.gst, self.paid, self.credited, self.total_due)
        if {amount.currency for amount in (*sums, *(part.amount for part in parts))} != {self.currency}:
            raise self._broken(f"not all of its amounts are in {self.currency.upper()}")

    def _check_sums(self) -> None:
        if not self.lines:
            raise self._broken("it has no lines")
        lines = total((line.amount for line in self.lines), self.currency)
        if lines != self.subtotal:
            raise self._broken(f"its lines add up to {lines}, not to the subtotal of {self.subtotal}")
        adjusted = lines + total((part.amount for part in self.adjustments), self.currency)
        if adjusted != self.total:
            raise self._broken(f"subtotal, fees and discounts add up to {adjusted}, not to the total of {self.total}")
        if self.total.cents < 0:
            raise self._broken(f"its total is below zero: {self.total}")

    def _broken(self, reason: str) -> InvariantBroken:
        return InvariantBroken(f"Invoice {self.number} is not shown, because {reason}: look at its rows.")
