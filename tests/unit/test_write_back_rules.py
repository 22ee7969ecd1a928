"""The pure rules of write-backs: what a look proves, what follows from it, and which steps there are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import connector.use_cases.tables  # noqa: F401  (a row can be made only once all models are known)
from connector.errors import (
    AccessDenied,
    EdgeError,
    InvariantBroken,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    UnexpectedResponse,
    Unsupported,
)
from connector.ledger.write_back import outcome
from connector.ledger.write_back.evidence import Evidence, Finding, Sought, judge
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.states import ABSENT, STEPS, WAITING, WriteBackState, check_step
from connector.money import Money
from connector.pms_adapters.open_dental.manifest import MANIFEST
from connector.pms_adapters.records import PmsEntry

S = WriteBackState
NOW = datetime(2026, 9, 1, tzinfo=UTC)
DAY = date(2026, 9, 1)
OURS = "SP00000000000000000001"

references = st.frozensets(st.sampled_from([OURS, "SP00000000000000000002", "cash", OURS.lower(), OURS + "R1"]))
entries = st.lists(
    st.builds(
        PmsEntry,
        id=st.integers(1, 40).map(str),
        patient_id=st.sampled_from(["1", "2"]),
        amount=st.sampled_from([2_990, -2_990, 100]).map(lambda cents: Money(cents, "aud")),
        entry_date=st.sampled_from([DAY, DAY + timedelta(days=1)]),
        references=references,
    ),
    max_size=6,
    unique_by=lambda entry: entry.id,
)
seekers = st.builds(
    Sought,
    reference=st.just(OURS),
    patient_id=st.just("1"),
    amount=st.just(Money(2_990, "aud")),
    entry_date=st.just(DAY),
    baseline=st.frozensets(st.integers(1, 40).map(str)),
    foreign_ids=st.frozensets(st.integers(1, 40).map(str), max_size=3),
)
open_rows = st.builds(
    lambda state, attempts, looks, failed, linked: WriteBack(
        id="wb_1",
        state=state,
        attempts=attempts,
        looks=looks,
        failed_looks=failed,
        sent_at=NOW,
        pms_patient_id="1" if linked else None,
        sent_to_patient_id="1",
    ),
    state=st.sampled_from([S.ACCEPTED, S.UNKNOWN]),
    attempts=st.integers(1, 8),
    looks=st.integers(0, 5),
    failed=st.integers(0, 20),
    linked=st.booleans(),
)


@given(seekers, entries)
def test_only_our_reference_at_the_right_patient_and_amount_proves_an_entry(
    sought: Sought, found: list[PmsEntry]
) -> None:
    """Present means exactly one entry with our whole reference, and it says what we sent."""
    evidence = judge(sought, found)

    carriers = [entry for entry in found if OURS in entry.references]
    fits = [e for e in carriers if (e.patient_id, e.amount) == (sought.patient_id, sought.amount)]
    assert (evidence.finding is Finding.PRESENT) == (len(carriers) == 1 and fits == carriers)
    if evidence.finding is Finding.PRESENT:
        assert evidence.entry_id == fits[0].id


@given(seekers, entries)
def test_absent_means_that_nothing_there_could_be_ours(sought: Sought, found: list[PmsEntry]) -> None:
    """Neither our reference nor a new entry of that patient, amount and day that belongs to nobody else."""
    evidence = judge(sought, found)

    suspects = [
        entry
        for entry in found
        if (entry.patient_id, entry.amount, entry.entry_date) == ("1", sought.amount, DAY)
        and entry.id not in sought.baseline
        and entry.id not in sought.foreign_ids
    ]
    if evidence.finding is Finding.ABSENT:
        assert suspects == []
        assert not any(OURS in entry.references for entry in found)
    if evidence.finding is Finding.AMBIGUOUS:
        assert evidence.doubt
    elif suspects:
        assert evidence.finding is Finding.PRESENT


@given(seekers, entries.flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_the_order_of_entries_does_not_matter(sought: Sought, orders: tuple[list[PmsEntry], list[PmsEntry]]) -> None:
    """The same entries in another order prove the same."""
    assert judge(sought, orders[0]) == judge(sought, orders[1])


@given(open_rows)
def test_a_row_is_sent_again_only_after_enough_complete_looks_at_an_unknown_outcome(row: WriteBack) -> None:
    """What was accepted is never sent again, and one look is never enough."""
    change = outcome.absent(row, MANIFEST, NOW)

    if change.after is S.QUEUED:
        assert row.state is S.UNKNOWN
        assert row.looks + 1 >= outcome.LOOKS_NEEDED
        assert row.attempts < outcome.ATTEMPTS_MAX
        assert row.pms_patient_id is not None
    if change.after is None:
        assert change.columns["looks"] == row.looks + 1
        assert change.columns["next_attempt_at"] >= NOW + MANIFEST.settle_window
    else:
        check_step(row.state, change.after)


@pytest.mark.parametrize(("length", "held"), [(0, True), (21, True), (22, False), (25, False)])
def test_a_reference_that_cannot_be_kept_whole_makes_it_a_persons_case(length: int, held: bool) -> None:
    """Nothing could be proven afterwards, so nothing is sent."""
    row = WriteBack(id="wb_1", reference="SP" + "7" * 20, state=WriteBackState.QUEUED)

    change = outcome.unmarkable(row, replace(MANIFEST, reference_length=length))

    assert (change is not None and change.after is WriteBackState.HELD) is held


@given(open_rows, st.sampled_from(list(Finding)))
def test_a_finding_leads_to_a_step_of_the_table(row: WriteBack, finding: Finding) -> None:
    """Present confirms with the number, ambiguous holds with the doubt, absent decides nothing."""
    change = outcome.found(row, Evidence(finding, "7", "Check it."), NOW)

    if finding is Finding.ABSENT:
        assert change is None
        return
    assert change is not None
    assert change.after is (S.CONFIRMED if finding is Finding.PRESENT else S.HELD)
    check_step(row.state, change.after)


@given(open_rows)
def test_a_failed_look_never_sends_and_never_counts_as_a_look(row: WriteBack) -> None:
    """It leads at most to a person."""
    change = outcome.look_failed(row, OutcomeUnknown("No answer."), NOW)

    assert change.after in (None, S.HELD)
    assert "looks" not in change.columns
    if change.after is S.HELD:
        assert row.state is S.UNKNOWN
        assert row.failed_looks + 1 >= outcome.FAILED_LOOKS_MAX


@pytest.mark.parametrize(
    ("error", "after", "counts"),
    [
        (NotSent("x"), S.QUEUED, False),
        (AccessDenied("x"), S.QUEUED, False),
        (Rejected("x"), S.REJECTED, True),
        (Unsupported("x"), S.REJECTED, True),
        (OutcomeUnknown("x"), S.UNKNOWN, True),
        (UnexpectedResponse("x"), S.UNKNOWN, True),
        (RateLimited("x"), S.UNKNOWN, True),
        (EdgeError("x"), S.UNKNOWN, True),
    ],
)
def test_the_class_of_an_error_decides_what_becomes_of_a_write(
    error: EdgeError, after: WriteBackState, counts: bool
) -> None:
    """Only what certainly changed nothing goes back to the queue, and does not count as an attempt."""
    row = WriteBack(id="wb_1", state=S.SENDING, attempts=3, sent_at=NOW)

    change = outcome.refused(row, error, MANIFEST, NOW)

    assert change.after is after
    assert change.columns.get("attempts", 3) == (3 if counts else 2)
    check_step(S.SENDING, after)
    if after is S.UNKNOWN:
        assert change.columns["next_attempt_at"] == NOW + MANIFEST.call_deadline + MANIFEST.settle_window


@given(st.integers(-3, 10_000))
def test_pauses_grow_to_an_hour(times: int) -> None:
    """Never shorter than the pause before, never more than an hour."""
    assert timedelta(minutes=1) <= outcome.pause(times) <= outcome.pause(times + 1) <= timedelta(hours=1)


def test_every_state_can_be_reached_and_every_waiting_one_can_be_confirmed() -> None:
    """From the two states in which rows begin; only confirmed is an end."""
    assert _reachable(S.UNLINKED) == set(S)
    for state in WAITING:
        assert S.CONFIRMED in _reachable(state)
    assert [state for state in S if not STEPS[state]] == [S.CONFIRMED]
    assert set(WAITING) | {S.CONFIRMED, S.RECORDED} == set(S)


def test_what_may_have_arrived_cannot_be_sent_or_recorded_directly() -> None:
    """Between a request and the next one there is always a look or a person."""
    assert {state for state in S if S.SENDING in STEPS[state]} == {S.QUEUED}
    for state in (S.SENDING, S.ACCEPTED, S.UNKNOWN):
        assert S.RECORDED not in STEPS[state]
        assert state not in ABSENT
    assert S.QUEUED not in STEPS[S.ACCEPTED]


@given(st.sampled_from(list(S)), st.sampled_from(list(S)))
def test_a_step_that_the_table_does_not_have_is_refused(before: WriteBackState, after: WriteBackState) -> None:
    """A program error shows at once instead of in somebody's ledger."""
    if after in STEPS[before]:
        check_step(before, after)
    else:
        with pytest.raises(InvariantBroken):
            check_step(before, after)


def _reachable(start: WriteBackState) -> set[WriteBackState]:
    seen, ahead = {start}, [start]
    while ahead:
        for state in STEPS[ahead.pop()] - seen:
            seen.add(state)
            ahead.append(state)
    return seen
