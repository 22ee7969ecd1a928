"""The write-back queue: the table of steps, and who may move a row when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from connector import errors
from connector.errors import DomainError, InvariantBroken
from connector.ledger.write_back import outcome, queue
from connector.ledger.write_back.evidence import Evidence, Finding
from connector.ledger.write_back.models import Leg, WriteBack, WriteBackStep
from connector.ledger.write_back.queue import Order, assign_patient, enqueue, step
from connector.ledger.write_back.states import ABSENT, STEPS, WAITING, WriteBackState, check_step
from connector.money import Money
from connector.pms_adapters.open_dental.manifest import MANIFEST
from tests.support.book import NOW, Book, opened_book

S = WriteBackState
LATER = NOW + timedelta(minutes=5)
STEP_PAIRS = {(before, after) for before, allowed in STEPS.items() for after in allowed}


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with opened_book(f"sqlite:///{(tmp_path / 'practice.db').as_posix()}", tmp_path) as opened:
        yield opened


def add(
    book: Book,
    *,
    patient: str | None = None,
    automatic: bool = True,
    state: WriteBackState | None = None,
    leg: Leg = Leg.PAYMENT,
    sent: bool = False,
) -> str:
    """Put one row in the queue and, if told, into a state; returns its id."""
    with book.context.database.unit_of_work() as session:
        number = session.scalar(select(func.count()).select_from(WriteBack)) or 0
        order = Order(
            location_id=book.location.id,
            member_id=book.member_id,
            source_id=f"src_{number}",
            leg=leg,
            reference=f"SP{number}",
            amount=Money(2_990, "aud"),
            entry_date=date(2026, 11, 21),
            payment_type="SmilePass Card",
            note="SmilePass",
            automatic=automatic,
        )
        enqueue(session, [(order, patient)], NOW)
        row = queue.find(session, f"SP{number}")
        if state:
            row.state = state
        if sent:
            row.attempts, row.fence, row.sent_to_patient_id, row.sent_at = 1, 1, patient, NOW
        return row.id


def read(book: Book, row_id: str) -> WriteBack:
    with book.context.database.read() as session:
        return session.get_one(WriteBack, row_id)


def does(book: Book, verb: Callable[[Session, str], object], row_id: str) -> WriteBackState:
    """Do something with a row; returns its state afterwards."""
    with book.context.database.unit_of_work() as session:
        verb(session, row_id)
    return read(book, row_id).state


@pytest.mark.parametrize("before", S)
@pytest.mark.parametrize("after", S)
def test_only_steps_of_the_table_can_be_taken(before: WriteBackState, after: WriteBackState) -> None:
    """Any other one stops the work: something that must never happen was about to."""
    if (before, after) in STEP_PAIRS:
        check_step(before, after)
    else:
        with pytest.raises(InvariantBroken, match=f"cannot go from {before} to {after}"):
            check_step(before, after)


def test_what_may_have_been_sent_is_never_sent_again_without_looking() -> None:
    """Only from `queued` does a row go out, and only a proof of absence or a person leads back there."""
    to_sending = {before for before, allowed in STEPS.items() if S.SENDING in allowed}

    assert to_sending == {S.QUEUED}
    assert S.QUEUED not in STEPS[S.ACCEPTED]
    assert STEPS[S.CONFIRMED] == frozenset()
    assert S.QUEUED not in STEPS[S.RECORDED]


def test_every_state_is_reached_and_counted() -> None:
    """Waiting, or in the practice system for good; nothing is both or neither."""
    reached = {after for _, after in STEP_PAIRS} | {S.UNLINKED, S.READY, S.QUEUED}

    assert set(STEPS) == reached == set(S)
    assert set(WAITING) == set(S) - {S.CONFIRMED, S.RECORDED}
    assert set(ABSENT) < set(WAITING)


def test_the_program_takes_each_step_of_the_table_and_no_other(book: Book) -> None:
    """Rows of every state and history are put before every function that moves rows."""
    taken = set(_moved_by_rules())
    for state in S:
        for patient in (None, "1001"):
            for automatic in (True, False):
                taken |= _moved_by_people(book, state, patient, automatic=automatic)
    # The claim, which the engine makes by itself.
    taken.add((S.QUEUED, S.SENDING))

    assert taken == STEP_PAIRS


def _moved_by_rules() -> Iterator[tuple[WriteBackState, WriteBackState]]:
    """What follows from looks and answers, in the states for which the engine asks."""
    refusals = (errors.NotSent, errors.AccessDenied, errors.Rejected, errors.Unsupported, errors.OutcomeUnknown)
    for state in (S.QUEUED, S.SENDING, S.ACCEPTED, S.UNKNOWN):
        for attempts, looks, failed, patient in ((1, 0, 0, "1"), (1, 1, 9, "1"), (9, 1, 9, "1"), (1, 1, 0, None)):
            row = WriteBack(
                state=state, attempts=attempts, looks=looks, failed_looks=failed, sent_at=NOW, pms_patient_id=patient
            )
            if state is S.SENDING:
                changes = [outcome.refused(row, kind("x"), MANIFEST, NOW) for kind in refusals]
                changes += [outcome.answered(row, MANIFEST, NOW), outcome.unclear(row, "x", MANIFEST, NOW)]
            else:
                found = [outcome.found(row, Evidence(finding, "1"), NOW) for finding in Finding]
                changes = [change for change in found if change]
            if state in (S.ACCEPTED, S.UNKNOWN):
                changes += [outcome.absent(row, MANIFEST, NOW), outcome.look_failed(row, errors.NotSent("x"), NOW)]
            yield from ((state, change.after) for change in changes if change.after is not None)


def _moved_by_people(
    book: Book, state: WriteBackState, patient: str | None, *, automatic: bool
) -> set[tuple[WriteBackState, WriteBackState]]:
    """What posting, marking, undoing, linking and unlinking do to a row of that state."""
    verbs: list[Callable[[Session, str], object]] = [
        lambda session, row_id: queue.post_by_person(session, row_id, LATER, "mia"),
        lambda session, row_id: queue.mark_recorded(session, row_id, LATER, "mia"),
        lambda session, row_id: queue.undo_recorded(session, row_id, LATER, "mia"),
        lambda session, _: assign_patient(session, book.member_id, "1002", LATER, "mia"),
        lambda session, _: assign_patient(session, book.member_id, None, LATER, "mia"),
    ]
    taken = set()
    for verb in verbs:
        row_id = add(book, patient=patient, automatic=automatic, state=state)
        try:
            after = does(book, verb, row_id)
        except DomainError:
            after = state
        if after is not state:
            taken.add((state, after))
        with book.context.database.writer.begin() as connection:
            connection.execute(text("DROP TRIGGER IF EXISTS tr_write_back_step_no_delete"))
            connection.execute(text("DELETE FROM write_back_step"))
            connection.execute(text("DELETE FROM write_back"))
    return taken


@pytest.mark.parametrize(
    ("patient", "automatic", "expected"),
    [("1001", True, S.QUEUED), ("1001", False, S.READY), (None, True, S.UNLINKED), (None, False, S.UNLINKED)],
)
def test_a_row_enters_as_its_member_and_its_kind_allow(
    patient: str | None, automatic: bool, expected: WriteBackState, book: Book
) -> None:
    """By itself, by hand, or waiting for a link; the entry is its first line of history."""
    row = read(book, add(book, patient=patient, automatic=automatic))

    assert (row.state, row.pms_patient_id, row.attempts) == (expected, patient, 0)
    with book.context.database.read() as session:
        (entered,) = queue.steps(session, row.id)
    assert (entered.before, entered.after, entered.actor) == (None, expected, queue.CONNECTOR)


def test_a_source_is_written_once_for_each_leg(book: Book) -> None:
    """A second row for a payment breaks the unique key; its reversal is another leg."""
    order = Order(
        book.location.id,
        book.member_id,
        "pay_1",
        Leg.PAYMENT,
        "SPA",
        Money(100, "aud"),
        date(2026, 11, 21),
        "SmilePass Card",
        "SmilePass",
    )
    with book.context.database.unit_of_work() as session:
        enqueue(session, [(order, None)], NOW)

    with pytest.raises(IntegrityError), book.context.database.unit_of_work() as session:
        enqueue(session, [(order, None)], NOW)

    with book.context.database.read() as session:
        assert session.scalar(select(func.count()).select_from(WriteBack)) == 1
        assert session.scalar(select(func.count()).select_from(WriteBackStep)) == 1


def test_a_step_is_kept_with_who_took_it_and_why(book: Book) -> None:
    """The history is the answer to 'what happened to this payment'."""
    row_id = add(book, patient="1001", automatic=False)

    does(book, lambda session, row_id: queue.post_by_person(session, row_id, LATER, "mia"), row_id)

    with book.context.database.read() as session:
        last = queue.steps(session, row_id)[-1]
    assert (last.before, last.after, last.actor, last.at) == (S.READY, S.QUEUED, "mia", LATER)
    assert last.reason == "Posted by a person."


def test_the_outcome_of_a_lost_claim_changes_nothing(book: Book) -> None:
    """Somebody took the row over in between: state, columns and history stay as the taker left them."""
    row_id = add(book, patient="1001", state=S.SENDING, sent=True)
    stale = read(book, row_id)
    with book.context.database.unit_of_work() as session:
        session.get_one(WriteBack, row_id).fence += 1

    with book.context.database.unit_of_work() as session:
        moved = step(session, stale, S.ACCEPTED, LATER, pms_entry_id="77")

    assert moved is False
    row = read(book, row_id)
    assert (row.state, row.pms_entry_id) == (S.SENDING, None)
    with book.context.database.read() as session:
        assert len(queue.steps(session, row_id)) == 1


@pytest.mark.parametrize("route", [["1002"], [None, "1002"], [None, "1001"]])
def test_a_row_read_before_a_new_link_cannot_be_claimed(route: list[str | None], book: Book) -> None:
    """The worker would send it to the patient of the former link."""
    row_id = add(book, patient="1001")
    stale = read(book, row_id)
    for patient in route:
        with book.context.database.unit_of_work() as session:
            assign_patient(session, book.member_id, patient, LATER, "mia")

    with book.context.database.unit_of_work() as session:
        claimed = step(session, stale, S.SENDING, LATER, fence=stale.fence + 1, sent_to_patient_id="1001")

    assert claimed is False
    row = read(book, row_id)
    assert (row.state, row.pms_patient_id, row.sent_to_patient_id) == (S.QUEUED, route[-1], None)


def test_a_new_link_does_not_invalidate_the_claim_of_a_row_that_is_being_sent(book: Book) -> None:
    """Its outcome belongs to where it was sent and must be kept."""
    row_id = add(book, patient="1001", state=S.SENDING, sent=True)
    holder = read(book, row_id)
    with book.context.database.unit_of_work() as session:
        assign_patient(session, book.member_id, "1002", LATER, "mia")

    with book.context.database.unit_of_work() as session:
        assert step(session, holder, S.ACCEPTED, LATER)

    row = read(book, row_id)
    assert (row.state, row.sent_to_patient_id, row.pms_patient_id) == (S.ACCEPTED, "1001", "1002")


@pytest.mark.parametrize(
    ("state", "linked", "unlinked"),
    [
        (S.UNLINKED, S.QUEUED, S.UNLINKED),
        (S.READY, S.QUEUED, S.UNLINKED),
        (S.QUEUED, S.QUEUED, S.UNLINKED),
        (S.REJECTED, S.REJECTED, S.UNLINKED),
        (S.SENDING, S.SENDING, S.SENDING),
        (S.ACCEPTED, S.ACCEPTED, S.ACCEPTED),
        (S.UNKNOWN, S.UNKNOWN, S.UNKNOWN),
        (S.HELD, S.HELD, S.HELD),
        (S.RECORDED, S.RECORDED, S.RECORDED),
        (S.CONFIRMED, S.CONFIRMED, S.CONFIRMED),
    ],
)
def test_a_link_moves_only_rows_that_are_surely_not_there(
    state: WriteBackState, linked: WriteBackState, unlinked: WriteBackState, book: Book
) -> None:
    """What may stand in the practice system already keeps its state; what is proven there keeps its patient as well."""
    for patient, expected in (("1002", linked), (None, unlinked)):
        row_id = add(book, patient="1001", state=state)
        with book.context.database.unit_of_work() as session:
            assign_patient(session, book.member_id, patient, LATER, "mia")
        row = read(book, row_id)
        assert row.state is expected
        assert row.pms_patient_id == ("1001" if state is S.CONFIRMED else patient)
        with book.context.database.unit_of_work() as session:
            session.get_one(WriteBack, row_id).state = S.CONFIRMED


POSTABLE = {S.READY, S.REJECTED, S.HELD}
RECORDABLE = {S.UNLINKED, S.READY, S.QUEUED, S.REJECTED, S.HELD}


@pytest.mark.parametrize("state", S)
def test_a_person_posts_only_what_waits_for_a_person(state: WriteBackState, book: Book) -> None:
    """Anything else is under way, done, or may be there already."""
    row_id = add(book, patient="1001", state=state)

    if state in POSTABLE:
        assert does(book, lambda session, key: queue.post_by_person(session, key, LATER, "mia"), row_id) is S.QUEUED
    else:
        with pytest.raises(DomainError, match=f"is {state}: only ready, rejected or held ones"):
            does(book, lambda session, key: queue.post_by_person(session, key, LATER, "mia"), row_id)


@pytest.mark.parametrize("state", S)
def test_a_person_marks_as_recorded_only_what_is_not_under_way(state: WriteBackState, book: Book) -> None:
    """Typing in what may have arrived by itself would double it."""
    row_id = add(book, patient="1001", state=state)

    if state in RECORDABLE:
        assert does(book, lambda session, key: queue.mark_recorded(session, key, LATER, "mia"), row_id) is S.RECORDED
    else:
        with pytest.raises(DomainError, match=f"is {state}: it cannot be marked as recorded"):
            does(book, lambda session, key: queue.mark_recorded(session, key, LATER, "mia"), row_id)


@pytest.mark.parametrize("state", [state for state in S if state is not S.RECORDED])
def test_only_mark_recorded_can_be_undone(state: WriteBackState, book: Book) -> None:
    """There is nothing to take back of the others."""
    row_id = add(book, patient="1001", state=state)

    with pytest.raises(DomainError, match="not recorded: there is nothing to undo"):
        does(book, lambda session, key: queue.undo_recorded(session, key, LATER, "mia"), row_id)


@pytest.mark.parametrize(
    ("at_first", "meanwhile", "expected"),
    [
        ("1001", "1001", (S.READY, "1001")),
        (None, None, (S.UNLINKED, None)),
        (None, "1002", (S.READY, "1002")),
        ("1001", "1002", (S.READY, "1002")),
        ("1001", None, (S.UNLINKED, None)),
    ],
)
def test_an_undone_row_waits_for_the_patient_who_is_linked_by_then(
    at_first: str | None, meanwhile: str | None, expected: tuple[WriteBackState, str | None], book: Book
) -> None:
    """The link may have changed while the row was marked as recorded; without one it cannot be posted."""
    row_id = add(book, patient=at_first)
    does(book, lambda session, key: queue.mark_recorded(session, key, LATER, "mia"), row_id)
    with book.context.database.unit_of_work() as session:
        assign_patient(session, book.member_id, meanwhile, LATER, "mia")

    does(book, lambda session, key: queue.undo_recorded(session, key, LATER, "mia"), row_id)

    row = read(book, row_id)
    assert (row.state, row.pms_patient_id) == expected


def test_a_rejected_row_of_an_unlinked_member_cannot_be_posted(book: Book) -> None:
    """There is no patient to send it to."""
    row_id = add(book, patient=None, state=S.REJECTED)

    with pytest.raises(DomainError, match="link the member first"):
        does(book, lambda session, key: queue.post_by_person(session, key, LATER, "mia"), row_id)


@pytest.mark.parametrize("verb", [queue.post_by_person, queue.mark_recorded, queue.undo_recorded])
def test_an_unknown_write_back_is_refused_with_the_command_that_lists_them(
    verb: Callable[..., object], book: Book
) -> None:
    """A mistyped id changes nothing."""
    with pytest.raises(DomainError, match="see `connector write-backs list --location SLUG`"):
        does(book, lambda session, key: verb(session, key, LATER, "mia"), "wb_nowhere")


def test_a_row_is_found_by_its_id_and_by_its_reference(book: Book) -> None:
    """The reference is what staff see in the practice system."""
    row = read(book, add(book))

    with book.context.database.read() as session:
        assert queue.find(session, row.id).id == queue.find(session, row.reference).id == row.id
