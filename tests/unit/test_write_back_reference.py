"""Our mark on entries: never longer than the field, never the same for two entries, and recognised as ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector import ids
from connector.errors import InvariantBroken
from connector.ledger.write_back.reference import (
    PEOPLE_MAX,
    is_ours,
    payment_reference,
    reversal_reference,
    undone_reference,
)

with ids.seeded(7):
    CHARGE = ids.new_id("ch")
FIRST = payment_reference(CHARGE)


def test_each_entry_of_a_payment_has_a_mark_of_its_own() -> None:
    """Of every person of the invoice: the payment, its reversals, and each of those undone; 25 characters at most."""
    marks = []
    for person in range(PEOPLE_MAX):
        payment = payment_reference(CHARGE, person)
        returns = [reversal_reference(payment, number) for number in range(1, 36)]
        marks += [payment, *returns, *map(undone_reference, returns)]

    assert len(set(marks)) == len(marks) == PEOPLE_MAX * 71
    assert max(map(len, marks)) == 25
    assert all(map(is_ours, marks))


@pytest.mark.parametrize(
    ("reversal", "undone"),
    [
        (f"{FIRST}R1", f"{FIRST}U1"),
        (f"{FIRST}R12", f"{FIRST}U12"),
        (f"{FIRST}BR1", f"{FIRST}BU1"),
        (f"{FIRST}CRR", f"{FIRST}CUR"),
    ],
)
def test_what_undoes_a_reversal_is_marked_like_it(reversal: str, undone: str) -> None:
    """With U instead of R; the number after it may be an R itself."""
    assert undone_reference(reversal) == undone


@pytest.mark.parametrize(
    "text", ["", "SP", FIRST[:-1], f"{FIRST}R", f"{FIRST}R0", f"{FIRST}U", f"{FIRST}U0", f"{FIRST}BR"]
)
def test_what_only_looks_like_our_mark_is_not_ours(text: str) -> None:
    """Staff may type anything into the field."""
    assert not is_ours(text)


def test_more_than_can_be_told_apart_is_refused() -> None:
    """Rather than using a mark twice."""
    with pytest.raises(InvariantBroken, match="more than"):
        payment_reference(CHARGE, PEOPLE_MAX)
    for payment, most in ((FIRST, 99), (f"{FIRST}B", 35)):
        assert is_ours(reversal_reference(payment, most))
        with pytest.raises(InvariantBroken, match="more often"):
            reversal_reference(payment, most + 1)


@given(st.integers(min_value=0), st.integers(0, PEOPLE_MAX - 1))
def test_the_mark_of_any_charge_is_ours(seed: int, person: int) -> None:
    """Whatever id the charge has."""
    with ids.seeded(seed):
        assert is_ours(payment_reference(ids.new_id("ch"), person))
