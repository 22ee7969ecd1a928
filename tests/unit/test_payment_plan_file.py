"""Files of payment plans: how many instalments a row says are left."""

from __future__ import annotations

import io
from datetime import date

import pytest

from connector.billing.intake.csv_rows import RefusedRow
from connector.billing.intake.payment_plan_file import PaymentPlanFileRules, PaymentPlanRow, read_payment_plan_file
from connector.billing.policy import BillingPolicy

RULES = PaymentPlanFileRules(date(2026, 9, 1), "aud", BillingPolicy())


def row_with(left: str) -> PaymentPlanRow | RefusedRow:
    """The one row of a file that says so."""
    header = "id,member,total,paid,instalments_left,frequency,next_due"
    content = f"{header}\nE-1,M-0,1200.00,0.00,{left},weekly,2026-10-01\n"
    (row,) = read_payment_plan_file(io.BytesIO(content.encode()), RULES)
    return row


@pytest.mark.parametrize("left", ["1", "12", "012", " 260 "])
def test_the_instalments_left_are_read_as_the_number_that_stands_there(left: str) -> None:
    """One to the most that a plan may have."""
    row = row_with(left)

    assert isinstance(row, PaymentPlanRow)
    assert row.rest.count == int(left)


@pytest.mark.parametrize("left", ["", "0", "-1", "261", "0012", "000012", "1e2", "2.5", "１２", "9" * 5_000])
def test_any_other_number_of_instalments_is_refused(left: str) -> None:
    """None of it is read in part: 000012 is not 1."""
    row = row_with(left)

    assert isinstance(row, RefusedRow)
    assert (row.column, row.reason) == ("instalments_left", "This is not a number from 1 to 260.")
