"""What was entered with a wrong patient: after a person's yes it is reversed there, and entered with the right one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from connector.errors import DomainError
from connector.ledger.write_back import queue
from connector.ledger.write_back.models import EntryMove, Leg, WriteBack
from connector.ledger.write_back.states import WriteBackState
from connector.sandbox.open_dental import OfficeOptions
from connector.use_cases.books.link_members import link_by_person, unlink_by_person
from connector.use_cases.books.move_entries import Survey, move_entries, survey
from connector.use_cases.books.report_day import report_day
from connector.use_cases.books.verify_ledger import verify_ledger
from tests.support.commands import command, document
from tests.support.practice import Enrolled, Practice
from tests.support.practice_setup import running_practice

S = WriteBackState
PRICE = 2_990
WRONG, THIRD = "1020", "1021"
"""Patients of the office who are no members."""


@pytest.fixture
def practice_of_parts(tmp_path: Path, template: Path) -> Iterator[Practice]:
    """A practice whose office takes back any part of a payment."""
    options = OfficeOptions(negative_payments=True)
    with running_practice(
        tmp_path, template, options=options, pms_settings={"reversals": "negative_payment"}
    ) as practice:
        yield practice


def relink(practice: Practice, person: Enrolled, patient_id: str) -> None:
    """Somebody notices, and links the member anew."""
    unlink_by_person(practice.context, practice.location, person.member_id, "front desk")
    link_by_person(practice.context, practice.location, person.member_id, patient_id, "front desk")


def mislinked(practice: Practice, method: str = "pm_card_visa") -> Enrolled:
    """A member linked to the wrong patient, whose first payment is taken."""
    person = practice.enrol(method, linked=False)
    link_by_person(practice.context, practice.location, person.member_id, WRONG, "front desk")
    assert practice.charge() == []
    return person


def written(practice: Practice, method: str = "pm_card_visa") -> Enrolled:
    """As above, and the payment is proven to stand with the wrong patient."""
    person = mislinked(practice, method)
    practice.write()
    assert ledgers(practice) == {WRONG: PRICE}
    return person


def corrected(practice: Practice, person: Enrolled) -> Survey:
    """Linked to the right patient, with a yes to moving."""
    relink(practice, person, person.patient_id)
    return yes(practice, person)


def yes(practice: Practice, person: Enrolled) -> Survey:
    return move_entries(practice.context, practice.location, person.member_id, "front desk")


def ledgers(practice: Practice) -> dict[str, int]:
    """What the entries of each patient come to."""
    sums: Counter[str] = Counter()
    for row in practice.pms_rows():
        sums[str(row["PatNum"])] += row["cents"]
    return {patient: cents for patient, cents in sums.items() if cents}


def marks(practice: Practice) -> list[str]:
    """The ends of our marks in the office's file, in the order in which they were entered."""
    return [row["CheckNum"][22:] for row in practice.pms_rows()]


def assert_in_order(practice: Practice) -> None:
    """Everything taken stands once, and the book and each day agree."""
    practice.assert_exactly_once()
    day = report_day(practice.context, practice.location, practice.today)
    assert (day.differences, day.problems) == ((), ())
    assert day.taken.cents + day.returned.cents == day.written.cents + day.recorded_by_hand.cents + sum(
        line.cents for line in day.waiting.values()
    )


def test_without_a_yes_what_was_entered_stays_where_it_is(practice: Practice) -> None:
    """A new link alone moves nothing; the survey says what a yes would move."""
    person = written(practice)
    relink(practice, person, person.patient_id)

    practice.work()
    practice.settle()
    found = survey(practice.context, practice.location, person.member_id)

    assert ledgers(practice) == {WRONG: PRICE}
    assert [(item.patient_id, item.amount.cents) for item in found.movable] == [(WRONG, PRICE)]
    assert (found.unsettled, found.by_hand) == ([], [])


def test_a_yes_reverses_with_the_wrong_patient_and_enters_with_the_right_one(practice: Practice) -> None:
    """Two write-backs with marks of their own; the day's report names the move, and everything adds up."""
    person = written(practice)

    found = corrected(practice, person)
    practice.work()
    practice.settle()

    assert [item.amount.cents for item in found.movable] == [PRICE]
    assert ledgers(practice) == {person.patient_id: PRICE}
    assert marks(practice) == ["", "R1", "U1"]
    report = report_day(practice.context, practice.location, practice.today)
    assert (report.moved.count, report.moved.cents, report.agrees) == (1, PRICE, True)
    practice.assert_all_written()


def test_a_second_yes_moves_nothing_twice(practice: Practice) -> None:
    """Pressed again before and after the entries were written."""
    person = written(practice)
    corrected(practice, person)

    for _ in range(2):
        assert yes(practice, person).movable == []
        practice.work()
        practice.settle()

    assert len(practice.all(EntryMove)) == 1
    assert ledgers(practice) == {person.patient_id: PRICE}


def test_who_is_not_linked_has_nowhere_to_move_to(practice: Practice) -> None:
    """Refused with the next step."""
    person = written(practice)
    unlink_by_person(practice.context, practice.location, person.member_id, "front desk")

    with pytest.raises(DomainError, match="link the member to the right one first"):
        yes(practice, person)


def test_the_new_entry_waits_until_the_money_is_taken_out(practice: Practice) -> None:
    """While the reversal has no clear answer, the money stands in one ledger at most."""
    person = written(practice)
    corrected(practice, person)
    practice.fault("status_before", path="/api/v1/payments/Refund", status=504)

    practice.write()
    assert practice.states() == [S.CONFIRMED, S.UNKNOWN, S.QUEUED]
    assert ledgers(practice) == {WRONG: PRICE}

    practice.settle()
    assert ledgers(practice) == {person.patient_id: PRICE}
    practice.assert_all_written()


@pytest.mark.parametrize("kind", ["status_after", "reset_after", "truncate", "status_before", "html_200"])
@pytest.mark.parametrize("path", ["/api/v1/payments/Refund", "/api/v1/payments"])
def test_neither_half_without_a_clear_answer_is_written_twice(practice: Practice, kind: str, path: str) -> None:
    """The same looking settles both."""
    person = written(practice)
    corrected(practice, person)
    practice.fault(kind, path=path, status=504)

    practice.work()
    practice.settle()

    assert (ledgers(practice), len(practice.pms_rows())) == ({person.patient_id: PRICE}, 3)
    practice.assert_all_written()


def test_a_part_that_was_refunded_is_not_moved(practice_of_parts: Practice) -> None:
    """Only what still stands goes to the right patient."""
    practice = practice_of_parts
    person = written(practice)
    practice.refund(amount="1000")
    practice.work()

    corrected(practice, person)
    practice.work()
    practice.settle()

    assert ledgers(practice) == {person.patient_id: PRICE - 1_000}
    assert marks(practice) == ["", "R1", "R2", "U2"]
    practice.assert_all_written()


def test_a_refund_of_a_moved_payment_is_taken_from_the_right_patient(practice: Practice) -> None:
    """What is reversed is the entry that stands."""
    person = written(practice)
    corrected(practice, person)
    practice.work()
    practice.settle()

    practice.refund()
    practice.work()
    practice.settle()

    assert (ledgers(practice), marks(practice)) == ({}, ["", "R1", "U1", "R2"])
    last = practice.all(WriteBack)[-1]
    assert last.sent_to_patient_id == person.patient_id
    assert_in_order(practice)


def test_a_refund_while_the_move_is_under_way_waits_for_it(practice: Practice) -> None:
    """Each entry waits for the one before it: out, in, and out again."""
    person = written(practice)
    corrected(practice, person)
    practice.office.post("down", down=True)
    practice.refund()
    practice.charge()
    practice.write()
    assert practice.states() == [S.CONFIRMED, S.QUEUED, S.QUEUED, S.QUEUED]

    practice.office.post("down", down=False)
    practice.settle()

    assert (ledgers(practice), marks(practice)) == ({}, ["", "R1", "U1", "R2"])
    assert practice.all(WriteBack)[-1].sent_to_patient_id == person.patient_id
    assert_in_order(practice)


def test_a_refund_before_the_move_leaves_nothing_to_move(practice: Practice) -> None:
    """The reversal goes where the payment stands, also when the yes comes before it is written."""
    person = written(practice)
    practice.refund()
    practice.charge()

    found = corrected(practice, person)
    practice.work()
    practice.settle()

    assert found.movable == []
    assert (ledgers(practice), marks(practice)) == ({}, ["", "R1"])
    assert_in_order(practice)


def test_a_refund_that_fails_after_the_move_is_entered_with_the_right_patient(practice_of_parts: Practice) -> None:
    """Its reversal stands with the wrong patient, where nothing may be entered any more."""
    practice = practice_of_parts
    person = written(practice, "pm_card_refundFailLate")
    practice.refund(amount="1000")
    practice.work()
    corrected(practice, person)
    practice.work()
    practice.settle()

    for _ in range(31):
        practice.advance(days=1)
        practice.work()
    practice.settle()

    # A month later the next payment has come, too.
    assert ledgers(practice) == {person.patient_id: 2 * PRICE}
    assert (marks(practice)[:4], "U1" in marks(practice)) == (["", "R1", "R2", "U2"], True)
    assert verify_ledger(practice.context).faults == []


def test_linked_wrongly_twice_it_moves_twice(practice: Practice) -> None:
    """Each move has marks of its own, whichever patients it is between."""
    person = written(practice)
    relink(practice, person, THIRD)
    yes(practice, person)
    practice.work()
    practice.settle()
    assert ledgers(practice) == {THIRD: PRICE}

    corrected(practice, person)
    practice.work()
    practice.settle()

    assert (ledgers(practice), marks(practice)) == ({person.patient_id: PRICE}, ["", "R1", "U1", "R2", "U2"])
    practice.assert_all_written()


def test_linked_anew_before_the_new_entry_was_sent_it_goes_to_the_last_patient(practice: Practice) -> None:
    """It follows the link like any payment that was not sent yet."""
    person = written(practice)
    relink(practice, person, THIRD)
    yes(practice, person)

    relink(practice, person, person.patient_id)
    practice.work()
    practice.settle()

    assert (ledgers(practice), marks(practice)) == ({person.patient_id: PRICE}, ["", "R1", "U1"])


@pytest.mark.parametrize("kind", ["status_after", "status_before"])
def test_what_was_unclear_at_the_yes_follows_once_it_is_known(practice: Practice, kind: str) -> None:
    """It turns out to stand with the wrong patient and is moved, or was never there and goes to the right one."""
    person = mislinked(practice)
    practice.fault(kind, status=504)
    practice.write()
    assert practice.states() == [S.UNKNOWN]

    found = corrected(practice, person)
    for _ in range(2):
        practice.settle()

    assert [item.amount.cents for item in found.unsettled] == [PRICE]
    assert ledgers(practice) == {person.patient_id: PRICE}
    practice.assert_all_written()


def test_where_the_office_cannot_take_it_back_a_person_does_and_the_new_entry_follows(practice: Practice) -> None:
    """A part was refunded and typed in by hand, so the rest is no whole payment: rejected with its reason."""
    person = written(practice)
    practice.refund(amount="1000")
    practice.work()
    practice.staff("add_payment", PatNum=int(WRONG), PayAmt="-10.00")
    practice.by_hand(queue.mark_recorded, Leg.REVERSAL)
    corrected(practice, person)
    practice.work()
    practice.settle()
    out, back = practice.all(WriteBack)[-2:]
    assert (out.state, back.state, out.amount_cents) == (S.REJECTED, S.QUEUED, PRICE - 1_000)

    practice.staff("add_payment", PatNum=int(WRONG), PayAmt="-19.90")
    with practice.context.database.unit_of_work() as session:
        queue.mark_recorded(session, out.id, practice.clock.now(), "front desk")
    practice.work()

    assert ledgers(practice) == {person.patient_id: PRICE - 1_000}
    assert verify_ledger(practice.context).faults == []


def test_what_a_person_typed_in_is_named_and_left_to_that_person(practice: Practice) -> None:
    """Nobody else knows where it stands."""
    person = mislinked(practice)
    practice.by_hand(queue.mark_recorded)

    found = corrected(practice, person)
    practice.work()

    assert (found.movable, found.unsettled) == ([], [])
    assert [item.amount.cents for item in found.by_hand] == [PRICE]
    assert practice.all(EntryMove) == []


def test_a_tampered_move_is_named(practice: Practice) -> None:
    """Both halves must be there, over the amount of the move."""
    person = written(practice)
    corrected(practice, person)

    with practice.context.database.unit_of_work() as session:
        (move,) = practice.all(EntryMove)
        back = session.scalars(
            select(WriteBack).where(WriteBack.source_id == move.id, WriteBack.leg == Leg.PAYMENT)
        ).one()
        back.amount_cents -= 1

    assert verify_ledger(practice.context).faults == [f"The move {move.id} has no payment write-back of its amount."]


def test_at_the_command_line_a_person_sees_what_stands_where_and_says_yes(practice: Practice) -> None:
    """Linking says that something is left; without a yes nothing is moved; the second time nothing is left."""
    person = written(practice)
    here = ("--location", practice.location.slug)
    command(practice, "links", "unlink", person.member_id, *here)
    linked = command(practice, "links", "link", person.member_id, person.patient_id, *here)
    assert f"move them with `connector links move {person.member_id}" in linked.out

    asked = command(practice, "links", "move", person.member_id, *here, "--json")
    assert (asked.code, practice.all(EntryMove)) == (1, [])
    assert "add --yes" in asked.out

    done = document(practice, "links", "move", person.member_id, *here, "--yes")
    assert [(item["patient_id"], item["amount_cents"]) for item in done["moved"]] == [(WRONG, PRICE)]
    listed = command(practice, "write-backs", "list", *here)
    assert "It goes out once what was entered with the former patient is taken out there." in listed.out
    practice.work()
    practice.settle()

    assert "None." in command(practice, "links", "move", person.member_id, *here).out
    assert ledgers(practice) == {person.patient_id: PRICE}
