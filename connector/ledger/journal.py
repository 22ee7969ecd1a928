"""The journal: entries are added and never changed; the database itself refuses UPDATE and DELETE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from connector import ids
from connector.database.base import Base, state_column
from connector.database.sums import summed
from connector.ledger.accounts import Account
from connector.ledger.recipes import Entry, Recipe


class JournalEntry(Base):
    """One business event in the book. `effective_date` is its business date, `recorded_at` when we learnt of it."""

    __tablename__ = "journal_entry"
    __table_args__ = (
        UniqueConstraint("recipe", "source_id"),
        Index("ix_journal_entry_location_date", "location_id", "effective_date"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str | None] = mapped_column(ForeignKey("location.id"))
    """None for what concerns the processor account as a whole: payouts and account fees."""
    recipe: Mapped[Recipe] = mapped_column(state_column(Recipe))
    source_id: Mapped[str]
    currency: Mapped[str]
    effective_date: Mapped[date]
    recorded_at: Mapped[datetime]


class Posting(Base):
    """One leg of an entry, in cents: debit positive, credit negative."""

    __tablename__ = "posting"
    __table_args__ = (CheckConstraint("cents <> 0", name="not_zero"), Index("ix_posting_account", "account"))

    entry_id: Mapped[str] = mapped_column(ForeignKey("journal_entry.id"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[Account] = mapped_column(state_column(Account))
    cents: Mapped[int]


@dataclass(frozen=True, slots=True)
class Booking:
    """An entry with where and when it belongs."""

    entry: Entry
    location_id: str | None
    effective_date: date


def post(session: Session, bookings: Sequence[Booking], now: datetime) -> None:
    """Add the entries. A second one of a recipe for a source breaks the unique key and undoes the unit of work."""
    if not bookings:
        return
    entries, postings = [], []
    for booking in bookings:
        entry_id = ids.new_id("je")
        legs = booking.entry.legs
        entries.append(
            {
                "id": entry_id,
                "location_id": booking.location_id,
                "recipe": booking.entry.recipe,
                "source_id": booking.entry.source_id,
                "currency": legs[0].amount.currency,
                "effective_date": booking.effective_date,
                "recorded_at": now,
            }
        )
        postings += [
            {"entry_id": entry_id, "line": line, "account": leg.account, "cents": leg.amount.cents}
            for line, leg in enumerate(legs)
        ]
    session.execute(insert(JournalEntry), entries)
    session.execute(insert(Posting), postings)


def balances(session: Session) -> dict[tuple[Account, str], int]:
    """Balance of each account and currency, in cents, added up from all postings."""
    query = (
        select(Posting.account, JournalEntry.currency, summed(Posting.cents))
        .join(JournalEntry, JournalEntry.id == Posting.entry_id)
        .group_by(Posting.account, JournalEntry.currency)
    )
    return {(account, currency): cents for account, currency, cents in session.execute(query)}


def unbalanced(session: Session) -> list[str]:
    """Ids of entries whose postings do not add up to zero; always empty unless someone went around this program."""
    query = select(Posting.entry_id).group_by(Posting.entry_id).having(summed(Posting.cents) != 0)
    without = select(JournalEntry.id).where(
        ~select(Posting.entry_id).where(Posting.entry_id == JournalEntry.id).exists()
    )
    return [*session.scalars(query), *session.scalars(without)]
