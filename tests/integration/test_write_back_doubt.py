"""Write-backs when people in the office get in the way, and when two engines work at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Barrier, Thread

import pytest

from connector.billing.members import Member
from connector.errors import DomainError
from connector.ledger.write_back import queue
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.states import WriteBackState
from connector.pms_adapters.open_dental.adapter import OpenDentalAdapter
from connector.pms_adapters.open_dental.settings import OpenDentalSettings
from connector.pms_adapters.port import ConnectionContext
from connector.pms_adapters.records import PaymentCommand, Receipt
from connector.use_cases.books.link_members import link_by_person, unlink_by_person
from tests.support.practice import Practice
from tests.support.practice_setup import HastyOpenDental, running_practice

S = WriteBackState


def accepted_unproven(practice: Practice) -> int:
    """A payment that the office accepted while the read-back failed; returns its PayNum."""
    practice.paid()
    practice.fault("status_before", method="GET", skip=1, count=3)
    practice.write()
    assert practice.states() == [S.ACCEPTED]
    return int(practice.pms_rows()[0]["PayNum"])


def test_an_entry_whose_check_number_was_retyped_is_known_by_its_note(practice: Practice) -> None:
    """Our reference stands in two places; one of them is enough."""
    number = accepted_unproven(practice)
    practice.staff("retype_check_number", PayNum=number, CheckNum="cash")

    practice.settle()

    assert practice.states() == [S.CONFIRMED]
    assert practice.write_back().pms_entry_id == str(number)
    assert len(practice.pms_rows()) == 1


@pytest.mark.parametrize("answer", ["accepted", "unknown"])
def test_an_entry_whose_reference_was_overtyped_everywhere_is_held_and_not_sent_again(
    practice: Practice, answer: str
) -> None:
    """A new entry of that patient, amount and day may be ours: a person decides, and may note it as recorded."""
    if answer == "accepted":
        number = accepted_unproven(practice)
    else:
        practice.paid()
        practice.fault("reset_after")
        practice.write()
        number = int(practice.pms_rows()[0]["PayNum"])
    practice.staff("edit_payment", PayNum=number, CheckNum="cash", PayNote="paid at the desk")

    practice.settle()

    row = practice.write_back()
    assert row.state is S.HELD
    assert row.reason is not None
    assert str(number) in row.reason
    assert len(practice.pms_rows()) == 1
    practice.by_hand(queue.mark_recorded)
    practice.settle()
    assert (practice.states(), len(practice.pms_rows())) == ([S.RECORDED], 1)


def test_a_twin_typed_by_staff_while_the_outcome_was_unknown_is_held(practice: Practice) -> None:
    """Nobody can tell the twin from ours without its reference; a person who says that it is not ours is believed."""
    person = practice.paid()
    practice.fault("status_before", status=504)
    practice.write()
    practice.staff("add_payment", PatNum=int(person.patient_id), PayAmt="29.90")

    practice.settle()

    assert (practice.states(), len(practice.pms_rows())) == ([S.HELD], 1)
    practice.by_hand(queue.post_by_person)
    practice.write()
    assert practice.states() == [S.CONFIRMED]
    assert len(practice.pms_rows()) == 2
    practice.assert_exactly_once()


def test_a_like_payment_from_before_the_send_is_no_twin(practice: Practice) -> None:
    """The baseline keeps what the patient paid at the desk that morning apart from ours."""
    person = practice.paid()
    practice.staff("add_payment", PatNum=int(person.patient_id), PayAmt="29.90")
    practice.fault("status_before", status=504)

    practice.write()
    practice.settle()

    assert practice.write_back().attempts == 2
    assert [row["Origin"] for row in practice.pms_rows()] == ["staff", "api"]
    assert practice.states() == [S.CONFIRMED]
    practice.assert_exactly_once()


def test_two_entries_with_our_reference_are_held(practice: Practice) -> None:
    """A copy made by staff is shown to a person; once it is gone the row is confirmed without another write."""
    number = accepted_unproven(practice)
    (row,) = practice.pms_rows()
    practice.staff("add_payment", PatNum=row["PatNum"], PayAmt="29.90", CheckNum=row["CheckNum"])

    practice.settle()

    assert practice.states() == [S.HELD]
    copy = next(row["PayNum"] for row in practice.pms_rows() if row["PayNum"] != number)
    practice.staff("delete_payment", PayNum=copy)
    practice.by_hand(queue.post_by_person)
    practice.write()
    assert practice.write_back().attempts == 1
    practice.assert_all_written()


def test_an_entry_moved_to_another_patient_before_the_proof_is_held(practice: Practice) -> None:
    """Our reference at another patient is neither there nor absent."""
    number = accepted_unproven(practice)
    practice.staff("edit_payment", PayNum=number, PatNum=1_010)

    practice.settle()

    assert practice.states() == [S.HELD]
    assert len(practice.pms_rows()) == 1


def test_an_entry_deleted_by_staff_before_the_proof_is_held(practice: Practice) -> None:
    """What was accepted and is gone may have been removed on purpose: it is not simply written again."""
    number = accepted_unproven(practice)
    practice.staff("delete_payment", PayNum=number)

    practice.settle()

    assert (practice.states(), practice.pms_rows()) == ([S.HELD], [])
    practice.by_hand(queue.post_by_person)
    practice.write()
    practice.assert_all_written()


def test_payments_of_an_unlinked_member_go_out_once_linked(practice: Practice) -> None:
    """They wait, the link releases them in one step, and they are written for that patient."""
    person = practice.paid(linked=False)
    practice.write()
    assert (practice.states(), practice.pms_rows()) == ([S.UNLINKED], [])

    released = practice.link(person)
    practice.write()

    assert released == 1
    assert str(practice.pms_rows()[0]["PatNum"]) == person.patient_id
    practice.assert_all_written()


def test_unlinking_before_the_send_keeps_the_payment_back(practice: Practice) -> None:
    """Nothing goes to a patient whose link was ended; the next link decides where it goes."""
    person = practice.paid()
    unlink_by_person(practice.context, practice.location, person.member_id, "front desk")

    practice.write()

    assert (practice.states(), practice.pms_rows()) == ([S.UNLINKED], [])
    practice.link(person)
    practice.write()
    practice.assert_all_written()


def test_unlinking_while_the_outcome_is_unknown_does_not_move_the_payment(practice: Practice) -> None:
    """Whether it arrived is settled with the patient to whom it was sent."""
    person = practice.paid()
    practice.fault("reset_after")
    practice.write()
    unlink_by_person(practice.context, practice.location, person.member_id, "front desk")

    practice.settle()

    assert practice.write_back().sent_to_patient_id == person.patient_id
    practice.assert_all_written()


@pytest.mark.parametrize("action", ["archive_patient", "delete_patient", "merge_patients"])
def test_a_payment_for_a_patient_who_is_gone_by_then_is_held_until_a_person_says_where(
    practice: Practice, action: str
) -> None:
    """A link that was right is not for ever: nothing is written into a file that nobody opens any more."""
    person = practice.paid()
    into = {"IntoPatNum": 1_007} if action == "merge_patients" else {}
    practice.staff(action, PatNum=int(person.patient_id), **into)

    practice.write()

    row = practice.write_back()
    assert (row.state, practice.pms_rows()) == (S.HELD, [])
    assert row.reason is not None
    assert "link the member again" in row.reason
    unlink_by_person(practice.context, practice.location, person.member_id, "front desk")
    link_by_person(practice.context, practice.location, person.member_id, "1007", "front desk")
    practice.by_hand(queue.post_by_person)
    practice.write()
    assert [entry["PatNum"] for entry in practice.pms_rows()] == [1_007]
    practice.assert_all_written()


def test_a_person_may_post_to_an_archived_patient(practice: Practice) -> None:
    """The person who looked answers for it, and is not asked again and again."""
    person = practice.paid()
    practice.staff("archive_patient", PatNum=int(person.patient_id))
    practice.write()

    practice.by_hand(queue.post_by_person)
    practice.write()

    practice.assert_all_written()


def test_mark_recorded_keeps_the_engine_away_and_can_be_undone(practice: Practice) -> None:
    """While somebody has typed it in, nothing is sent; after the undoing it waits for a person, then goes out once."""
    practice.paid()
    practice.office.post("down", down=True)
    practice.write()

    practice.by_hand(queue.mark_recorded)
    practice.office.post("down", down=False)
    practice.settle()

    assert (practice.states(), practice.pms_rows()) == ([S.RECORDED], [])
    practice.by_hand(queue.undo_recorded)
    practice.write()
    assert (practice.states(), practice.pms_rows()) == ([S.READY], [])
    practice.by_hand(queue.post_by_person)
    practice.write()
    practice.assert_all_written()


def test_what_may_have_arrived_cannot_be_marked_recorded_or_posted(practice: Practice) -> None:
    """As long as the outcome is unknown a person cannot make it two entries."""
    practice.paid()
    practice.fault("reset_after")
    practice.write()

    for action in (queue.mark_recorded, queue.post_by_person):
        with pytest.raises(DomainError):
            practice.by_hand(action)

    practice.settle()
    practice.assert_all_written()


def test_two_engines_on_one_queue_send_each_row_once(practice: Practice) -> None:
    """The claim decides: both look, one sends."""
    for _ in range(6):
        practice.enrol()
    practice.charge()
    start = Barrier(2)

    def engine() -> None:
        start.wait()
        practice.write()

    threads = [Thread(target=engine) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    practice.write()
    assert [row.attempts for row in practice.all(WriteBack)] == [1] * 6
    practice.assert_all_written()


class _Sleepy(OpenDentalAdapter):
    """An adapter whose process stands still after its request, long enough for another to take over."""

    practice: Practice
    asleep = False

    def record_payment(self, command: PaymentCommand) -> Receipt:
        if _Sleepy.asleep:
            return super().record_payment(command)
        _Sleepy.asleep = True
        receipt = super().record_payment(command)
        _Sleepy.practice.advance(minutes=5)
        _Sleepy.practice.write()
        _Sleepy.practice.settle()
        assert _Sleepy.practice.states() == [S.CONFIRMED]
        return receipt


class _SleepyOpenDental(HastyOpenDental):
    def open(self, settings: Mapping[str, str], context: ConnectionContext) -> OpenDentalAdapter:
        return _Sleepy(OpenDentalSettings.parse(settings), context)


@pytest.fixture
def sleepy(tmp_path: Path, template: Path, hasty_stripe: None) -> Iterator[Practice]:
    """A practice whose first writer falls asleep."""
    with running_practice(tmp_path, template, adapters={"open_dental": _SleepyOpenDental()}) as practice:
        _Sleepy.practice, _Sleepy.asleep = practice, False
        yield practice


def test_the_late_outcome_of_a_lost_lease_is_dropped(sleepy: Practice) -> None:
    """Whoever took over has settled the row by looking; the sleeper's answer changes nothing any more."""
    sleepy.paid()

    sleepy.write()

    assert sleepy.history(sleepy.write_back()) == [S.QUEUED, S.SENDING, S.UNKNOWN, S.CONFIRMED]
    sleepy.assert_all_written()


def test_undoing_mark_recorded_after_the_link_has_changed_posts_to_the_patient_who_is_linked_now(
    practice: Practice,
) -> None:
    """A recorded row follows the member's link, so that undoing it does not bring the old patient back."""
    person = practice.paid()
    practice.by_hand(queue.mark_recorded)
    unlink_by_person(practice.context, practice.location, person.member_id, "front desk")
    link_by_person(practice.context, practice.location, person.member_id, "1005", "front desk")

    practice.by_hand(queue.undo_recorded)
    practice.by_hand(queue.post_by_person)
    practice.write()

    assert [row["PatNum"] for row in practice.pms_rows()] == [1_005]
    practice.assert_all_written()


def test_nothing_is_posted_for_somebody_who_is_not_linked(practice: Practice) -> None:
    """Undoing Mark Recorded of an unlinked member leads back to waiting for the link, and does not stop the others."""
    person = practice.paid(linked=False)
    practice.by_hand(queue.mark_recorded)
    practice.by_hand(queue.undo_recorded)

    with pytest.raises(DomainError):
        practice.by_hand(queue.post_by_person)

    assert practice.write().problem is None
    assert practice.states() == [S.UNLINKED]
    practice.link(person)
    practice.write()
    practice.assert_all_written()


def test_a_held_payment_of_a_member_whose_link_was_ended_cannot_be_posted(practice: Practice) -> None:
    """The person who posts is told to link first; afterwards it is posted to the new patient."""
    accepted = accepted_unproven(practice)
    practice.staff("delete_payment", PayNum=accepted)
    practice.settle()
    (person,) = practice.all(Member)
    unlink_by_person(practice.context, practice.location, person.id, "front desk")

    with pytest.raises(DomainError, match="link the member first"):
        practice.by_hand(queue.post_by_person)

    link_by_person(practice.context, practice.location, person.id, "1007", "front desk")
    practice.by_hand(queue.post_by_person)
    practice.write()
    assert [row["PatNum"] for row in practice.pms_rows()] == [1_007]
    practice.assert_all_written()
