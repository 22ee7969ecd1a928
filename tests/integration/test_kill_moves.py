"""The yes to a move, and the writing after it, end at every dangerous place: the move is made once all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count

from connector.failpoints import watched
from connector.use_cases.books.link_members import link_by_person, unlink_by_person
from connector.use_cases.books.move_entries import move_entries
from tests.support.practice import PATIENTS, Enrolled, Practice

PRICE = 2_990


class EndedError(BaseException):
    """Stands for the end of the process: no `except Exception` of the product sees it."""


def ended(after: int, action: Callable[[], object]) -> bool:
    """Whether the action was ended when it passed its n-th commit or write; before and after it, each counts."""
    passes = count(1)

    def burn(place: str) -> None:
        if not place.startswith("read") and next(passes) == after:
            raise EndedError

    try:
        with watched(burn):
            action()
    except EndedError:
        return True
    return False


def misplaced(practice: Practice, wrong: str) -> Enrolled:
    """A member whose payment was entered with the wrong patient, and who is linked to the right one by now."""
    person = practice.enrol(linked=False)
    link_by_person(practice.context, practice.location, person.member_id, wrong, "front desk")
    practice.work()
    unlink_by_person(practice.context, practice.location, person.member_id, "front desk")
    link_by_person(practice.context, practice.location, person.member_id, person.patient_id, "front desk")
    return person


def test_a_move_ended_anywhere_is_made_once(practice: Practice) -> None:
    """The n-th pass of the yes, then of the writing, for n = 1, 2, 3 ... until both get through."""
    for number in count(1):
        # Of equal refunds with one patient nobody could tell which is whose if the mark of two got lost.
        wrong = str(1001 + PATIENTS - number)
        person = misplaced(practice, wrong)

        def yes(person: Enrolled = person) -> None:
            move_entries(practice.context, practice.location, person.member_id, "front desk")

        halves = [ended(number, yes)]
        yes()
        halves.append(ended(number, practice.write))
        practice.settle()

        sums: Counter[str] = Counter()
        rows = practice.pms_rows()
        for row in rows:
            sums[str(row["PatNum"])] += row["cents"]
        assert (len(rows), sums[wrong], sums[person.patient_id]) == (3 * number, 0, PRICE), number
        if not any(halves):
            break
    assert number > 10
    practice.assert_all_written()
