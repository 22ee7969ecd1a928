"""The write-back queue and the history of each of its rows."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from connector.database.base import Base, state_column
from connector.ledger.write_back.states import WriteBackState
from connector.money import Money


class Leg(StrEnum):
    """What a write-back tells the practice system."""

    PAYMENT = "payment"
    REVERSAL = "reversal"


class WriteBack(Base):
    """One amount to be recorded in one patient's ledger."""

    __tablename__ = "write_back"
    __table_args__ = (
        UniqueConstraint("source_id", "leg", "member_id"),
        UniqueConstraint("location_id", "pms_entry_id"),
        CheckConstraint("amount_cents > 0", name="amount_positive"),
        Index("ix_write_back_work", "location_id", "state", "next_attempt_at"),
        Index("ix_write_back_location_date", "location_id", "entry_date"),
        Index("ix_write_back_member_id", "member_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"))
    source_id: Mapped[str]
    """The payment, return or move that is written; with leg and member, the key that makes the row unique."""
    leg: Mapped[Leg] = mapped_column(state_column(Leg))
    reverses_id: Mapped[str | None] = mapped_column(ForeignKey("write_back.id"))
    """The entry that this one takes back: it waits until that is proven to be there, and goes where that one went."""
    after_id: Mapped[str | None] = mapped_column(ForeignKey("write_back.id"))
    """What has to be entered before this one, by us or by a person; this one follows the member's link."""
    reference: Mapped[str] = mapped_column(unique=True)
    """Our mark on the practice system's entry."""
    amount_cents: Mapped[int]
    currency: Mapped[str]
    entry_date: Mapped[date]
    """The business date of the money."""
    ledger_date: Mapped[date | None]
    """The date under which it is entered instead, because that day is closed in the practice system."""
    payment_type: Mapped[str]
    note: Mapped[str] = mapped_column(Text)
    prepayment: Mapped[bool] = mapped_column(default=True)
    """Kept for what will be done; otherwise it goes towards the patient's open treatment."""
    automatic: Mapped[bool]
    """Posted by itself once linked; otherwise a person posts it."""
    state: Mapped[WriteBackState] = mapped_column(state_column(WriteBackState))
    pms_patient_id: Mapped[str | None]
    """Whom the member is linked to now; the next send goes there."""
    sent_to_patient_id: Mapped[str | None]
    """Whom the last send went to; a look searches there."""
    attempts: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    """Counts claims and new patients: a claim or an outcome is kept only of a row that is still as it was read."""
    claimed_by: Mapped[str | None]
    """The installation that made the last claim."""
    lease_until: Mapped[datetime | None]
    baseline: Mapped[list[Any] | None]
    """Numbers of the patient's entries just before the first send: they cannot be ours. None until then, and again once
    a person has looked and posted it by hand."""
    sent_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime]
    """Not worked on before this instant: back-off, or the end of a settle window."""
    looks: Mapped[int] = mapped_column(default=0)
    """Complete reads since the send that did not show the entry."""
    failed_looks: Mapped[int] = mapped_column(default=0)
    pms_entry_id: Mapped[str | None]
    pms_entry_date: Mapped[date | None]
    """The date that the practice system gave the entry."""
    confirmed_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it stands where it stands, as a sentence for a person."""
    created_at: Mapped[datetime]

    @property
    def amount(self) -> Money:
        return Money(self.amount_cents, self.currency)

    @property
    def signed(self) -> Money:
        """The amount as the ledger counts it: negative for what takes an entry back."""
        return self.amount if self.leg is Leg.PAYMENT else -self.amount

    @property
    def dated(self) -> date:
        """The date of the entry in the practice system, as we write it."""
        return self.ledger_date or self.entry_date


class WriteBackStep(Base):
    """One step of a write-back, kept for ever: what, when, why, and who."""

    __tablename__ = "write_back_step"
    __table_args__ = (Index("ix_write_back_step_write_back_id", "write_back_id"),)

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    write_back_id: Mapped[str] = mapped_column(ForeignKey("write_back.id"))
    at: Mapped[datetime]
    before: Mapped[WriteBackState | None] = mapped_column(state_column(WriteBackState))
    after: Mapped[WriteBackState] = mapped_column(state_column(WriteBackState))
    actor: Mapped[str]
    """'connector' or the name of a staff user."""
    reason: Mapped[str | None] = mapped_column(Text)


class EntryMove(Base):
    """What stood of a payment with a wrong patient was moved to the right one, after a person's yes.

    It makes two write-backs: a reversal with the one, and a payment with the other.
    """

    __tablename__ = "entry_move"
    __table_args__ = (
        CheckConstraint("amount_cents > 0", name="amount_positive"),
        Index("ix_entry_move_payment_id", "payment_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    payment_id: Mapped[str] = mapped_column(ForeignKey("payment.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"))
    from_patient_id: Mapped[str]
    to_patient_id: Mapped[str]
    """Whom the member was linked to then; until it is sent the new entry follows the link."""
    amount_cents: Mapped[int]
    currency: Mapped[str]
    business_date: Mapped[date]
    actor: Mapped[str]
    """Who has said yes."""
    recorded_at: Mapped[datetime]
