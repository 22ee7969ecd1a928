"""Verify the book: every entry balances, and everything that has money in it has its entry and its write-back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from connector.billing.charges import Payment, Payout, ReturnedPayment
from connector.billing.invoices import Invoice
from connector.ledger.accounts import Account
from connector.ledger.journal import JournalEntry, Posting, balances, unbalanced
from connector.ledger.recipes import Recipe
from connector.ledger.write_back.models import Leg, WriteBack
from connector.use_cases.context import Context


@dataclass(frozen=True)
class Verification:
    """The result of adding everything up again."""

    entries: int
    balances: dict[tuple[Account, str], int]
    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.faults


def verify_ledger(context: Context) -> Verification:
    """Recompute the book from its postings and compare it with the records that it was made from."""
    with context.database.read() as session:
        entries = session.scalar(select(func.count()).select_from(JournalEntry)) or 0
        return Verification(entries, balances(session), list(_faults(session)))


def _faults(session: Session) -> Iterator[str]:
    for entry_id in unbalanced(session):
        yield f"The journal entry {entry_id} does not add up to zero."
    yield from _sources(session, Invoice.id, (Recipe.INVOICE_ISSUED,), "invoice")
    yield from _sources(session, Payment.id, (Recipe.CHARGE_SETTLED,), "payment")
    yield from _sources(session, ReturnedPayment.id, (Recipe.REFUND, Recipe.DISPUTE), "returned payment")
    yield from _sources(session, Payout.id, (Recipe.PAYOUT,), "payout")
    yield from _amounts(session)
    for source, leg in ((Payment, Leg.PAYMENT), (ReturnedPayment, Leg.REVERSAL)):
        written = select(WriteBack.source_id).where(WriteBack.leg == leg)
        for source_id in session.scalars(select(source.id).where(source.id.not_in(written))):
            yield f"The payment {source_id} has no write-back."


def _sources(
    session: Session, key: InstrumentedAttribute[str], made_by: tuple[Recipe, ...], name: str
) -> Iterator[str]:
    """Each record has its entry, and each entry its record."""
    booked = select(JournalEntry.source_id).where(JournalEntry.recipe.in_(made_by))
    for source_id in session.scalars(select(key).where(key.not_in(booked))):
        yield f"The {name} {source_id} has no journal entry."
    orphans = select(JournalEntry.id).where(
        JournalEntry.recipe.in_(made_by), JournalEntry.source_id.not_in(select(key))
    )
    for entry_id in session.scalars(orphans):
        yield f"The journal entry {entry_id} has no {name}."


def _amounts(session: Session) -> Iterator[str]:
    """What members owe is credited with exactly what each payment brought, and each write-back carries that amount."""
    query = (
        select(Payment.id)
        .join(JournalEntry, (JournalEntry.source_id == Payment.id) & (JournalEntry.recipe == Recipe.CHARGE_SETTLED))
        .join(Posting, (Posting.entry_id == JournalEntry.id) & (Posting.account == Account.RECEIVABLE))
        .where(Posting.cents != -Payment.amount_cents)
    )
    for payment_id in session.scalars(query):
        yield f"The journal entry of the payment {payment_id} has another amount."
    written = select(Payment.id).join(WriteBack, WriteBack.source_id == Payment.id)
    for payment_id in session.scalars(written.where(WriteBack.amount_cents != Payment.amount_cents)):
        yield f"The write-back of the payment {payment_id} has another amount."
