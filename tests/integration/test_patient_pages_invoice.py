"""The invoice as people see it, put together from what is stored."""

from __future__ import annotations

from connector.billing.agreements.contracts import Contract
from connector.billing.documents.document import InvoiceDocument
from connector.billing.invoices import Invoice
from connector.billing.prices.pricing import PromoTerms
from connector.money import Money
from connector.use_cases.invoices.invoice_document import invoice_document
from connector.use_cases.plans.promo_codes import add_promo_code, redeem
from tests.support.practice import Practice


def document(practice: Practice) -> InvoiceDocument:
    """Of the only invoice."""
    with practice.context.database.read() as session:
        return invoice_document(session, session.query(Invoice).one())


def test_a_discount_stands_between_subtotal_and_total(practice: Practice) -> None:
    """Lines are what people get; what reduces them is an adjustment below zero."""
    terms = PromoTerms("SPRING", amount_cents=1000)
    add_promo_code(practice.context, location_slug="leura", terms=terms, actor="front desk")
    person = practice.enrol()
    with practice.context.database.unit_of_work() as session:
        contract = session.get_one(Contract, person.contract_id)
        redeem(session, practice.location, contract, "SPRING", practice.clock.now())
    practice.charge()

    shown = document(practice)

    assert (shown.subtotal, shown.total) == (Money(2990, "aud"), Money(1990, "aud"))
    assert [(part.label, part.amount.cents) for part in shown.adjustments] == [("Promo code SPRING", -1000)]
    assert [(line.person, line.amount.cents) for line in shown.lines] == [("Ada Ferris", 2990)]
    assert (shown.number, shown.status, shown.seller.trading_name) == ("LEURA-000001", "Paid", "Leura Dental")
    assert (shown.paid, shown.total_due.cents) == (Money(1990, "aud"), 0)
    assert shown.payment_notes == ("Card on 01/09/2026: $19.90",)


def test_money_that_went_back_is_not_paid_any_more(practice: Practice) -> None:
    """The payment, its return and the credit note for that each have a sentence."""
    practice.paid()
    practice.refund(amount="1000")
    practice.charge()

    shown = document(practice)

    assert shown.paid == Money(1990, "aud")
    assert shown.payment_notes == (
        "Card on 01/09/2026: $29.90",
        "Refund on 01/09/2026: -$10.00",
        "Credit note LEURA-CN-000001 on 01/09/2026: -$10.00",
    )
