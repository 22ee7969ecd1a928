"""Payments with a platform fee at a practice: invoices issued with it, taken by the sandbox, and booked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal

from sqlalchemy import select

from connector import ids
from connector.billing.agreements.payment_requests import InstantPayment, RequestStatus
from connector.billing.clinics import Location
from connector.billing.collecting.charges import Charge, Payment
from connector.billing.invoices import Invoice, InvoiceKind
from connector.billing.members import Member
from connector.billing.offers.plan_terms import TaxCode
from connector.billing.prices.platform_fee import Tier
from connector.billing.prices.platform_fees import PlatformFee
from connector.billing.prices.pricing import LineKind, PricedLine
from connector.billing.processor import PaymentProcessor
from connector.ledger.accounts import Account
from connector.ledger.journal import balances
from connector.money import Money
from connector.use_cases.collection.plan_attempts import FirstTry, payers, plan_first
from connector.use_cases.invoices.issue import Draft, issue
from connector.use_cases.invoices.platform_fees import application_fee_of, book_platform_fee, with_platform_fee
from tests.support.practice import Enrolled, Practice

HALVES = Tier(name="Halves", membership_percent=Decimal("1.75"), other_percent=Decimal("2.5"))
"""Rates at which many amounts end in half a cent."""


def on_tier(practice: Practice, tier: Tier = HALVES, processor: PaymentProcessor | None = None, **policy: str) -> None:
    """Put the location on that tier; with a platform's processor, Stripe keeps the fees."""
    practice.context = replace(
        practice.context,
        tiers={**practice.context.tiers, "own": tier},
        processor=processor or practice.context.processor,
        fee_kept_by_stripe=processor is not None,
    )
    practice.set_policy(platform_tier="own", **policy)


def ask(practice: Practice, person: Enrolled, cents: int) -> str:
    """Ask a member who has a card for an amount, with the fee where patients bear it; returns the invoice's id."""
    context, now = practice.context, practice.clock.now()
    with context.database.unit_of_work() as session:
        location = session.get_one(Location, practice.location.id)
        request = InstantPayment(
            id=ids.new_id("ip"),
            location_id=location.id,
            member_id=person.member_id,
            status=RequestStatus.ACTIVE,
            accepted_at=now,
            expires_at=now,
            created_at=now,
        )
        session.add(request)
        session.flush()
        amount = Money(cents, "aud")
        line = PricedLine(LineKind.INSTANT, person.member_id, "Crown", amount, TaxCode.GST_FREE)
        lines = with_platform_fee(context.tiers, location, InvoiceKind.INSTANT, (line,), None)
        draft = Draft(
            InvoiceKind.INSTANT, person.member_id, ("instant_payment_id", request.id), 1, practice.today, lines
        )
        (issued,) = issue(session, location, [draft], now)
        payer = payers(session, [person.member_id])[person.member_id]
        plan_first(session, location, [FirstTry(issued.id, draft.total, payer.method_id, practice.today)], now)
        charge = session.scalars(select(Charge).where(Charge.invoice_id == issued.id)).one()
        kept = charge.application_fee_cents = application_fee_of(session, context, location, charge)
    if kept:
        _prepare_with_fee(practice, issued.id, Money(kept, "aud"))
    return issued.id


def _prepare_with_fee(practice: Practice, invoice_id: str, kept: Money) -> None:
    """Create the payment object as it is created for a platform, which keeps a part of it."""
    with practice.context.database.unit_of_work() as session:
        charge = session.scalars(select(Charge).where(Charge.invoice_id == invoice_id)).one()
        member = session.get_one(Member, session.get_one(Invoice, invoice_id).member_id)
        assert member.processor_customer_id is not None
        charge.processor_id = practice.context.processor.prepare_charge(
            f"pi:{charge.id}",
            member.processor_customer_id,
            charge.amount,
            charge.id,
            charge.invoice_id,
            charge.location_id,
            application_fee=kept,
        )


def book(practice: Practice) -> dict[str, PlatformFee]:
    """Book the fee of every payment that has none yet; returns all fees by invoice."""
    booked = {row.payment_id for row in practice.all(PlatformFee)}
    for payment in practice.all(Payment):
        if payment.id not in booked:
            with practice.context.database.unit_of_work() as session:
                location = session.get_one(Location, payment.location_id)
                invoice = session.get_one(Invoice, payment.invoice_id)
                book_platform_fee(session, practice.context, location, payment, invoice, practice.clock.now())
    invoices = {payment.id: payment.invoice_id for payment in practice.all(Payment)}
    return {invoices[row.payment_id]: row for row in practice.all(PlatformFee)}


def paid(practice: Practice, invoice_ids: Collection[str]) -> dict[str, PlatformFee]:
    """Take the money for these invoices and book it; returns their fees."""
    assert practice.charge() == []
    found = book(practice)
    return {invoice_id: found[invoice_id] for invoice_id in invoice_ids}


def balance(practice: Practice, account: Account) -> int:
    """Cents in that account of the book."""
    with practice.context.database.read() as session:
        return balances(session).get((account, "aud"), 0)
