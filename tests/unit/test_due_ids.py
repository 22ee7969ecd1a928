"""What falls due has the same ids whenever and wherever it is decided on."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.due_ids import NUMBERS_MAX, attempt_id, charge_id, invoice_id
from connector.errors import InvariantBroken
from connector.ledger.write_back.reference import is_ours, payment_reference

days = st.dates(min_value=date(2020, 1, 1), max_value=date(2100, 1, 1))
keys = st.tuples(
    st.sampled_from(["con_A", "con_B", "pp_A"]), st.sampled_from(["membership", "exit"]), st.integers(0, 99)
)


@given(key=keys, other=keys, due=days)
def test_an_amount_has_one_id_and_no_two_amounts_share_one(
    key: tuple[str, str, int], other: tuple[str, str, int], due: date
) -> None:
    assert (invoice_id(*key, due) == invoice_id(*other, due)) == (key == other)


@given(due=days, later=st.integers(1, 1000))
def test_ids_of_later_days_come_later(due: date, later: int) -> None:
    assert invoice_id("con_B", "membership", 0, due) < invoice_id("con_A", "exit", 0, due + timedelta(days=later))


@given(due=days, numbers=st.lists(st.integers(1, NUMBERS_MAX), min_size=2, max_size=2, unique=True))
def test_payment_objects_and_tries_are_numbered_in_order(due: date, numbers: list[int]) -> None:
    first, second = sorted(numbers)
    invoice = invoice_id("con_A", "membership", 3, due)
    assert charge_id(invoice, first) < charge_id(invoice, second)
    charge = charge_id(invoice, first)
    assert attempt_id(charge, first) < attempt_id(charge, second)


def test_ids_look_like_all_others_and_make_a_reference() -> None:
    invoice = invoice_id("con_A", "membership", 0, date(2026, 9, 1))
    charge = charge_id(invoice, 1)
    assert re.fullmatch(r"inv_[0-9A-HJKMNP-TV-Z]{20}", invoice)
    assert re.fullmatch(r"ch_[0-9A-HJKMNP-TV-Z]{20}", charge)
    assert is_ours(payment_reference(charge))
    assert attempt_id(charge, 12) == f"att_{charge.removeprefix('ch_')}0C"


@pytest.mark.parametrize("number", [0, -1, NUMBERS_MAX + 1])
def test_a_number_without_room_is_refused(number: int) -> None:
    with pytest.raises(InvariantBroken):
        attempt_id("ch_A", number)
