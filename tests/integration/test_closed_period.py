"""A day that is closed in the practice's books: what has to be entered under it is dated on the first open day."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connector.ledger.write_back.models import Leg
from connector.ledger.write_back.states import WriteBackState
from connector.use_cases.books.report_day import report_day
from tests.support.practice import Practice

S = WriteBackState
PRICE = 2_990


def paid_and_linked_late(practice: Practice) -> None:
    """Paid on the first of September, and linked three days later."""
    person = practice.paid(linked=False)
    practice.advance(days=3)
    practice.link(person)


def dates(practice: Practice) -> list[str]:
    return [row["PayDate"] for row in practice.pms_rows()]


@pytest.mark.parametrize("options", [{"lock_date": "2026-09-02"}, {"lock_days": 2}], ids=str)
@pytest.mark.parametrize("binds", [False, True])
def test_a_late_entry_is_dated_on_the_first_open_day(
    practice: Practice, options: dict[str, object], binds: bool
) -> None:
    """Whether the interface refuses a closed day or would take it; the note keeps the true date."""
    practice.office.post("options", **options, lock_binds_api=binds)
    paid_and_linked_late(practice)

    practice.work()
    practice.settle()

    (row,) = practice.pms_rows()
    assert (row["PayDate"], row["cents"]) == ("2026-09-03", PRICE)
    assert row["PayNote"].endswith("(of 01/09/2026)")
    written = practice.write_back()
    assert (written.entry_date.isoformat(), written.attempts) == ("2026-09-01", 1)
    practice.assert_all_written()


def test_the_reports_of_both_days_agree(practice: Practice) -> None:
    """The money belongs to its own day, the entry stands on the other."""
    practice.office.post("options", lock_date="2026-09-02")
    paid_and_linked_late(practice)
    practice.work()
    practice.settle()

    first = report_day(practice.context, practice.location, practice.today - timedelta(days=3))
    open_ = report_day(practice.context, practice.location, practice.today - timedelta(days=1))

    assert (first.taken.cents, first.written.cents, first.differences) == (PRICE, PRICE, ())
    assert (open_.written.cents, open_.pms_other.cents, open_.differences) == (0, 0, ())


def test_a_day_that_is_closed_while_the_entry_is_on_its_way_is_followed(practice: Practice) -> None:
    """What was read a moment ago is asked again when the office refuses."""
    paid_and_linked_late(practice)
    other = practice.paid(linked=False)
    practice.work()
    assert dates(practice) == ["2026-09-01"]
    practice.advance(days=1)
    practice.office.post("options", lock_date="2026-09-04", lock_binds_api=True)
    practice.link(other)

    practice.work()
    practice.settle()

    assert dates(practice) == ["2026-09-01", "2026-09-05"]


def test_a_refusal_of_every_day_is_told_to_a_person(practice: Practice) -> None:
    """Where today is closed, too, there is no day to enter it on."""
    practice.office.post("options", lock_date="2026-12-31", lock_binds_api=True)
    paid_and_linked_late(practice)

    practice.work()

    row = practice.write_back()
    assert (row.state, practice.pms_rows()) == (S.REJECTED, [])
    assert row.reason is not None
    assert "have them opened" in row.reason


def test_a_lost_answer_to_an_entry_of_another_day_is_found_by_looking(practice: Practice) -> None:
    """The date that was written is the one that is looked for."""
    practice.office.post("options", lock_date="2026-09-02")
    paid_and_linked_late(practice)
    practice.fault("reset_after")

    practice.work()
    practice.settle()

    assert dates(practice) == ["2026-09-03"]
    practice.assert_all_written()


def test_the_practice_says_itself_from_when_its_books_are_open(practice: Practice) -> None:
    """For practice systems that do not tell: what is entered already stays, reversals come under the open day."""
    practice.paid()
    practice.write()
    practice.refund()
    practice.charge()
    practice.advance(days=2)
    practice.set_policy(books_open_from="2026-09-03")
    late = practice.paid(linked=False)
    practice.advance(days=1)
    practice.set_policy(books_open_from="2026-09-04")
    practice.link(late)

    practice.work()
    practice.settle()

    reversal = practice.write_back(Leg.REVERSAL)
    assert (reversal.dated.isoformat(), reversal.state) == ("2026-09-04", S.CONFIRMED)
    assert dates(practice)[0] == "2026-09-01"
    assert dates(practice)[-1] == "2026-09-04"
