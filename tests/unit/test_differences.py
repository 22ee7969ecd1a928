"""Comparing books: equal ones have no difference, and each disagreement is named once, with its cents."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector import ids
from connector.billing.processor import Movement
from connector.ledger.write_back.reference import payment_reference, reversal_reference
from connector.money import Money
from connector.pms_adapters.records import PmsEntry
from connector.reconciliation.differences import (
    NEXT_STEP,
    DifferenceKind,
    Recorded,
    Written,
    compare_with_pms,
    compare_with_stripe,
    undone_returns,
)

K = DifferenceKind
DAY = date(2026, 11, 21)
OTHER_DAY = date(2026, 11, 20)
INSTANT = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
with ids.seeded(5):
    REFERENCES = [payment_reference(ids.new_id("ch")) for _ in range(12)]


def aud(cents: int) -> Money:
    return Money(cents, "aud")


def written(number: int, cents: int = 2_990, day: date = DAY) -> Written:
    return Written(REFERENCES[number], str(500 + number), str(1_000 + number), aud(cents), day)


def entry(row: Written, **other: object) -> PmsEntry:
    """The entry that a write-back has made, with what differs."""
    fields: dict[str, object] = {
        "id": row.pms_entry_id,
        "patient_id": row.patient_id,
        "amount": row.amount,
        "entry_date": row.entry_date,
        "references": frozenset({row.reference}),
    }
    return PmsEntry(**{**fields, **other})  # type: ignore[arg-type]


def movement(source: str, cents: int, fee: int = 0, kind: str = "charge", location: str | None = "loc_1") -> Movement:
    return Movement(f"txn_{source}_{kind}", kind, source, aud(cents), aud(fee), INSTANT, location, None)


AMOUNTS = st.lists(st.integers(min_value=-5_000, max_value=50_000).filter(bool), max_size=len(REFERENCES))


@given(AMOUNTS, st.integers())
def test_equal_books_have_no_difference_in_any_order(amounts: list[int], seed: int) -> None:
    """Entries of others, open write-backs that have arrived already, and the order of the lists do not matter."""
    rows = [written(number, cents) for number, cents in enumerate(amounts)]
    sheet = [entry(row) for row in rows] + [PmsEntry("9", "77", aud(100), DAY, frozenset({"cash", "SP"}))]
    waiting = Written(reversal_reference("ch_" + REFERENCES[0][2:], 1), "", "78", aud(-5), DAY)
    sheet.append(entry(waiting, id="10"))
    neighbour = reversal_reference("ch_" + REFERENCES[1][2:], 1)
    sheet.append(PmsEntry("11", "79", aud(7), DAY, frozenset({neighbour})))
    random.Random(seed).shuffle(sheet)

    assert compare_with_pms(rows, [waiting], [neighbour], sheet, DAY) == []


@given(
    st.lists(
        st.tuples(st.integers(min_value=1, max_value=50_000), st.integers(min_value=0, max_value=500)), max_size=9
    ),
    st.integers(),
)
def test_equal_balances_have_no_difference_in_any_order(payments: list[tuple[int, int]], seed: int) -> None:
    """Payments and refunds, with account fees and payouts in between, which concern no patient."""
    recorded, lines = [], [movement("po_1", -9_000, kind="payout"), movement("fee_1", -300, kind="stripe_fee")]
    for number, (cents, fee) in enumerate(payments):
        recorded += [Recorded(f"ch_{number}", aud(cents), aud(fee)), Recorded(f"re_{number}", aud(-cents), aud(0))]
        lines += [movement(f"ch_{number}", cents, fee), movement(f"re_{number}", -cents, kind="refund")]
    random.Random(seed).shuffle(lines)
    random.Random(seed).shuffle(recorded)

    assert compare_with_stripe(recorded, lines, {line.source_id for line in lines}, ()) == []


ROW = written(0)
TWIN = entry(ROW, id="900")
RETYPED = entry(ROW, references=frozenset())
FOREIGN = PmsEntry("901", "55", aud(400), DAY, frozenset({REFERENCES[11]}))
OPEN = Written(REFERENCES[11], "", "55", aud(400), DAY)


@pytest.mark.parametrize(
    ("rows", "waiting", "sheet", "expected"),
    [
        ([ROW], [], [], [(K.MISSING_IN_PMS, REFERENCES[0], 2_990)]),
        ([ROW], [], [entry(ROW, amount=aud(2_900))], [(K.AMOUNT_DIFFERS_IN_PMS, REFERENCES[0], -90)]),
        ([ROW], [], [entry(ROW, patient_id="55")], [(K.OTHER_PATIENT_IN_PMS, REFERENCES[0], 2_990)]),
        ([written(0, day=OTHER_DAY)], [], [entry(ROW)], [(K.OTHER_DATE_IN_PMS, REFERENCES[0], 2_990)]),
        ([ROW], [], [entry(ROW), TWIN], [(K.DOUBLED_IN_PMS, REFERENCES[0], 2_990)]),
        ([ROW], [], [TWIN, entry(ROW)], [(K.DOUBLED_IN_PMS, REFERENCES[0], 2_990)]),
        ([], [], [FOREIGN], [(K.NOT_EXPECTED_IN_PMS, REFERENCES[11], 400)]),
        ([], [OPEN], [], []),
        ([], [OPEN], [FOREIGN], []),
        ([], [OPEN], [entry(OPEN, amount=aud(40))], [(K.AMOUNT_DIFFERS_IN_PMS, REFERENCES[11], -360)]),
        ([], [OPEN], [entry(OPEN, patient_id="56")], [(K.OTHER_PATIENT_IN_PMS, REFERENCES[11], 400)]),
        ([], [OPEN], [FOREIGN, entry(OPEN, id="902")], [(K.DOUBLED_IN_PMS, REFERENCES[11], 400)]),
        ([ROW], [], [RETYPED], []),
        ([ROW], [], [entry(ROW, id="900")], []),
        ([written(0, day=OTHER_DAY)], [], [], []),
        ([], [], [PmsEntry("9", "77", aud(100), DAY, frozenset({"SPECIAL", "SP-1", REFERENCES[0].lower()}))], []),
    ],
    ids=[
        "missing",
        "amount",
        "patient",
        "date",
        "doubled",
        "doubled, the copy first",
        "not expected",
        "still open, and not there",
        "still open",
        "still open, with another amount",
        "still open, with a stranger",
        "still open, but twice",
        "reference retyped",
        "renumbered",
        "of another day",
        "no reference of ours",
    ],
)
def test_a_difference_with_the_practice_system_is_named_once(
    rows: list[Written],
    waiting: list[Written],
    sheet: list[PmsEntry],
    expected: list[tuple[DifferenceKind, str, int]],
) -> None:
    """Among other rows that agree."""
    agreeing = [written(number) for number in range(1, 5)]

    found = compare_with_pms([*agreeing, *rows], waiting, (), [*sheet, *(entry(row) for row in agreeing)], DAY)

    assert [(difference.kind, difference.subject, difference.cents) for difference in found] == expected


CHARGE = Recorded("ch_1", aud(2_990), aud(81))


@pytest.mark.parametrize(
    ("recorded", "lines", "expected"),
    [
        ([CHARGE], [], [(K.MISSING_AT_STRIPE, "ch_1", 2_990)]),
        ([], [movement("ch_1", 2_990, 81)], [(K.NOT_RECORDED, "ch_1", 2_990)]),
        ([], [movement("re_1", -500, kind="refund")], [(K.NOT_RECORDED, "re_1", -500)]),
        ([CHARGE], [movement("ch_1", 3_000, 81)], [(K.AMOUNT_DIFFERS_AT_STRIPE, "ch_1", 10)]),
        ([CHARGE], [movement("ch_1", 2_990, 80)], [(K.FEE_DIFFERS_AT_STRIPE, "ch_1", -1)]),
        (
            [CHARGE],
            [movement("ch_1", 3_000, 80)],
            [(K.AMOUNT_DIFFERS_AT_STRIPE, "ch_1", 10), (K.FEE_DIFFERS_AT_STRIPE, "ch_1", -1)],
        ),
        (
            [],
            [movement("py_1", 2_990, kind="payment"), movement("py_1", -2_990, kind="payment_failure_refund")],
            [],
        ),
        (
            [CHARGE],
            [
                movement("ch_1", 2_990, 81),
                movement("py_1", 500, kind="payment"),
                movement("py_1", -400, kind="payment_failure_refund"),
            ],
            [(K.NOT_RECORDED, "py_1", 100)],
        ),
        ([], [movement("po_1", -2_990, kind="payout")], []),
    ],
    ids=[
        "missing",
        "not recorded",
        "refund not recorded",
        "amount",
        "fee",
        "amount and fee",
        "a failed debit cancels out",
        "a failed debit that does not quite",
        "a payout is no patient's money",
    ],
)
def test_a_difference_with_stripe_is_named_once(
    recorded: list[Recorded], lines: list[Movement], expected: list[tuple[DifferenceKind, str, int]]
) -> None:
    """With the cents by which the books differ."""
    found = compare_with_stripe(recorded, lines, {line.source_id for line in lines if line.type != "payout"}, ())

    assert [(difference.kind, difference.subject, difference.cents) for difference in found] == expected


def test_what_is_explained_or_of_another_day_is_no_difference_with_stripe() -> None:
    """A debit under way, a payment recorded on another day or elsewhere, and lines that only reach back."""
    lines = [movement("py_1", 2_990, kind="payment"), movement("ch_9", 500), movement("ch_8", 700)]

    assert compare_with_stripe([], lines, {"py_1", "ch_9"}, {"py_1", "ch_9"}) == []


def test_a_debit_is_compared_with_lines_that_are_older_than_its_result() -> None:
    """Recorded today, moved days ago."""
    assert compare_with_stripe([CHARGE], [movement("ch_1", 2_990, 81)], (), ()) == []


def test_a_return_that_was_undone_is_named() -> None:
    """A refund that failed later, and a dispute that was won; a dispute's withdrawal is none."""
    lines = [
        movement("re_1", 500, kind="refund_failure"),
        movement("dp_1", 900, kind="adjustment"),
        movement("dp_2", -900, kind="adjustment"),
    ]

    found = undone_returns(lines)

    assert [(item.kind, item.subject, item.cents) for item in found] == [
        (K.RETURN_UNDONE, "re_1", 500),
        (K.RETURN_UNDONE, "dp_1", 900),
    ]


def test_every_kind_of_difference_tells_what_to_do() -> None:
    """A sentence each."""
    assert set(NEXT_STEP) == set(DifferenceKind)
    assert all(step.endswith(".") for step in NEXT_STEP.values())


def test_no_detail_names_a_person() -> None:
    """Details name entries by their number; the patient stands in the practice system."""
    (found,) = compare_with_pms([ROW], [], (), [entry(ROW, patient_id="55")], DAY)

    assert "55" not in found.detail
    assert ROW.patient_id not in found.detail


def test_an_entry_that_we_do_not_know_may_be_known_to_another_installation() -> None:
    """Both may write to one practice system, so nobody is told to remove it at once."""
    advice = NEXT_STEP[K.NOT_EXPECTED_IN_PMS]

    assert "an earlier installation or another one that shares the practice system" in advice
    assert "remove it only if nobody knows it" in advice
