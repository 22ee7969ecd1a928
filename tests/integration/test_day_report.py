"""The report of a day: money is in exactly one closed day, and each disagreement of the books is named once."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import update

from connector.billing.agreements.contracts import Contract
from connector.billing.clinics import Location, location_by_slug
from connector.billing.collecting.charges import Payment
from connector.reconciliation.differences import DifferenceKind
from connector.reconciliation.report import DayReport
from connector.use_cases.books.close_day import close_day
from connector.use_cases.books.report_day import report_day
from connector.use_cases.books.work_write_backs import work_write_backs
from connector.use_cases.collection.read_news import read_news
from connector.use_cases.collection.run_due import run_due
from connector.use_cases.practice.set_up_location import add_location
from tests.support.practice import Practice


def report(practice: Practice, day: date | None = None, location: Location | None = None) -> DayReport:
    return report_day(practice.context, location or practice.location, day or practice.today)


def kinds(found: DayReport) -> list[DifferenceKind]:
    return [difference.kind for difference in found.differences]


def test_a_bank_debit_is_in_the_closed_day_of_its_result_and_no_other(practice: Practice) -> None:
    """While it is under way it is no difference; afterwards the closed days add up to all payments."""
    practice.enrol("pm_becs_success")
    practice.enrol("pm_becs_fail_refer_to_customer")
    practice.enrol("pm_card_visa")
    first = practice.today
    practice.work()
    practice.settle()
    closed: list[DayReport] = []

    for _ in range(6):
        day = practice.today
        assert kinds(report(practice)) == []
        practice.advance(days=1)
        practice.work()
        practice.settle()
        closed.append(close_day(practice.context, practice.location, day))

    assert [found.unexplained_cents for found in closed] == [0] * 6
    assert sum(found.taken.cents for found in closed) == sum(row.amount_cents for row in practice.all(Payment)) == 5_980
    assert kinds(report(practice, first)) == []
    practice.assert_all_written()


def test_a_card_answer_learnt_after_the_close_goes_into_the_next_open_day(practice: Practice) -> None:
    """A closed report never changes."""
    practice.enrol()
    practice.stripe.post("faults", method="POST", path="/v1/payment_intents/*/confirm", kind="status_after", count=3)
    run_due(practice.context)
    day = practice.today
    practice.advance(days=1)
    before = close_day(practice.context, practice.location, day)

    practice.work()

    (payment,) = practice.all(Payment)
    assert payment.business_date == practice.today
    assert report(practice, day).taken == before.taken


def test_a_day_with_something_waiting_is_not_called_settled(practice: Practice) -> None:
    """Equal books are not enough while a payment is in none of them."""
    practice.enrol(linked=False)
    practice.work()

    found = report(practice)

    assert (found.differences, found.waiting_count, found.agrees) == ((), 1, False)


def test_a_refund_of_one_location_is_not_named_at_another(practice: Practice) -> None:
    """Two locations share a Stripe account and an office; each sees only its own money as its own."""
    other = second_location(practice)
    practice.enrol()
    practice.enrol()
    with practice.context.database.unit_of_work() as session:
        contract = practice.all(Contract)[-1]
        session.execute(update(Contract).where(Contract.id == contract.id).values(location_id=other.id))
    practice.work()
    work_write_backs(practice.context)
    practice.settle()
    (mine,) = (row for row in practice.all(Payment) if row.location_id == practice.location.id)
    practice.stripe_do("refunds", charge=mine.processor_charge_id)
    practice.work()
    practice.settle()

    assert [kinds(report(practice, location=row)) for row in (practice.location, other)] == [[], []]


def test_a_refund_that_fails_later_is_named_until_it_is_recorded(practice: Practice) -> None:
    """Stripe has the money again; once its news is read, so do our book and the practice system."""
    practice.enrol("pm_card_refundFail")
    practice.work()
    practice.settle()
    (charge,) = practice.stripe_charges()
    practice.stripe_do("refunds", charge=charge["id"])
    practice.work()
    practice.settle()
    practice.advance(days=1, hours=1)
    before = report(practice)

    practice.work()
    practice.settle()

    after = report(practice)
    assert kinds(before) == [DifferenceKind.RETURN_UNDONE]
    assert (kinds(after), after.returned.cents, after.written.cents) == ([], 2_990, 2_990)
    practice.assert_all_written()


def test_what_waits_is_compared_with_what_stands_there_already(practice: Practice) -> None:
    """A held write-back whose entry says another amount is a difference, not only a thing that waits."""
    practice.enrol()
    practice.fault("status_after", status=504)
    practice.work()
    (row,) = practice.pms_rows()
    practice.staff("edit_payment", PayNum=row["PayNum"], PayAmt="5.00")
    practice.settle()

    found = report(practice)

    assert kinds(found) == [DifferenceKind.AMOUNT_DIFFERS_IN_PMS]
    assert found.unexplained_cents == 2_490


def test_a_reversal_that_was_written_days_later_is_no_difference(practice: Practice) -> None:
    """The practice system dates it by its own day, which the row remembers."""
    practice.enrol()
    practice.work()
    practice.settle()
    (charge,) = practice.stripe_charges()
    practice.stripe_do("refunds", charge=charge["id"])
    day = practice.today
    assert read_news(practice.context).problems == []
    practice.advance(days=2)
    practice.write()
    practice.settle()

    assert [kinds(report(practice, day + timedelta(days=after))) for after in range(3)] == [[], [], []]
    practice.assert_all_written()


def second_location(practice: Practice) -> Location:
    """Another location of the same office and Stripe account."""
    add_location(
        practice.context,
        slug="second",
        name="Second",
        timezone=practice.location.timezone,
        currency="aud",
        pms=practice.location.pms_adapter,
        pms_settings=practice.location.pms_settings,
    )
    with practice.context.database.read() as session:
        return location_by_slug(session, "second")
