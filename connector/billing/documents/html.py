"""The invoice as one web page that needs nothing else: no script, no picture, no address outside itself."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from connector.billing.documents import wording
from connector.billing.documents.document import InvoiceDocument

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Stands in the page itself, so that a saved copy is as harmless; whoever serves the page sends it as a header too."""


def render_html(document: InvoiceDocument) -> str:
    """A complete page for screens of any width and for paper; every text of the document is escaped."""
    lines = [
        {
            "person": wording.one_line(line.person),
            "description": wording.one_line(line.description),
            "tax_label": wording.one_line(line.tax_label),
            "amount": wording.money_text(line.amount),
        }
        for line in document.lines
    ]
    return _template().render(
        policy=CONTENT_SECURITY_POLICY,
        heading=wording.heading(document),
        number=wording.one_line(document.number),
        facts=wording.facts(document),
        seller=wording.seller_lines(document.seller),
        bill_to=wording.bill_to_lines(document),
        lines=lines,
        sums=wording.sums(document),
        notes=wording.payment_notes(document),
        closing=wording.closing(document),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("invoice.html")
