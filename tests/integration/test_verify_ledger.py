"""Verifying the book: an honest one has no fault, and each kind of tampering is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from connector.billing.prices import platform_fee
from connector.billing.prices.platform_fee import DEFAULT_TIERS, FeeCategory
from connector.ledger import recipes
from connector.ledger.accounts import Account
from connector.ledger.journal import Booking, JournalEntry, Posting, balances, post
from connector.money import Money
from connector.use_cases.books.verify_ledger import verify_ledger
from tests.support.book import FEE, NOW, PRICE, Book, opened_book


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with opened_book(f"sqlite:///{(tmp_path / 'practice.db').as_posix()}", tmp_path) as opened:
        yield opened


def tamper(book: Book, *statements: str) -> None:
    """Go around the program, as somebody with the file and a database tool could."""
    with book.context.database.writer.begin() as connection:
        triggers = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
        for name in triggers:
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text("PRAGMA defer_foreign_keys=ON"))
        for statement in statements:
            connection.execute(text(statement))


def test_an_empty_book_is_in_order(book: Book) -> None:
    """Nothing happened, nothing is wrong."""
    result = verify_ledger(book.context)

    assert result.ok
    assert (result.entries, result.balances) == (0, {})


def test_a_whole_story_is_in_order(book: Book) -> None:
    """Invoice, payment, its platform fee, a refund and its credit note, both undone, payout; balances follow."""
    book.whole_story()

    result = verify_ledger(book.context)

    assert result.faults == []
    fee = platform_fee.fee(DEFAULT_TIERS["free"], FeeCategory.MEMBERSHIP, PRICE)
    platform, gst = fee.amount, fee.gst
    assert result.entries == 8
    assert result.balances == {
        (Account.RECEIVABLE, "aud"): 0,
        (Account.MEMBERSHIP_INCOME, "aud"): -PRICE.cents,
        (Account.PROCESSOR_FEES, "aud"): FEE.cents,
        (Account.PLATFORM_FEES, "aud"): (platform - gst).cents,
        (Account.GST_ON_FEES, "aud"): gst.cents,
        (Account.PLATFORM_PAYABLE, "aud"): -platform.cents,
        (Account.PROCESSOR_CLEARING, "aud"): PRICE.cents - FEE.cents - 1_000,
        (Account.BANK, "aud"): 1_000,
    }


UNMOVED = ("DELETE FROM write_back WHERE source_id IN (SELECT id FROM entry_move)", "DELETE FROM entry_move")
"""What was moved points to the entries before it."""
RESTORED = "leg = 'payment' AND reverses_id IS NOT NULL"
JE = "(SELECT id FROM journal_entry WHERE recipe = '{}')"


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (
            [f"UPDATE posting SET cents = cents + 1 WHERE line = 0 AND entry_id = {JE.format('payout')}"],
            "does not add up to zero",
        ),
        ([f"DELETE FROM posting WHERE entry_id = {JE.format('payout')}"], "does not add up to zero"),
        (
            [
                f"DELETE FROM posting WHERE entry_id = {JE.format('payout')}",
                "DELETE FROM journal_entry WHERE recipe = 'payout'",
            ],
            "The payout po_[^ ]+ has no journal entry",
        ),
        (
            [
                f"DELETE FROM posting WHERE entry_id = {JE.format('invoice_issued')}",
                "DELETE FROM journal_entry WHERE recipe = 'invoice_issued'",
            ],
            "The invoice inv_[^ ]+ has no journal entry",
        ),
        (
            [
                f"DELETE FROM posting WHERE entry_id = {JE.format('charge_settled')}",
                "DELETE FROM journal_entry WHERE recipe = 'charge_settled'",
            ],
            "The payment pay_[^ ]+ has no journal entry",
        ),
        (
            [
                f"DELETE FROM posting WHERE entry_id = {JE.format('refund')}",
                "DELETE FROM journal_entry WHERE recipe = 'refund'",
            ],
            "The returned payment ret_[^ ]+ has no journal entry",
        ),
        (["DELETE FROM payout"], "The journal entry je_[^ ]+ has no payout"),
        (
            ["DELETE FROM undone_return", "DELETE FROM credit_note", "DELETE FROM returned_payment"],
            "The journal entry je_[^ ]+ has no returned payment",
        ),
        (["DELETE FROM undone_return"], "The journal entry je_[^ ]+ has no undone return"),
        (["DELETE FROM credit_note"], "The journal entry je_[^ ]+ has no credit note"),
        (
            [
                f"DELETE FROM posting WHERE entry_id = {JE.format('credit_note_cancelled')}",
                "DELETE FROM journal_entry WHERE recipe = 'credit_note_cancelled'",
            ],
            "The cancelled credit note cn_[^ ]+ has no journal entry",
        ),
        (["DELETE FROM platform_fee"], "The journal entry je_[^ ]+ has no platform fee"),
        (["UPDATE payout SET failed_at = recorded_at"], "The failed payout po_[^ ]+ has no journal entry"),
        (["UPDATE invoice SET status = 'cancelled'"], "The void invoice inv_[^ ]+ has no journal entry"),
        (
            [
                f"UPDATE posting SET cents = 2 * cents WHERE entry_id = {JE.format('charge_settled')}",
            ],
            "The journal entry of the payment pay_[^ ]+ has another amount",
        ),
        (
            [f"UPDATE posting SET cents = 2 * cents WHERE entry_id = {JE.format('invoice_issued')}"],
            "The journal entry of the invoice inv_[^ ]+ has another amount",
        ),
        (
            [f"UPDATE posting SET cents = 2 * cents WHERE entry_id = {JE.format('refund')}"],
            "The journal entry of the returned payment ret_[^ ]+ has another amount",
        ),
        (
            [f"UPDATE posting SET cents = 2 * cents WHERE entry_id = {JE.format('payout')}"],
            "The journal entry of the payout po_[^ ]+ has another amount",
        ),
        (
            ["UPDATE write_back SET amount_cents = 1 WHERE leg = 'payment'"],
            "The write-back of the payment pay_[^ ]+ has another amount",
        ),
        (
            ["UPDATE write_back SET amount_cents = 1 WHERE leg = 'reversal'"],
            "The write-back of the returned payment ret_[^ ]+ has another amount",
        ),
        (
            [
                "DELETE FROM write_back_step",
                *UNMOVED,
                f"DELETE FROM write_back WHERE {RESTORED}",
                "DELETE FROM write_back WHERE leg = 'reversal'",
            ],
            "The returned payment ret_[^ ]+ has no write-back",
        ),
        (
            ["DELETE FROM write_back_step", *UNMOVED, f"DELETE FROM write_back WHERE {RESTORED}"],
            "The undone return und_[^ ]+ has no write-back",
        ),
        (
            [f"UPDATE write_back SET amount_cents = 1 WHERE {RESTORED}"],
            "The write-back of the undone return und_[^ ]+ has another amount",
        ),
        (
            ["DELETE FROM write_back_step", "DELETE FROM write_back"],
            "The payment pay_[^ ]+ has no write-back",
        ),
    ],
)
def test_tampering_is_named(statements: list[str], fault: str, book: Book) -> None:
    """An entry, a record or a write-back that was changed or removed behind the program's back."""
    book.whole_story()

    tamper(book, *statements)

    result = verify_ledger(book.context)
    assert not result.ok
    assert any(re.search(fault, found) for found in result.faults), result.faults


def test_a_source_has_one_entry_of_each_recipe(book: Book) -> None:
    """The unique key refuses the second one, and with it all else of that unit of work."""
    booking = Booking(recipes.payout("po_1", PRICE), None, NOW.date())
    other = Booking(recipes.payout("po_2", PRICE), None, NOW.date())
    with book.context.database.unit_of_work() as session:
        post(session, [booking, Booking(recipes.processor_fee("po_1", FEE), None, NOW.date())], NOW)

    with pytest.raises(IntegrityError), book.context.database.unit_of_work() as session:
        post(session, [other, booking], NOW)

    with book.context.database.read() as session:
        assert session.scalar(select(func.count()).select_from(JournalEntry)) == 2
        assert session.scalar(select(func.count()).select_from(Posting)) == 4


def test_posting_nothing_is_nothing(book: Book) -> None:
    """A batch may be empty."""
    with book.context.database.unit_of_work() as session:
        post(session, [], NOW)

    assert verify_ledger(book.context).entries == 0


def test_balances_keep_currencies_apart(book: Book) -> None:
    """Each account has one balance for each."""
    with book.context.database.unit_of_work() as session:
        post(
            session,
            [
                Booking(recipes.payout("po_1", Money(500, "aud")), None, NOW.date()),
                Booking(recipes.payout("po_2", Money(300, "aud")), None, NOW.date()),
                Booking(recipes.payout("po_3", Money(70, "nzd")), None, NOW.date()),
            ],
            NOW,
        )
        found = balances(session)

    assert found == {
        (Account.BANK, "aud"): 800,
        (Account.PROCESSOR_CLEARING, "aud"): -800,
        (Account.BANK, "nzd"): 70,
        (Account.PROCESSOR_CLEARING, "nzd"): -70,
    }
