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


@dataclass(frozen=True)
class _Source:
    """A kind of record with money in it: the entry that it makes, and the write-back that it needs, if any."""

    name: str
    key: InstrumentedAttribute[str]
    cents: InstrumentedAttribute[int]
    made_by: tuple[Recipe, ...]
    account: Account
    """Where the entry shows the whole amount: as a debit, or as a credit if `sign` is -1."""
    sign: int = 1
    leg: Leg | None = None


_SOURCES = (
    _Source("invoice", Invoice.id, Invoice.amount_cents, (Recipe.INVOICE_ISSUED,), Account.RECEIVABLE),
    _Source("payment", Payment.id, Payment.amount_cents, (Recipe.CHARGE_SETTLED,), Account.RECEIVABLE, -1, Leg.PAYMENT),
    _Source(
        "returned payment",
        ReturnedPayment.id,
        ReturnedPayment.amount_cents,
        (Recipe.REFUND, Recipe.DISPUTE),
        Account.RECEIVABLE,
        leg=Leg.REVERSAL,
    ),
    _Source("payout", Payout.id, Payout.amount_cents, (Recipe.PAYOUT,), Account.BANK),
)


def _faults(session: Session) -> Iterator[str]:
    for entry_id in unbalanced(session):
        yield f"The journal entry {entry_id} does not add up to zero."
    for source in _SOURCES:
        yield from _entries(session, source)
        if source.leg:
            yield from _write_backs(session, source, source.leg)


def _entries(session: Session, source: _Source) -> Iterator[str]:
    """Each record has its entry, each entry its record, and both the same amount."""
    booked = select(JournalEntry.source_id).where(JournalEntry.recipe.in_(source.made_by))
    for source_id in session.scalars(select(source.key).where(source.key.not_in(booked))):
        yield f"The {source.name} {source_id} has no journal entry."
    orphans = select(JournalEntry.id).where(
        JournalEntry.recipe.in_(source.made_by), JournalEntry.source_id.not_in(select(source.key))
    )
    for entry_id in session.scalars(orphans):
        yield f"The journal entry {entry_id} has no {source.name}."
    other_amount = (
        select(source.key)
        .join(JournalEntry, (JournalEntry.source_id == source.key) & JournalEntry.recipe.in_(source.made_by))
        .join(Posting, (Posting.entry_id == JournalEntry.id) & (Posting.account == source.account))
        .where(Posting.cents != source.sign * source.cents)
    )
    for source_id in session.scalars(other_amount):
        yield f"The journal entry of the {source.name} {source_id} has another amount."


def _write_backs(session: Session, source: _Source, leg: Leg) -> Iterator[str]:
    """Each record has its write-back, and both the same amount."""
    written = select(WriteBack.source_id).where(WriteBack.leg == leg)
    for source_id in session.scalars(select(source.key).where(source.key.not_in(written))):
        yield f"The {source.name} {source_id} has no write-back."
    pairs = select(source.key).join(WriteBack, (WriteBack.source_id == source.key) & (WriteBack.leg == leg))
    for source_id in session.scalars(pairs.where(WriteBack.amount_cents != source.cents)):
        yield f"The write-back of the {source.name} {source_id} has another amount."
