"""Take back what was invoiced, in the caller's unit of work: what is owed of it, or what its payer was refunded.

Nothing is edited: an invoice that is void keeps its number and lines, and what is taken back in part is a credit note.
The caller has locked the invoice, so that two at once do not both take back the same rest.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.clinics import Location
from connector.billing.collecting.charges import ReturnedPayment
from connector.billing.invoices import VOID, CreditNote, Invoice, InvoiceStatus
from connector.billing.prices.shares import apportion
from connector.ledger import recipes
from connector.ledger.accounts import Account
from connector.ledger.journal import Booking, JournalEntry, Posting, post
from connector.ledger.recipes import Recipe
from connector.money import Money
from connector.use_cases.invoices.issue import credits_of, take_numbers
from connector.use_cases.invoices.lines import lines_of
from connector.use_cases.invoices.owed import claimed, credit_notes, kept, owed

log = structlog.get_logger()


def give_up(session: Session, invoice: Invoice, status: InvoiceStatus, day: date, now: datetime) -> None:
    """Ask no longer for what is owed on an unpaid invoice.

    It is void, as cancelled or expired, unless a part of it is paid: that stays paid and earned, and the rest is
    credited, e.g. where only a part of a payment was disputed, or less of a hold was taken than was decided.
    """
    if kept(session, invoice) <= 0:
        _void(session, invoice, status, day, now)
        return
    location = session.get_one(Location, invoice.location_id)
    _credit(session, location, invoice, owed(session, invoice), day, now)
    invoice.status = InvoiceStatus.COMPLETED


def _void(session: Session, invoice: Invoice, status: InvoiceStatus, day: date, now: datetime) -> None:
    """Its number and lines stay, nothing is owed any more."""
    notes = credit_notes(session, invoice)
    invoice.status = status
    bookings = []
    if credits_ := _credits(session, invoice):
        bookings.append(Booking(recipes.invoice_cancelled(invoice.id, credits_), invoice.location_id, day))
    # All of it is taken back by that, so what was credited before is not to count twice.
    bookings += [_cancelled(session, note, day) for note in notes]
    post(session, bookings, now)


def credit_refund(
    session: Session, location: Location, invoice_id: str, returned: ReturnedPayment, now: datetime
) -> CreditNote | None:
    """What was given back on purpose is not asked for again: credit it. The return must have been flushed.

    None where the refund only gives back what nobody owed, e.g. the second payment of an invoice.
    """
    invoice = session.get_one(Invoice, invoice_id)
    if invoice.status in VOID:
        return None
    cents = min(returned.amount_cents, claimed(session, invoice) - max(0, kept(session, invoice)))
    return _credit(session, location, invoice, cents, returned.business_date, now, returned.id)


def _credit(
    session: Session,
    location: Location,
    invoice: Invoice,
    cents: int,
    day: date,
    now: datetime,
    returned_payment_id: str | None = None,
) -> CreditNote | None:
    """A numbered note over so much, taken from each account in proportion. None over nothing."""
    if cents <= 0:
        return None
    left = _not_credited(session, invoice)
    parts = dict(zip(left, apportion(cents, list(left.values())), strict=True))
    debits = {account: Money(part, invoice.currency) for account, part in parts.items() if part}
    note = CreditNote(
        id=ids.new_id("cn"),
        location_id=location.id,
        number=take_numbers(session, location, Location.next_credit_note_number),
        invoice_id=invoice.id,
        returned_payment_id=returned_payment_id,
        amount_cents=cents,
        gst_cents=parts.get(Account.GST_PAYABLE, 0),
        currency=invoice.currency,
        business_date=day,
        issued_at=now,
    )
    session.add(note)
    session.flush()
    post(session, [Booking(recipes.credit_note(note.id, debits), location.id, day)], now)
    log.info("credit_note.issued", credit_note_id=note.id, invoice_id=invoice.id, cents=cents)
    return note


def cancel_credit(session: Session, returned: ReturnedPayment, day: date, now: datetime) -> None:
    """The refund has failed after all: what was credited for it is asked for again, unless its invoice is void."""
    note = session.scalar(select(CreditNote).where(CreditNote.returned_payment_id == returned.id))
    if note is not None and session.get_one(Invoice, note.invoice_id).status not in VOID:
        post(session, [_cancelled(session, note, day)], now)


def _cancelled(session: Session, note: CreditNote, day: date) -> Booking:
    debits = {account: Money(cents, note.currency) for account, cents in _booked(session, note).items()}
    return Booking(recipes.credit_note_cancelled(note.id, debits), note.location_id, day)


def _credits(session: Session, invoice: Invoice) -> dict[Account, Money]:
    """What the invoice had brought to each account."""
    return credits_of(invoice.kind, lines_of(session, invoice))


def _not_credited(session: Session, invoice: Invoice) -> dict[Account, int]:
    """Cents of each account that no credit note has taken: parts of them add up to the whole, to the cent."""
    left = defaultdict(int, {account: amount.cents for account, amount in _credits(session, invoice).items()})
    for note in credit_notes(session, invoice):
        for account, cents in _booked(session, note).items():
            left[account] -= cents
    return dict(left)


def _booked(session: Session, note: CreditNote) -> dict[Account, int]:
    """Cents that the note took from each account of income and GST."""
    query = (
        select(Posting.account, Posting.cents)
        .join(JournalEntry, JournalEntry.id == Posting.entry_id)
        .where(JournalEntry.recipe == Recipe.CREDIT_NOTE, JournalEntry.source_id == note.id)
        .where(Posting.account != Account.RECEIVABLE)
    )
    return dict(session.execute(query).all())
