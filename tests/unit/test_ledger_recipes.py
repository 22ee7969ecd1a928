"""Recipes: each business event becomes one balanced entry, whatever the amounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import InvariantBroken
from connector.ledger import recipes
from connector.ledger.accounts import Account
from connector.ledger.recipes import Entry, Leg, Recipe
from connector.money import CENTS_MAX, Money

AMOUNTS = st.integers(min_value=1, max_value=CENTS_MAX)
A = Account


def aud(cents: int) -> Money:
    return Money(cents, "aud")


@pytest.mark.parametrize(
    ("entry", "recipe", "legs"),
    [
        (
            recipes.invoice_issued("inv_1", {A.MEMBERSHIP_INCOME: aud(2_990)}),
            Recipe.INVOICE_ISSUED,
            {A.RECEIVABLE: 2_990, A.MEMBERSHIP_INCOME: -2_990},
        ),
        (
            recipes.invoice_issued("inv_2", {A.INSTALMENT_INCOME: aud(500), A.GST_PAYABLE: aud(50)}),
            Recipe.INVOICE_ISSUED,
            {A.RECEIVABLE: 550, A.INSTALMENT_INCOME: -500, A.GST_PAYABLE: -50},
        ),
        (
            recipes.invoice_cancelled("inv_2", {A.INSTALMENT_INCOME: aud(500)}),
            Recipe.INVOICE_CANCELLED,
            {A.RECEIVABLE: -500, A.INSTALMENT_INCOME: 500},
        ),
        (
            recipes.credit_note("cn_1", {A.INSTALMENT_INCOME: aud(500), A.GST_PAYABLE: aud(50)}),
            Recipe.CREDIT_NOTE,
            {A.RECEIVABLE: -550, A.INSTALMENT_INCOME: 500, A.GST_PAYABLE: 50},
        ),
        (
            recipes.credit_note_cancelled("cn_1", {A.INSTALMENT_INCOME: aud(500)}),
            Recipe.CREDIT_NOTE_CANCELLED,
            {A.RECEIVABLE: 500, A.INSTALMENT_INCOME: -500},
        ),
        (
            recipes.charge_settled("pay_3", aud(2_990), aud(81), aud(150)),
            Recipe.CHARGE_SETTLED,
            {A.PROCESSOR_CLEARING: 2_759, A.PROCESSOR_FEES: 81, A.PLATFORM_PAYABLE: 150, A.RECEIVABLE: -2_990},
        ),
        (recipes.desk_payment("pay_4", aud(500)), Recipe.DESK_PAYMENT, {A.DESK: 500, A.RECEIVABLE: -500}),
        (
            recipes.return_undone("un_1", aud(2_990), aud(2_500)),
            Recipe.RETURN_UNDONE,
            {A.RECEIVABLE: -2_990, A.PROCESSOR_FEES: -2_500, A.PROCESSOR_CLEARING: 5_490},
        ),
        (
            recipes.platform_fee("pay_3", aud(150), aud(9)),
            Recipe.PLATFORM_FEE,
            {A.PLATFORM_FEES: 141, A.GST_ON_FEES: 9, A.PLATFORM_PAYABLE: -150},
        ),
        (
            recipes.charge_settled("pay_1", aud(2_990), aud(81)),
            Recipe.CHARGE_SETTLED,
            {A.PROCESSOR_CLEARING: 2_909, A.PROCESSOR_FEES: 81, A.RECEIVABLE: -2_990},
        ),
        (
            recipes.charge_settled("pay_2", aud(2_990), aud(0)),
            Recipe.CHARGE_SETTLED,
            {A.PROCESSOR_CLEARING: 2_990, A.RECEIVABLE: -2_990},
        ),
        (
            recipes.refund("ret_1", aud(1_000), aud(0)),
            Recipe.REFUND,
            {A.RECEIVABLE: 1_000, A.PROCESSOR_CLEARING: -1_000},
        ),
        (
            recipes.dispute("ret_2", aud(2_990), aud(2_500)),
            Recipe.DISPUTE,
            {A.RECEIVABLE: 2_990, A.PROCESSOR_FEES: 2_500, A.PROCESSOR_CLEARING: -5_490},
        ),
        (recipes.bank_refund("ret_3", aud(500)), Recipe.BANK_REFUND, {A.RECEIVABLE: 500, A.BANK: -500}),
        (recipes.desk_bounced("ret_4", aud(500)), Recipe.DESK_BOUNCED, {A.RECEIVABLE: 500, A.DESK: -500}),
        (
            recipes.processor_fee("txn_1", aud(300)),
            Recipe.PROCESSOR_FEE,
            {A.PROCESSOR_FEES: 300, A.PROCESSOR_CLEARING: -300},
        ),
        (recipes.payout("po_1", aud(9_000)), Recipe.PAYOUT, {A.BANK: 9_000, A.PROCESSOR_CLEARING: -9_000}),
        (
            recipes.payout_failed("po_1", aud(9_000)),
            Recipe.PAYOUT_FAILED,
            {A.BANK: -9_000, A.PROCESSOR_CLEARING: 9_000},
        ),
    ],
)
def test_each_event_has_its_accounts(entry: Entry, recipe: Recipe, legs: dict[Account, int]) -> None:
    """The patient is credited with the gross amount, fees stand apart, and no leg is zero."""
    assert entry.recipe is recipe
    assert {leg.account: leg.amount.cents for leg in entry.legs} == legs
    assert len(entry.legs) == len(legs)


@given(AMOUNTS, st.integers(min_value=0, max_value=10_000), st.sampled_from([A.MEMBERSHIP_INCOME, A.INSTALMENT_INCOME]))
def test_every_entry_balances(cents: int, fee: int, income: Account) -> None:
    """Also a fee above the amount, and no fee at all; a leg of nothing is left out."""
    amount, cost = aud(cents), aud(fee)
    entries = [
        recipes.invoice_issued("a", {income: amount}),
        recipes.invoice_cancelled("a", {income: amount}),
        recipes.credit_note("i", {income: amount}),
        recipes.credit_note_cancelled("i", {income: amount}),
        recipes.return_undone("g", amount, cost),
        recipes.platform_fee("b", amount, min(cost, amount)),
        recipes.payout_failed("f", amount),
        recipes.charge_settled("b", amount, cost),
        recipes.desk_payment("j", amount),
        recipes.refund("c", amount, cost),
        recipes.dispute("d", amount, cost),
        recipes.bank_refund("h", amount),
        recipes.desk_bounced("k", amount),
        recipes.processor_fee("e", amount),
        recipes.payout("f", amount),
    ]

    for entry in entries:
        assert sum(leg.amount.cents for leg in entry.legs) == 0
        assert all(leg.amount for leg in entry.legs)
    assert {entry.recipe for entry in entries} == set(Recipe)


@given(AMOUNTS, st.integers(min_value=0, max_value=10_000))
def test_a_payment_given_back_leaves_the_member_owing_again(cents: int, fee: int) -> None:
    """Invoice, payment and dispute together: the debt is there again, and the fees are what it cost."""
    balance = dict.fromkeys(Account, 0)
    for entry in (
        recipes.invoice_issued("inv", {A.MEMBERSHIP_INCOME: aud(cents)}),
        recipes.charge_settled("pay", aud(cents), aud(fee)),
        recipes.dispute("ret", aud(cents), aud(fee)),
    ):
        for leg in entry.legs:
            balance[leg.account] += leg.amount.cents

    assert balance[A.RECEIVABLE] == cents
    assert balance[A.PROCESSOR_FEES] == 2 * fee
    assert balance[A.PROCESSOR_CLEARING] == -2 * fee


@pytest.mark.parametrize(
    "legs",
    [
        (Leg(A.BANK, aud(1)), Leg(A.PROCESSOR_CLEARING, aud(-2))),
        (Leg(A.BANK, aud(1)), Leg(A.PROCESSOR_CLEARING, Money(-1, "gbp"))),
        (Leg(A.BANK, aud(1)),),
        (),
    ],
)
def test_an_entry_that_does_not_balance_cannot_be_made(legs: tuple[Leg, ...]) -> None:
    """One cent off, two currencies, a single leg, or none."""
    with pytest.raises(InvariantBroken, match="po_1 does not balance"):
        Entry(Recipe.PAYOUT, "po_1", legs)
