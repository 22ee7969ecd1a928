"""The invoice as an A4 PDF: the same document always gives the same bytes, whatever names it carries.

Loads fpdf2 and its fonts library: import this module only where a PDF is made.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, time
from pathlib import Path
from typing import cast

from fpdf import FPDF, FontFace
from fpdf.bidi import BidiParagraph
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import TTFFont

from connector.billing.documents import wording
from connector.billing.documents.document import InvoiceDocument

_FONTS = Path(__file__).parent / "fonts"
_LATIN, _ASIAN = "dejavusans", "droidsansfallback"
_PAGES = "\ue000\ue000\ue000\ue000"
"""Stands for the number of pages until it is known: private characters, which `one_line` lets through from nobody."""
_LONGEST = 200
"""Characters of one text: enough for every real name, and few enough for a row to fit on a page."""
_MOST_LINES = 10
_TURNED = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_MARGIN, _LINE = 18.0, 5.0
_GREY, _PALE = (61, 81, 89), (213, 221, 225)


def render_pdf(document: InvoiceDocument) -> bytes:
    """A complete PDF; characters that no bundled font has are drawn as the replacement character."""
    sheet = _Sheet(document)
    sheet.add_page()
    _head(sheet, document)
    _lines(sheet, document)
    _sums(sheet, document)
    _tail(sheet, document)
    return bytes(sheet.output())


class _Sheet(FPDF):
    """A4 pages with the invoice's number and the page's below."""

    def __init__(self, document: InvoiceDocument) -> None:
        super().__init__(format="A4", unit="mm")
        self._number = wording.one_line(document.number)
        self.set_creation_date(datetime.combine(document.issued_on, time(), UTC))
        self.set_title(f"{wording.heading(document)} {self._number}")
        self.set_author(wording.one_line(document.seller.trading_name or document.seller.name))
        self.set_producer("SmilePass Connector")
        self.set_lang("en-AU")
        self.set_margin(_MARGIN)
        self.set_auto_page_break(True, margin=_MARGIN + _LINE)
        self.alias_nb_pages(_PAGES)
        self.add_font(_LATIN, fname=_FONTS / "DejaVuSans.woff")
        self.add_font(_LATIN, style="B", fname=_FONTS / "DejaVuSans-Bold.woff")
        self._covered = self._characters(_LATIN) & self._characters(f"{_LATIN}B")
        self._asian_loaded = False
        self.plain()

    def plain(self, size: float = 9.5, *, strong: bool = False) -> None:
        """Go on in this size of the text font."""
        self.set_font(_LATIN, "B" if strong else "", size)
        self.set_text_color(0)

    def footer(self) -> None:
        self.set_y(-_MARGIN)
        self.plain(8)
        self.set_text_color(*_GREY)
        self.cell(0, _LINE, f"Page {self.page_no()} of {_PAGES}", new_x=XPos.LMARGIN, new_y=YPos.TOP)
        self.cell(0, _LINE, self.drawable(self._number), align="R")

    def drawable(self, text: str) -> str:
        """The text in the order in which it is drawn, not too long, of characters that the fonts have.

        The large font of Chinese, Japanese and Korean is only read when the text asks for it.
        """
        short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
        if not self._asian_loaded and any(ord(character) not in self._covered for character in short):
            self.add_font(_ASIAN, fname=_FONTS / "DroidSansFallback.woff")
            self.set_fallback_fonts([_ASIAN], exact_match=False)
            self._covered |= self._characters(_ASIAN)
            self._asian_loaded = True
        return _as_seen("".join(map(self._known, short)))

    def _characters(self, font: str) -> set[int]:
        return set(cast("TTFFont", self.fonts[font]).cmap)

    def _known(self, character: str) -> str:
        if ord(character) in self._covered:
            return character
        return "" if unicodedata.category(character) in ("Mn", "Me", "Cf") else "\ufffd"


def _as_seen(text: str) -> str:
    """Hebrew and Arabic as they stand on paper, from right to left, with their brackets turned (Unicode Annex 9)."""
    if not any(unicodedata.bidirectional(character) in ("R", "AL") for character in text):
        return text
    seen = BidiParagraph(text).get_reordered_characters()
    return "".join(one.character.translate(_TURNED) if one.embedding_level % 2 else one.character for one in seen)


def _head(sheet: _Sheet, document: InvoiceDocument) -> None:
    sheet.plain(20, strong=True)
    sheet.multi_cell(0, 9, wording.heading(document), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    sheet.ln(3)
    top, half = sheet.get_y(), sheet.epw / 2
    _block(sheet, "From", wording.seller_lines(document.seller), half - 5)
    bottom = sheet.get_y()
    sheet.set_y(top)
    for label, text in wording.facts(document):
        sheet.set_x(sheet.l_margin + half)
        sheet.plain()
        sheet.set_text_color(*_GREY)
        sheet.cell(22, _LINE, label)
        sheet.plain(strong=True)
        sheet.multi_cell(half - 22, _LINE, sheet.drawable(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    sheet.set_y(max(bottom, sheet.get_y()) + 4)
    _block(sheet, "Bill to", wording.bill_to_lines(document), half - 5)
    sheet.ln(5)


def _block(sheet: _Sheet, title: str, lines: list[str], width: float) -> None:
    sheet.plain(strong=True)
    sheet.set_text_color(*_GREY)
    sheet.cell(width, _LINE, title, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    sheet.plain()
    for line in lines[:_MOST_LINES]:
        sheet.multi_cell(width, _LINE, sheet.drawable(line), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _lines(sheet: _Sheet, document: InvoiceDocument) -> None:
    """The table of lines; its heading is repeated on each page."""
    sheet.plain()
    sheet.set_draw_color(*_PALE)
    with sheet.table(
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        col_widths=(46, 76, 24, 28),
        text_align=("LEFT", "LEFT", "LEFT", "RIGHT"),
        headings_style=FontFace(emphasis="BOLD", color=_GREY),
        line_height=_LINE,
        padding=(0.8, 1),
        v_align="T",
    ) as table:
        table.row(("Person", "Description", "GST", "Amount"))
        for line in document.lines:
            texts = map(wording.one_line, (line.person, line.description, line.tax_label))
            table.row((*map(sheet.drawable, texts), wording.money_text(line.amount)))


def _sums(sheet: _Sheet, document: InvoiceDocument) -> None:
    """The rows from subtotal to total due, right below the lines and kept together."""
    rows = wording.sums(document)
    if sheet.will_page_break(len(rows) * (_LINE + 1.6) + 2):
        sheet.add_page()
    sheet.ln(2)
    with sheet.table(
        borders_layout=TableBordersLayout.NONE,
        col_widths=(122, 24, 28),
        text_align=("RIGHT", "LEFT", "RIGHT"),
        first_row_as_headings=False,
        line_height=_LINE,
        padding=(0.8, 1),
    ) as table:
        for label, tax_label, text, strong in rows:
            style = FontFace(emphasis="BOLD") if strong else None
            table.row((sheet.drawable(label), sheet.drawable(tax_label), text), style=style)


def _tail(sheet: _Sheet, document: InvoiceDocument) -> None:
    notes = wording.payment_notes(document)
    sheet.ln(5)
    if notes:
        sheet.plain(strong=True)
        sheet.cell(0, _LINE, "Payments", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        sheet.plain()
        for note in notes:
            sheet.multi_cell(0, _LINE, sheet.drawable(note), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        sheet.ln(3)
    sheet.plain(8)
    sheet.set_text_color(*_GREY)
    closing = sheet.drawable(wording.closing(document))
    sheet.multi_cell(0, 4, closing, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
