"""What stands on an invoice and in which words, the same for page and PDF.

Dates, amounts and the ABN are written as Australians write them.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import NamedTuple

from connector.billing.documents.document import InvoiceDocument, Seller
from connector.money import Money

_SIGNS = {"chf": "CHF ", "eur": "€", "gbp": "£", "zar": "R"}
_JOINERS = "\u200c\u200d"
"""Invisible, yet part of how Persian and Indian names and emoji are spelt."""


class Labelled(NamedTuple):
    """A label with what belongs to it."""

    label: str
    text: str


class Sum(NamedTuple):
    """One row below the lines."""

    label: str
    tax_label: str
    text: str
    strong: bool


def one_line(text: str) -> str:
    """The text as one composed line that cannot reorder, hide or break what stands around it.

    Line breaks and controls become spaces; marks that switch the direction of writing are dropped; lone surrogates and
    private characters, which no font agrees on, become the replacement character.
    """
    safe = (_safe(character) for character in unicodedata.normalize("NFC", text))
    return " ".join("".join(safe).split())


def _safe(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Zl", "Zp"):
        return " "
    if category == "Cf" and character not in _JOINERS:
        return ""
    return "\ufffd" if category in ("Cs", "Co") else character


def date_text(day: date) -> str:
    """DD/MM/YYYY."""
    return f"{day.day:02}/{day.month:02}/{day.year:04}"


def money_text(amount: Money) -> str:
    """The amount with sign and thousands, e.g. "-$1,234.50"; the currency's code stands elsewhere on the invoice."""
    whole, part = divmod(abs(amount.cents), 100)
    return f"{'-' if amount.cents < 0 else ''}{_SIGNS.get(amount.currency, '$')}{whole:,}.{part:02}"


def abn_text(abn: str) -> str:
    """Eleven digits grouped as 51 824 753 556 (Australian Business Register); anything else as it is."""
    digits = re.sub(r"\s", "", abn)
    if not re.fullmatch(r"[0-9]{11}", digits):
        return abn
    return f"{digits[:2]} {digits[2:5]} {digits[5:8]} {digits[8:]}"


def heading(document: InvoiceDocument) -> str:
    """Only an invoice that contains GST may be called a tax invoice (GST Act, section 29-70)."""
    return "Tax invoice" if document.gst else "Invoice"


def facts(document: InvoiceDocument) -> list[Labelled]:
    return [
        Labelled("Number", one_line(document.number)),
        Labelled("Issued", date_text(document.issued_on)),
        Labelled("Due", date_text(document.due_on)),
        Labelled("Status", one_line(document.status)),
        Labelled("Total due", f"{money_text(document.total_due)} {document.currency.upper()}"),
    ]


def seller_lines(seller: Seller) -> list[str]:
    """Name, ABN and ways to reach the practice; the trading name, by which patients know it, comes first."""
    names = [seller.trading_name, seller.name] if seller.trading_name != seller.name else [seller.name]
    abn = f"ABN {abn_text(seller.abn)}" if seller.abn else ""
    return _filled([*names, abn, *seller.address, seller.phone, seller.email])


def bill_to_lines(document: InvoiceDocument) -> list[str]:
    return _filled([document.bill_to.name, *document.bill_to.address])


def sums(document: InvoiceDocument) -> list[Sum]:
    """The way from the subtotal to what is due."""
    rows = [Sum("Subtotal", "", money_text(document.subtotal), strong=False)]
    rows += [
        Sum(one_line(part.label), one_line(part.tax_label), money_text(part.amount), strong=False)
        for part in document.adjustments
    ]
    rows.append(Sum("Total", "", money_text(document.total), strong=True))
    if document.gst:
        rows.append(Sum("GST included in the total", "", money_text(document.gst), strong=False))
    if document.credited:
        rows.append(Sum("Credited", "", money_text(-document.credited), strong=False))
    rows.append(Sum("Paid", "", money_text(document.paid), strong=False))
    rows.append(Sum("Total due", "", money_text(document.total_due), strong=True))
    return rows


def payment_notes(document: InvoiceDocument) -> list[str]:
    return _filled(document.payment_notes)


def closing(document: InvoiceDocument) -> str:
    """How to read amounts and dates."""
    gst = "" if document.gst else " No GST is included."
    return f"Amounts are in {document.currency.upper()}.{gst} Dates are those of {one_line(document.timezone)}."


def _filled(texts: list[str] | tuple[str, ...]) -> list[str]:
    return [line for line in map(one_line, texts) if line]
