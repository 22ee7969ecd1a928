"""The engine against a practice system with every mood, crashes included, in sequences that nobody would write down."""

from __future__ import annotations

from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from connector.ledger.write_back.states import WriteBackState
from tests.support.desk import PERSON_DECIDES, running_desk
from tests.support.moody_pms import Mood

S = WriteBackState
STEPS_SECONDS = (5, 30, 70, 600, 4_000)
"""Short enough to look too early, were it allowed, and long enough to outlast every pause."""

moods = st.lists(st.sampled_from(list(Mood)), max_size=40)
waits = st.lists(st.sampled_from(STEPS_SECONDS), min_size=1, max_size=25)


@given(moods=moods, waits=waits)
@example(moods=[Mood.WELL, Mood.LANDS_LATE], waits=[5, 5, 70])
@example(moods=[Mood.WELL, Mood.KILLED_LANDS_LATE], waits=[5, 91, 1])
@settings(max_examples=60)
def test_whatever_happens_nothing_is_written_twice_and_everything_in_the_end(
    template: Path, moods: list[Mood], waits: list[int]
) -> None:
    """Lost answers, late landings, crashes at any request, failing reads; a person posts what was handed over."""
    with running_desk(template, moods) as desk:
        for wait in waits:
            desk.work(wait)
            desk.assert_never_twice()
        for _ in range(len(moods) + 10):
            desk.decide()
            desk.work(4_000)
            desk.assert_never_twice()
            if desk.states() == {S.CONFIRMED}:
                break

        assert desk.states() == {S.CONFIRMED}
        for row in desk.rows():
            (entry,) = desk.pms.carriers(row.reference)
            assert (entry.id, entry.patient_id) == (row.pms_entry_id, row.sent_to_patient_id)


@given(moods=moods, waits=waits)
@settings(max_examples=25)
def test_without_a_person_every_row_ends_confirmed_or_with_its_reason(
    template: Path, moods: list[Mood], waits: list[int]
) -> None:
    """Nothing stays under way for ever, and whoever must act is told why."""
    with running_desk(template, moods) as desk:
        for wait in [*waits, *[4_000] * (len(moods) + 10)]:
            desk.work(wait)
            if desk.states() <= {S.CONFIRMED, *PERSON_DECIDES}:
                break
        desk.assert_never_twice()

        for row in desk.rows():
            assert row.state in (S.CONFIRMED, *PERSON_DECIDES)
            assert row.state is S.CONFIRMED or row.reason


def test_the_patients_of_a_round_are_asked_for_at_once(template: Path) -> None:
    """One question for all of them, and none again within ten minutes."""
    with running_desk(template, []) as desk:
        desk.work(1)
        desk.work(10)

        assert (desk.states(), desk.pms.asked_for) == ({S.CONFIRMED}, [{"1", "2"}])
