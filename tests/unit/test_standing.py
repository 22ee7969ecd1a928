"""What stands of a payment, whatever is refunded and moved to other patients."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.reference import is_ours, undone_reference
from connector.ledger.write_back.states import WriteBackState
from connector.use_cases.returns.standing import Standing


@given(
    st.lists(
        st.one_of(st.tuples(st.just("refund"), st.integers(1, 5_000)), st.tuples(st.just("move"), st.just(0))),
        max_size=12,
    )
)
def test_whatever_is_refunded_and_moved_the_marks_differ_and_one_patient_has_the_rest(
    steps: list[tuple[str, int]],
) -> None:
    """Each move takes out all that stands, each refund is taken from the entry that stands then."""
    original = entry("SP" + "0" * 20, Leg.PAYMENT, 5_000, "first")
    standing = Standing(original, [], [], [])
    for number, (what, cents) in enumerate(steps):
        left = standing.left
        taken = left if what == "move" else min(cents, left)
        if not taken:
            continue
        over = standing.entry_over(taken)
        out = entry(standing.next_reversal, Leg.REVERSAL, taken, standing.place(over), over)
        standing = replace(standing, reversed=[*standing.reversed, out])
        if what == "move":
            back = entry(undone_reference(out.reference), Leg.PAYMENT, taken, f"patient {number}")
            standing = replace(standing, moved=[*standing.moved, back])

        sums: Counter[str | None] = Counter()
        for row in standing.rows:
            sums[standing.place(row)] += row.signed.cents
        marked = [row.reference for row in standing.rows]
        assert len(set(marked)) == len(marked)
        assert all(is_ours(mark) and len(mark) <= 25 for mark in marked)
        assert {place for place, rest in sums.items() if rest} <= {standing.place(standing.base)}
        assert standing.left == sum(sums.values()) >= 0


def entry(reference: str, leg: Leg, cents: int, patient: str | None, over: WriteBack | None = None) -> WriteBack:
    """A write-back that is proven to stand with that patient."""
    return WriteBack(
        id=f"wb {reference}",
        reference=reference,
        leg=leg,
        amount_cents=cents,
        currency="aud",
        state=WriteBackState.CONFIRMED,
        sent_to_patient_id=patient,
        pms_patient_id=patient,
        reverses_id=over.id if over else None,
    )
