"""Verify the book: every entry balances, and everything that has money in it has its entry and its write-back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from connector.billing.collecting.charges import Payment, Payout, ReturnedPayment, UndoneReturn
from connector.billing.invoices import VOID, CreditNote, Invoice
from connector.billing.prices.platform_fees import PlatformFee
from connector.billing.prices.shares import divide
from connector.database.sums import summed
from connector.ledger.accounts import Account
from connector.ledger.journal import JournalEntry, Posting, balances, unbalanced
from connector.ledger.recipes import Recipe
from connector.ledger.write_back.models import EntryMove, Leg, WriteBack
from connector.use_cases.context import Context
from connector.use_cases.invoices.lines import lines_of


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
    when: ColumnElement[bool] = field(default_factory=true)
    """Only these records are meant."""


_SOURCES = (
    _Source("invoice", Invoice.id, Invoice.amount_cents, (Recipe.INVOICE_ISSUED,), Account.RECEIVABLE),
    _Source(
        "void invoice",
        Invoice.id,
        Invoice.amount_cents,
        (Recipe.INVOICE_CANCELLED,),
        Account.RECEIVABLE,
        -1,
        when=Invoice.status.in_(VOID),
    ),
    _Source("credit note", CreditNote.id, CreditNote.amount_cents, (Recipe.CREDIT_NOTE,), Account.RECEIVABLE, -1),
    _Source(
        "cancelled credit note",
        CreditNote.id,
        CreditNote.amount_cents,
        (Recipe.CREDIT_NOTE_CANCELLED,),
        Account.RECEIVABLE,
        when=CreditNote.invoice_id.in_(select(Invoice.id).where(Invoice.status.in_(VOID)))
        | CreditNote.returned_payment_id.in_(select(UndoneReturn.returned_payment_id)),
    ),
    _Source(
        "payment",
        Payment.id,
        Payment.amount_cents,
        (Recipe.CHARGE_SETTLED, Recipe.DESK_PAYMENT),
        Account.RECEIVABLE,
        -1,
        Leg.PAYMENT,
    ),
    _Source(
        "returned payment",
        ReturnedPayment.id,
        ReturnedPayment.amount_cents,
        (Recipe.REFUND, Recipe.DISPUTE, Recipe.BANK_REFUND, Recipe.DESK_BOUNCED),
        Account.RECEIVABLE,
        leg=Leg.REVERSAL,
    ),
    _Source(
        "undone return",
        UndoneReturn.id,
        UndoneReturn.amount_cents,
        (Recipe.RETURN_UNDONE,),
        Account.RECEIVABLE,
        -1,
        Leg.PAYMENT,
    ),
    _Source(
        "platform fee",
        PlatformFee.payment_id,
        PlatformFee.amount_cents,
        (Recipe.PLATFORM_FEE,),
        Account.PLATFORM_PAYABLE,
        -1,
    ),
    _Source("payout", Payout.id, Payout.amount_cents, (Recipe.PAYOUT,), Account.BANK),
    _Source(
        "failed payout",
        Payout.id,
        Payout.amount_cents,
        (Recipe.PAYOUT_FAILED,),
        Account.BANK,
        -1,
        when=Payout.failed_at.is_not(None),
    ),
)


def _faults(session: Session) -> Iterator[str]:
    for entry_id in unbalanced(session):
        yield f"The journal entry {entry_id} does not add up to zero."
    for source in _SOURCES:
        yield from _entries(session, source)
        if source.leg:
            yield from _write_backs(session, source, source.leg)
    yield from _moves(session)


def _moves(session: Session) -> Iterator[str]:
    """Each move takes out with one patient just what it enters with the other, and moves no money in the book."""
    for leg in Leg:
        made = (WriteBack.source_id == EntryMove.id) & (WriteBack.leg == leg)
        same = (WriteBack.amount_cents == EntryMove.amount_cents) & (WriteBack.member_id == EntryMove.member_id)
        for move_id in session.scalars(select(EntryMove.id).where(~select(WriteBack.id).where(made, same).exists())):
            yield f"The move {move_id} has no {leg} write-back of its amount."


def _entries(session: Session, source: _Source) -> Iterator[str]:
    """Each record has its entry, each entry its record, and both the same amount."""
    booked = select(JournalEntry.source_id).where(JournalEntry.recipe.in_(source.made_by))
    # An invoice over nothing moves nothing between accounts.
    for source_id in session.scalars(
        select(source.key).where(source.when, source.key.not_in(booked), source.cents != 0)
    ):
        yield f"The {source.name} {source_id} has no journal entry."
    orphans = select(JournalEntry.id).where(
        JournalEntry.recipe.in_(source.made_by), JournalEntry.source_id.not_in(select(source.key).where(source.when))
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
    """Each record has its write-backs, one for each person, which together have its amount without the platform fee."""
    written = (
        select(WriteBack.source_id, summed(WriteBack.amount_cents).label("cents"))
        .where(WriteBack.leg == leg)
        .group_by(WriteBack.source_id)
        .subquery()
    )
    there = func.coalesce(written.c.cents, 0)
    pairs = select(source.key, source.cents, there).outerjoin(written, written.c.source_id == source.key)
    for source_id, cents, found in session.execute(pairs.where(there != source.cents)):
        due = _due_in_ledgers(session, source, source_id, cents)
        if not found and due[-1]:
            yield f"The {source.name} {source_id} has no write-back."
        elif found not in due:
            yield f"The write-back of the {source.name} {source_id} has another amount."


def _due_in_ledgers(session: Session, source: _Source, source_id: str, cents: int) -> range:
    """What the write-backs of a record may come to. The fee that the patient paid is shared out to the cent."""
    payment = _payment_of(session, source_id)
    # A payment of a part of an invoice carries its share of the fee, and no return of it can take more of that.
    lines = lines_of(session, session.get_one(Invoice, payment.invoice_id))
    _, fee = divide(lines, payment.amount_cents)
    if source.key is Payment.id:
        return range(cents - fee, cents - fee + 1)
    moved = _moved(session, payment, source_id)
    return range(max(0, moved - fee), moved + 1)


def _payment_of(session: Session, source_id: str) -> Payment:
    """The payment itself, or that of its return, or of what undid that: ids of different tables are never the same."""
    undone = select(UndoneReturn.returned_payment_id).where(UndoneReturn.id == source_id)
    returned = ReturnedPayment.id.in_(undone) | (ReturnedPayment.id == source_id)
    of_return = Payment.id.in_(select(ReturnedPayment.payment_id).where(returned))
    return session.scalars(select(Payment).where(of_return | (Payment.id == source_id))).one()


def _moved(session: Session, payment: Payment, source_id: str) -> int:
    """How much a return took of what its payment could still give then, or how much came back of that when undone.

    What was given back beyond that stands in no ledger: the day's report names it.
    """
    returns = session.scalars(select(ReturnedPayment).where(ReturnedPayment.payment_id == payment.id)).all()
    undone = session.scalars(
        select(UndoneReturn).where(UndoneReturn.returned_payment_id.in_([row.id for row in returns]))
    )
    # Of what one unit of work has recorded, the ids tell the order.
    story = sorted([*returns, *undone], key=lambda row: (row.recorded_at, row.id.partition("_")[2]))
    left = kept = payment.amount_cents
    moved: dict[str, int] = {}
    for row in story:
        if isinstance(row, ReturnedPayment):
            kept -= row.amount_cents
            moved[row.id] = min(row.amount_cents, left)
            left -= moved[row.id]
        else:
            kept += row.amount_cents
            moved[row.id] = min(moved[row.returned_payment_id], max(0, kept - left))
            left += moved[row.id]
    return moved[source_id]
