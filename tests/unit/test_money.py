"""Money: whole cents that are never lost, whatever they are divided by."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import DomainError
from connector.money import CENTS_MAX, Money, total

CENTS = st.integers(min_value=-CENTS_MAX, max_value=CENTS_MAX)
RATES = st.decimals(min_value=0, max_value=100, places=2)


def aud(cents: int) -> Money:
    return Money(cents, "aud")


@given(CENTS, st.integers(min_value=1, max_value=400))
def test_the_parts_of_a_split_add_up_to_the_whole(cents: int, parts: int) -> None:
    """No cent is lost or made by dividing."""
    shares = aud(cents).split(parts)

    assert len(shares) == parts
    assert total(shares, "aud") == aud(cents)


@given(CENTS, st.integers(min_value=1, max_value=400))
def test_a_split_is_equal_but_for_the_last_part(cents: int, parts: int) -> None:
    """The remainder is on the last part, is smaller than one cent per part, and has the sign of the whole."""
    *equal, last = aud(cents).split(parts)

    each = equal[0].cents if equal else cents
    assert all(share.cents == each for share in equal)
    assert abs(last.cents - each) < parts
    assert abs(last.cents) >= abs(each)


@pytest.mark.parametrize(
    ("whole", "parts", "expected"),
    [
        (100_000, 3, [33_333, 33_333, 33_334]),
        (123_457, 10, [12_345] * 9 + [12_352]),
        (500, 7, [71] * 6 + [74]),
        (-1_000, 3, [-333, -333, -334]),
        (2, 3, [0, 0, 2]),
        (1, 1, [1]),
    ],
)
def test_a_split_gives_the_agreed_instalments(whole: int, parts: int, expected: list[int]) -> None:
    """Worked examples, among them a refund and a total with less than a cent per part."""
    assert [share.cents for share in aud(whole).split(parts)] == expected


@pytest.mark.parametrize("parts", [0, -1])
def test_nothing_can_be_split_into_no_parts(parts: int) -> None:
    """Dividing by nothing is a mistake of the program."""
    with pytest.raises(ValueError, match="at least one part"):
        aud(100).split(parts)


@pytest.mark.parametrize(
    ("rate", "cents", "expected"),
    [
        ("10", 1_995, 200),
        ("12.5", 1_020, 128),
        ("1.75", 4_999, 87),
        ("10", 5, 1),
        ("10", 4, 0),
        ("10", -5, -1),
        ("0", 4_999, 0),
        ("100", 4_999, 4_999),
    ],
)
def test_a_percentage_is_rounded_half_up_to_a_cent(rate: str, cents: int, expected: int) -> None:
    """Half a cent goes away from zero, never to the nearest even cent."""
    assert aud(cents).percent(Decimal(rate)) == aud(expected)


@given(CENTS, RATES)
def test_a_percentage_is_within_half_a_cent_of_the_exact_value(cents: int, rate: Decimal) -> None:
    """Rounding happens once; a refund is rounded like the charge that it takes back."""
    share = aud(cents).percent(rate)

    assert abs(Decimal(share.cents) - Decimal(cents) * rate / 100) <= Decimal("0.5")
    assert (-aud(cents)).percent(rate) == -share


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("20", 2_000),
        ("20.5", 2_050),
        ("20.50", 2_050),
        (" 20.50 ", 2_050),
        ("0.07", 7),
        ("007", 700),
        ("-20.50", -2_050),
        ("-0", 0),
        ("999999.99", CENTS_MAX),
        ("-999999.99", -CENTS_MAX),
    ],
)
def test_an_amount_is_read_exactly(text: str, cents: int) -> None:
    """Whole dollars, or dollars with one or two decimals."""
    assert Money.parse(text, "aud") == aud(cents)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1e9",
        "20.505",
        "٢٠",
        "２０",
        "20,50",
        "1,000",
        "$20",
        "+20",
        "20.",
        ".50",
        "--1",
        "- 1",
        "0x10",
        "1_000",
        "NaN",
    ],
)
def test_what_is_not_an_amount_is_refused_with_an_example(text: str) -> None:
    """A guess about money would be a wrong charge."""
    with pytest.raises(DomainError, match=r"write it like 20\.50"):
        Money.parse(text, "aud")


@pytest.mark.parametrize("text", ["1000000", "1000000.00", "-1000000", "999999999"])
def test_an_amount_above_the_limit_of_a_charge_is_refused(text: str) -> None:
    """Eight digits are the most that one charge can carry."""
    with pytest.raises(DomainError, match=r"too large: the limit is 999,999\.99"):
        Money.parse(text, "aud")


@given(CENTS)
def test_an_amount_survives_being_written_and_read(cents: int) -> None:
    """`decimal` has exactly two decimals and is read back as the same amount."""
    written = aud(cents).decimal

    assert written[-3] == "."
    assert Money.parse(written, "aud") == aud(cents)


def test_an_amount_is_shown_with_its_currency() -> None:
    """For sentences; the ledger form is `decimal`."""
    assert str(aud(-5)) == "-0.05 AUD"
    assert aud(0).decimal == "0.00"


@given(CENTS, CENTS)
def test_amounts_of_one_currency_are_added_and_compared_like_their_cents(left: int, right: int) -> None:
    """Money behaves as the integers that it is made of."""
    assert aud(left) + aud(right) == aud(left + right)
    assert aud(left) - aud(right) == aud(left - right)
    assert (aud(left) < aud(right)) == (left < right)
    assert bool(aud(left)) == (left != 0)


def test_amounts_of_two_currencies_never_meet() -> None:
    """Neither added, subtracted, compared, nor totalled."""
    dollars, pounds = aud(100), Money(100, "gbp")

    for combine in (
        lambda: dollars + pounds,
        lambda: dollars - pounds,
        lambda: dollars < pounds,
        lambda: total([dollars, pounds], "aud"),
    ):
        with pytest.raises(ValueError, match="aud and gbp cannot be combined"):
            combine()
    assert dollars != pounds


@pytest.mark.parametrize("cents", [1.0, "1", True, None, Decimal(1)])
def test_only_whole_cents_are_money(cents: object) -> None:
    """A float would carry its rounding error into the books."""
    with pytest.raises(TypeError, match="whole cents"):
        Money(cents, "aud")  # type: ignore[arg-type]


@pytest.mark.parametrize("currency", ["", "AUD", "au", "audx", "a1d", "aü€", "au "])
def test_a_currency_is_three_lower_case_letters(currency: str) -> None:
    """As Stripe writes them."""
    with pytest.raises(ValueError, match="three lower-case letters"):
        Money(1, currency)
