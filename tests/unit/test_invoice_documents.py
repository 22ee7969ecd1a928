"""The document of an invoice: it adds up, says what the law asks for, and survives every name."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.billing.documents import wording
from connector.billing.documents.document import Adjustment, BillTo, DocumentLine, InvoiceDocument, Seller
from connector.billing.documents.html import CONTENT_SECURITY_POLICY, render_html
from connector.billing.documents.pdf import render_pdf
from connector.errors import InvariantBroken
from connector.money import Money
from tests.support.pdf_text import PdfText

MARGIN = 18 / 25.4 * 72
A4_WIDTH, A4_HEIGHT = 595.28, 841.89
VOID = {"meta", "br"}

HOSTILE = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute": "\" onclick='x' {{ 7*7 }} {nb} **bold** \\",
    "very long word": "W" * 5000,
    "very long text": "Wolfgang " * 700,
    "direction marks": "\u202egnp.exe\u202c \u200f\u2066Ana\u2069",
    "emoji": "Ana 👨‍👩‍👧 🦷 ❤️",
    "line breaks": "Ana\r\nTotal due\u2028$0.00\x00\x1b[31m",
    "lone surrogate": "Ana \ud800",
    "private characters": "\ue000\ue000\ue000\ue000",
    "only marks": "\u0301\u0301\u0301",
    "empty": "",
}


def aud(cents: int) -> Money:
    return Money(cents, "aud")


def line(person: str = "Ana Silva", cents: int = 2050) -> DocumentLine:
    return DocumentLine(person, "Essential membership, 03/09/2026 to 02/10/2026", aud(cents))


SELLER = Seller(
    name="Bondi Dental Pty Ltd",
    trading_name="Bondi Smiles",
    abn="51824753556",
    address=("12 Example Parade", "Bondi Beach NSW 2026"),
    phone="(02) 5550 0000",
    email="hello@bondi.example",
)


def invoice(*lines: DocumentLine, **changes: Any) -> InvoiceDocument:
    """An invoice over these lines and a join fee less a discount, paid in full."""
    lines = lines or (line(),)
    subtotal = sum(one.amount.cents for one in lines)
    whole = aud(subtotal + 5000 - 205)
    adjustments = (Adjustment("Join fee", aud(5000)), Adjustment("Dependents discount (10%)", aud(-205)))
    values: dict[str, Any] = {
        "number": "BONDI-000042",
        "issued_on": date(2026, 9, 3),
        "due_on": date(2026, 9, 10),
        "status": "Paid",
        "seller": SELLER,
        "bill_to": BillTo("Ana Silva", ("1 Example Street", "Bondi NSW 2026")),
        "lines": lines,
        "subtotal": aud(subtotal),
        "adjustments": adjustments,
        "total": whole,
        "gst": aud(0),
        "paid": whole,
        "credited": aud(0),
        "total_due": aud(0),
        "currency": "aud",
        "payment_notes": ("Card ending 4242 on 03/09/2026: $68.45",),
        "timezone": "Australia/Sydney",
    }
    return InvoiceDocument(**values | changes)


class Page(HTMLParser):
    """Collects the elements, attributes and texts of a page, and checks that its elements are nested."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style" and data.strip():
            self.texts.append(data.strip())

    def having(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def overflowing(pdf: PdfText) -> list[str]:
    """Texts that stand outside the margins; half a point is left for rounding."""
    return [
        printed.text
        for page in pdf.pages
        for printed in page
        if printed.x < MARGIN - 0.5
        or printed.x + printed.width > A4_WIDTH - MARGIN + 0.5
        or not MARGIN - 15 < printed.y < A4_HEIGHT - MARGIN
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lines": ()}, "it has no lines"),
        ({"subtotal": aud(2049)}, "its lines add up to 20.50 AUD, not to the subtotal of 20.49 AUD"),
        ({"total": aud(6846)}, "add up to 68.45 AUD, not to the total of 68.46 AUD"),
        ({"adjustments": (Adjustment("Credit", aud(-2051)),), "total": aud(-1)}, "its total is below zero: -0.01 AUD"),
        ({"gst": aud(-1)}, "its GST is not a part of its total"),
        ({"gst": aud(6846)}, "its GST is not a part of its total"),
        ({"gst": aud(1), "seller": replace(SELLER, abn="")}, "it contains GST but names no ABN"),
        ({"paid": aud(-1)}, "the amount paid is below zero"),
        ({"credited": aud(-1)}, "what is credited is not a part of its total"),
        ({"credited": aud(6846)}, "what is credited is not a part of its total"),
        ({"credited": aud(45), "paid": aud(6800), "total_due": aud(45)}, "0.45 AUD is due where 0.00 AUD is unpaid"),
        ({"paid": aud(6800), "total_due": aud(46)}, "0.46 AUD is due where 0.45 AUD is unpaid"),
        ({"paid": aud(7000), "total_due": aud(-155)}, "-1.55 AUD is due where 0.00 AUD is unpaid"),
        ({"gst": Money(0, "nzd")}, "not all of its amounts are in AUD"),
        ({"currency": "nzd"}, "not all of its amounts are in NZD"),
    ],
)
def test_an_invoice_that_contradicts_itself_is_never_shown(changes: dict[str, Any], reason: str) -> None:
    """The message names the invoice and what is wrong, and nobody."""
    with pytest.raises(InvariantBroken, match="BONDI-000042") as refusal:
        invoice(**changes)

    assert reason in str(refusal.value)
    assert "Ana" not in str(refusal.value)


@given(st.lists(st.integers(-99_999, 99_999), min_size=1, max_size=9), st.integers(-3, 3))
def test_only_the_exact_total_is_accepted(cents: list[int], mistake: int) -> None:
    """Whatever the lines are, one cent more or less is refused."""
    lines = tuple(line(cents=amount) for amount in cents)
    rest = Adjustment("Platform fee", aud(1_000_000))
    whole = aud(sum(cents) + 1_000_000 + mistake)
    figures = {"subtotal": aud(sum(cents)), "adjustments": (rest,), "total": whole, "paid": whole}

    if mistake:
        with pytest.raises(InvariantBroken):
            invoice(*lines, **figures)
    else:
        assert invoice(*lines, **figures).total == whole


def test_a_cancelled_invoice_asks_for_nothing_though_nothing_was_paid() -> None:
    """What is due may be zero while the total is not."""
    document = invoice(status="Cancelled", paid=aud(0), total_due=aud(0), payment_notes=())

    for texts in (Page(render_html(document)).texts, PdfText(render_pdf(document)).lines):
        assert "$0.00 AUD" in texts
        assert "Payments" not in texts


def test_a_document_shows_nobody_when_printed_by_accident() -> None:
    """A repr may reach a log; names and addresses are not in it."""
    assert "Ana" not in repr(invoice()) + repr(invoice().bill_to) + repr(line())


@pytest.mark.parametrize(
    ("gst", "heading", "shown", "closing"),
    [
        (0, "Invoice", False, "Amounts are in AUD. No GST is included. Dates are those of Australia/Sydney."),
        (186, "Tax invoice", True, "Amounts are in AUD. Dates are those of Australia/Sydney."),
    ],
)
def test_only_an_invoice_with_gst_is_called_a_tax_invoice(gst: int, heading: str, shown: bool, closing: str) -> None:
    """Page and PDF agree, and the GST that is stored is the GST that is shown."""
    document = invoice(gst=aud(gst))

    page, pdf = Page(render_html(document)), PdfText(render_pdf(document))

    assert page.texts[0] == page.texts[1] == f"{heading} BONDI-000042"
    assert pdf.lines[0] == heading
    for texts in (page.texts, pdf.lines):
        assert ("GST included in the total" in texts and "$1.86" in texts) is shown
        assert closing in texts


def test_page_and_pdf_say_everything_that_the_invoice_says() -> None:
    """In the Australian way: dates by day, ABN in groups, discounts below zero."""
    pdf, page = PdfText(render_pdf(invoice())), Page(render_html(invoice()))

    expected = [
        "Bondi Smiles",
        "Bondi Dental Pty Ltd",
        "ABN 51 824 753 556",
        "12 Example Parade",
        "Bondi Beach NSW 2026",
    ]
    expected += ["(02) 5550 0000", "hello@bondi.example", "Ana Silva", "1 Example Street", "BONDI-000042", "03/09/2026"]
    expected += ["10/09/2026", "Paid", "$0.00 AUD", "GST-free", "$20.50", "Subtotal", "Join fee", "$50.00", "Total"]
    expected += ["Dependents discount (10%)", "-$2.05", "$68.45", "Card ending 4242 on 03/09/2026: $68.45", "Total due"]
    assert [text for text in expected if text not in pdf.lines] == []
    assert [text for text in expected if text not in page.texts] == []
    assert "Essential membership, 03/09/2026 to 02/10/2026" in page.texts
    assert "Essential membership, 03/09/2026 to 02/10/2026" in " ".join(pdf.lines)
    assert overflowing(pdf) == []


@pytest.mark.parametrize(
    ("cents", "currency", "text"),
    [
        (0, "aud", "$0.00"),
        (5, "aud", "$0.05"),
        (-123_456_789, "aud", "-$1,234,567.89"),
        (2050, "gbp", "£20.50"),
        (2050, "eur", "€20.50"),
        (2050, "zar", "R20.50"),
    ],
)
def test_amounts_are_written_with_sign_and_thousands(cents: int, currency: str, text: str) -> None:
    """The minus stands before the sign of the currency."""
    assert wording.money_text(Money(cents, currency)) == text


@pytest.mark.parametrize("written", ["51824753556", "51 824 753 556", " 5182 4753 556"])
def test_an_abn_is_grouped_however_it_was_typed(written: str) -> None:
    """Two digits, then three times three."""
    assert wording.abn_text(written) == "51 824 753 556"


def test_another_countrys_number_stays_as_it_is() -> None:
    """Only eleven digits are an ABN."""
    assert wording.abn_text("NZBN 9429041527358") == "NZBN 9429041527358"


def test_the_page_is_accessible_and_needs_nothing_from_outside() -> None:
    """Language, one main heading, a table with caption and scopes; no script, form, link or address of a resource."""
    page = Page(render_html(invoice()))

    tags = {tag for tag, _ in page.elements}
    attributes = {name for _, found in page.elements for name in found}
    assert page.having("html") == [{"lang": "en-AU"}]
    assert len(page.having("h1")) == len(page.having("caption")) == len(page.having("main")) == 1
    assert page.having("th")
    assert all(cell.get("scope") in ("col", "row") for cell in page.having("th"))
    assert tags.isdisjoint({"script", "link", "img", "iframe", "form", "a", "object", "svg", "base"})
    assert attributes <= {"lang", "charset", "http-equiv", "content", "name", "class", "id", "scope", "aria-labelledby"}
    assert {"http-equiv": "Content-Security-Policy", "content": CONTENT_SECURITY_POLICY} in page.having("meta")
    assert "url(" not in render_html(invoice())
    assert "@import" not in render_html(invoice())


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_text_of_a_person_changes_the_page_or_leaves_its_place(text: str) -> None:
    """Wherever it stands, the page keeps its elements, and in the PDF nothing runs over a margin."""
    usual = invoice(seller=replace(SELLER, address=("x",)), bill_to=BillTo("x", ("x",)), payment_notes=("x",))
    hostile = replace(
        usual,
        status=text,
        seller=replace(SELLER, trading_name="x" + text, address=("x" + text,)),
        bill_to=BillTo("x" + text, ("x" + text,)),
        lines=(DocumentLine(text, text, aud(2050), text),),
        adjustments=(Adjustment(text, aud(5000), text), Adjustment(text, aud(-205), text)),
        payment_notes=("x" + text,),
    )

    html, pdf = render_html(hostile), PdfText(render_pdf(hostile))

    structure = [found for found in Page(html).elements if found[0] != "br"]
    assert structure == [found for found in Page(render_html(usual)).elements if found[0] != "br"]
    assert html.encode("utf-8")
    assert not any(mark in html for mark in "\u202e\u202c\u200f\u2066\u2069\u2028\x00\x1b\ue000")
    assert overflowing(pdf) == []
    assert "Total due" in pdf.lines
    assert "$68.45" in pdf.lines


@settings(max_examples=25)
@given(st.text(st.characters(), max_size=60))
def test_any_text_is_one_safe_line(text: str) -> None:
    """Cleaning twice changes nothing, and both forms can be made of it."""
    cleaned = wording.one_line(text)
    document = invoice(line(text))

    assert wording.one_line(cleaned) == cleaned
    assert len(cleaned.splitlines()) <= 1
    assert render_html(document).encode("utf-8")
    assert overflowing(PdfText(render_pdf(document))) == []


@pytest.mark.parametrize(
    "name",
    [
        "Linh Nguyễn",
        "Łukasz Wiśniewski",
        "Ōtsuka Ren",
        "Zoë O’Brien",
        "李小龍",
        "김민준",
        "さくら",
        "Ελένη",
        "Юлия",
        "Çağrı",
    ],
)
def test_a_name_is_printed_in_its_own_letters(name: str) -> None:
    """Both in the table and in bold, and whichever way its accents were typed."""
    decomposed = name.replace("ễ", "e\u0302\u0303")
    pdf = PdfText(render_pdf(invoice(line(decomposed), status=name, bill_to=BillTo(name))))

    assert pdf.lines.count(name) == 3


def test_hebrew_and_arabic_are_printed_from_right_to_left() -> None:
    """The last letter stands first on paper; brackets are turned, and Latin words inside keep their order."""
    pdf = PdfText(render_pdf(invoice(line("לוי (Levi)"), line("علي"))))

    assert "(Levi) " + "לוי"[::-1] in pdf.lines
    assert "علي"[::-1] in pdf.lines


def test_what_no_font_has_becomes_the_replacement_character() -> None:
    """One for each letter; joiners and variation marks vanish."""
    pdf = PdfText(render_pdf(invoice(line("Ana 👨\u200d👩 ❤\ufe0f ก"))))

    assert "Ana \ufffd\ufffd \ufffd \ufffd" in pdf.lines


def test_two_hundred_lines_fill_several_pages_that_repeat_the_heading() -> None:
    """Each page has the heading of the table and its own number; every line is there once, and the sums end it."""
    lines = [line(f"Member {number:03} {{nb}}") for number in range(200)]

    pdf = PdfText(render_pdf(invoice(*lines)))

    pages = [[printed.text for printed in page] for page in pdf.pages]
    assert len(pages) > 5
    with_lines = [page for page in pages if any(text.startswith("Member ") for text in page)]
    assert all(page.count("Person") == page.count("Description") == 1 for page in with_lines)
    members = [text for text in pdf.lines if text.startswith("Member ")]
    assert members == [f"Member {number:03} {{nb}}" for number in range(200)]
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page
        assert "BONDI-000042" in page
    assert "$4,147.95" in pages[-1]
    assert overflowing(pdf) == []


def test_lines_of_a_table_never_cover_one_another() -> None:
    """Below each line of text there is room before the next one, however many lines a cell needs."""
    pdf = PdfText(render_pdf(invoice(*[line("Maximiliana Featherstonehaugh " * count) for count in (1, 3, 5)])))

    for page in pdf.pages:
        starts = {round(printed.x) for printed in page}
        for start in starts:
            heights = sorted(printed.y for printed in page if round(printed.x) == start)
            assert all(above - below >= 9 for below, above in pairwise(heights))


def test_the_same_invoice_gives_the_same_bytes_in_every_process() -> None:
    """Also where Python orders its sets differently and the time zone is another; another invoice gives others."""
    document = invoice(line("Linh Nguyễn 李"))
    script = (
        "import sys, tests.unit.test_invoice_documents as t;"
        "sys.stdout.buffer.write(t.render_pdf(t.invoice(t.line('Linh Nguy\u1ec5n \u674e'))))"
    )
    different = {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"}

    elsewhere = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **different},
        capture_output=True,
        check=True,
    )

    assert elsewhere.stdout == render_pdf(document)
    assert render_pdf(replace(document, issued_on=date(2026, 9, 4))) != render_pdf(document)
    assert b"(D:20260903000000Z)" in render_pdf(document)
