"""Rows of people who were members elsewhere: what their further columns may hold, alone and together."""

from __future__ import annotations

import csv
import io
from datetime import date

import pytest

from connector.billing.agreements.schedule import Frequency
from connector.billing.intake.csv_rows import RefusedRow
from connector.billing.intake.member_cells import MemberFileRules, MemberRow
from connector.billing.intake.member_file import read_member_file
from connector.billing.offers.plan_terms import terms_of

TODAY = date(2026, 11, 21)
PLANS = {
    "": terms_of({"prices": {"monthly": 2_990, "weekly": 690}}),
    "Kids": terms_of({"prices": {"monthly": 990}, "max_age": 12}),
}
ADOPTING = MemberFileRules(TODAY, frozenset([Frequency.MONTHLY, Frequency.WEEKLY]), plans=PLANS)


def read(content: str, rules: MemberFileRules) -> list[MemberRow | RefusedRow]:
    return list(read_member_file(io.BytesIO(content.encode()), rules))


def adopted(**cells: str) -> list[MemberRow | RefusedRow]:
    """What becomes of one row that names a payment method, but for these cells."""
    values = {"id": "7", "given_name": "Ada", "family_name": "Nguyen", "stripe_payment_method": "pm_1", **cells}
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([values.keys(), values.values()])
    return read(out.getvalue(), ADOPTING)


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("price", "0", "above zero"),
        ("price", "-5", "above zero"),
        ("price", "0.49", "Less than 0.50 cannot be charged"),
        ("price", "9.995", "not an amount in whole cents"),
        ("price", "1000000.00", "up to 999999.99"),
        ("price", "$9", "not an amount"),
        ("currency", "nzd", "charges in AUD"),
        ("balance", "-0.50", "credit"),
        ("balance", "0.49", "cannot be charged"),
        ("balance", "1.234", "not an amount"),
        ("plan", "Platinum", "no plan of that name"),
        ("frequency", "annually", "not offered annually"),
        ("next_due", "2027-11-23", "more than a year ahead"),
        ("next_due", "2036-12-01", "more than a year ahead"),
        ("cycle_from", "2026-11-01", "fill in next_due"),
        ("member_since", "2026-11-22", "in the future"),
        ("lock_in_until", "2037-01-01", "more than ten years ahead"),
        ("stripe_customer", "pm_1", "start with cus_"),
        ("stripe_customer", "cus_1 or cus_2", "start with cus_"),
        ("stripe_customer", "cus_", "start with cus_"),
        ("stripe_mandate", "man_1", "start with mandate_"),
        ("holder", "7", "names itself"),
        ("gender", "=f", "formula"),
    ],
)
def test_a_bad_cell_of_an_adopted_member_refuses_its_row(column: str, cell: str, reason: str) -> None:
    """Amounts, dates, plans and ids at Stripe are checked before anything of the row is kept."""
    (row,) = adopted(**{column: cell})

    assert isinstance(row, RefusedRow)
    assert (row.line, row.column) == (2, column)
    assert reason in row.reason
    assert cell not in row.reason or cell in ("annually", "0", "7", "pm_1", "cus_")


@pytest.mark.parametrize(
    ("cells", "column", "reason"),
    [
        ({"start_date": "2026-12-01", "next_due": "2026-12-01"}, "next_due", "mean the same"),
        ({"next_due": "2026-12-01", "cycle_from": "2026-11-30"}, "cycle_from", "Nothing falls due"),
        ({"next_due": "2026-12-01", "cycle_from": "2026-12-02"}, "cycle_from", "on or before"),
        (
            {"stripe_payment_method": "", "stripe_mandate": "mandate_1", "email": "a@b.example"},
            "stripe_mandate",
            "bank",
        ),
        ({"plan": "Kids", "date_of_birth": "2010-01-01"}, "date_of_birth", "ages 0 to 12"),
        ({"plan": "Kids"}, "date_of_birth", "enter the date of birth"),
        ({"holder": "8"}, "stripe_payment_method", "account holder pays"),
        ({"holder": "8", "stripe_payment_method": "", "balance": "5"}, "balance", "account holder pays"),
        ({"holder": "8", "stripe_payment_method": "", "next_due": "2026-12-01"}, "next_due", "account holder pays"),
        ({"plan": "none", "price": "5"}, "price", "no membership"),
        ({"plan": "none", "holder": "8"}, "holder", "no membership"),
        ({"stripe_payment_method": ""}, "email", "needed for the invitation"),
    ],
)
def test_cells_that_do_not_fit_together_refuse_their_row(cells: dict[str, str], column: str, reason: str) -> None:
    """The place that is named is the one to correct."""
    (row,) = adopted(**cells)

    assert isinstance(row, RefusedRow)
    assert row.column == column
    assert reason in row.reason


def test_a_dependents_part_may_be_less_than_can_be_charged_alone() -> None:
    """The household is charged as one; the holder's own part is not that small."""
    (row,) = read("id,given_name,family_name,holder,price\n8,Bea,Nguyen,7,0.30\n", ADOPTING)

    assert isinstance(row, MemberRow)
    assert row.price_cents == 30


def test_an_adopted_member_brings_all_that_goes_on() -> None:
    """What somebody pays, since when and until when, with what, and what is owed."""
    (row,) = adopted(
        plan="Kids",
        date_of_birth="2010-01-01",
        member_since="2020-02-29",
        price="4.50",
        currency="AUD",
        next_due="2026-11-30",
        cycle_from="2026-01-31",
        lock_in_until="2027-01-31",
        balance="12.30",
        gender="f",
        stripe_customer="cus_1",
        phone="'+61 412 345 678",
    )

    assert isinstance(row, MemberRow)
    assert (row.plan, row.price_cents, row.balance_cents, row.gender) == ("Kids", 450, 1_230, "f")
    assert (row.start_date, row.cycle_from) == (date(2026, 11, 30), date(2026, 1, 31))
    assert (row.member_since, row.lock_in_until) == (date(2020, 2, 29), date(2027, 1, 31))
    assert (row.processor_customer_id, row.phone) == ("cus_1", "+61412345678")
    assert row.was_member


@pytest.mark.parametrize("holder", ["8", ""])
def test_who_is_paid_for_or_only_pays_needs_no_email(holder: str) -> None:
    """Nobody invites them."""
    (row,) = adopted(stripe_payment_method="", holder=holder, plan="" if holder else "none")

    assert isinstance(row, MemberRow)
    assert row.is_member == bool(holder)


def test_a_row_without_any_plan_is_refused() -> None:
    """Neither the row nor the command names one."""
    (row,) = read("given_name,family_name\nAda,Nguyen\n", MemberFileRules(TODAY, frozenset(), email_needed=False))

    assert isinstance(row, RefusedRow)
    assert (row.column, "--plan" in row.reason) == ("plan", True)
