"""Reversals: money that went back to the payer gets one negative entry of its own, after its original."""

from __future__ import annotations

import pytest

from connector.billing.collecting.charges import UndoneReturn
from connector.billing.members import MethodKind
from connector.ledger.write_back import queue
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.states import WriteBackState
from connector.use_cases.books.verify_ledger import verify_ledger
from tests.support.practice import Practice

S = WriteBackState


def test_a_refund_writes_one_negative_entry_that_points_to_the_payment(practice: Practice) -> None:
    """The reversal is a write-back of its own under a reference of its own."""
    practice.paid()
    practice.write()
    practice.refund()

    practice.work()
    practice.work()

    payment, reversal = practice.pms_rows()
    assert reversal["cents"] == -payment["cents"] == -2_990
    assert practice.write_back(Leg.REVERSAL).reference == f"{practice.write_back().reference}R1"
    practice.assert_all_written()


def test_a_bank_return_after_the_payment_was_written_is_reversed(practice: Practice) -> None:
    """A BECS dispute is final: the entry gets its negative twin and the invoice is overdue again."""
    practice.enrol("pm_becs_dispute")
    practice.work()
    assert practice.pms_rows() == []

    for _ in range(6):
        practice.advance(days=1)
        practice.work()

    assert [row["cents"] for row in practice.pms_rows()] == [2_990, -2_990]
    assert practice.stripe_charges()[0]["payment_method_details"]["type"] == MethodKind.BECS
    practice.assert_all_written()


def test_a_reversal_waits_for_its_original(practice: Practice) -> None:
    """Refunded before it was ever written: both are written, the payment first."""
    person = practice.paid(linked=False)
    practice.refund()
    practice.work()
    assert (practice.states(), practice.pms_rows()) == ([S.UNLINKED, S.QUEUED], [])

    practice.link(person)
    practice.fault("status_before", status=504)
    practice.write()

    assert practice.states() == [S.UNKNOWN, S.QUEUED]
    practice.settle()
    assert [row["cents"] for row in practice.pms_rows()] == [2_990, -2_990]
    practice.assert_all_written()


@pytest.mark.parametrize("kind", ["status_after", "reset_after", "truncate", "status_before", "html_200"])
def test_a_reversal_without_a_clear_answer_is_written_once(practice: Practice, kind: str) -> None:
    """The same looking settles reversals."""
    practice.paid()
    practice.write()
    practice.refund()
    practice.fault(kind, path="/api/v1/payments/Refund", status=504)

    practice.work()

    assert practice.write_back(Leg.REVERSAL).state is S.UNKNOWN
    practice.settle()
    assert [row["cents"] for row in practice.pms_rows()] == [2_990, -2_990]
    practice.assert_all_written()


def test_a_part_refund_that_the_office_cannot_take_is_left_to_a_person(practice: Practice) -> None:
    """The API refunds whole payments only: the part is rejected with its reason, and noted as recorded by hand."""
    practice.paid()
    practice.write()
    practice.refund(amount="1000")

    practice.work()

    reversal = practice.write_back(Leg.REVERSAL)
    assert reversal.state is S.REJECTED
    assert reversal.reason is not None
    assert "by hand" in reversal.reason
    assert len(practice.pms_rows()) == 1
    practice.assert_exactly_once()


def test_the_refund_of_a_payment_that_was_typed_in_by_hand_is_handed_to_a_person(practice: Practice) -> None:
    """The engine does not know the entry of a recorded payment, so it cannot reverse it: somebody is told."""
    practice.paid()
    practice.by_hand(queue.mark_recorded)
    practice.refund()

    practice.work()
    practice.settle()

    reversal = practice.write_back(Leg.REVERSAL)
    assert (reversal.state, practice.pms_rows()) == (S.HELD, [])
    assert reversal.reason is not None
    assert "by hand" in reversal.reason


def test_a_part_that_came_again_before_its_reversal_was_refused_is_entered_nowhere(practice: Practice) -> None:
    """Nobody had written anything yet; once the payment is there and the office refuses the part, both halves close."""
    person = practice.enrol("pm_card_refundFail", linked=False)
    practice.work()
    practice.refund(amount="1000")
    practice.charge()
    for _ in range(2):
        practice.advance(days=1)
        practice.charge()
    assert practice.states() == [S.UNLINKED, S.QUEUED, S.QUEUED]

    practice.link(person)
    practice.work()
    practice.settle()

    assert practice.states() == [S.CONFIRMED, S.RECORDED, S.RECORDED]
    assert [row["cents"] for row in practice.pms_rows()] == [2_990]
    assert verify_ledger(practice.context).faults == []


def test_a_refund_that_fails_after_the_bank_fetched_everything_back_restores_nothing(practice: Practice) -> None:
    """Ten dollars refunded, then all 29.90 fetched back: ten were paid out twice, and come back once."""
    practice.enrol("pm_card_refundFailLate")
    practice.work()
    practice.settle()
    practice.refund(amount="1000")
    practice.work()
    practice.by_hand(queue.mark_recorded, Leg.REVERSAL)
    (intent,) = practice.stripe_listed("payment_intents")
    practice.stripe.post("disputes", payment_intent=intent["id"])
    practice.work()
    for _ in range(31):
        practice.advance(days=1)
        practice.charge()

    undone = practice.all(UndoneReturn)
    rows = [row for row in practice.all(WriteBack) if row.reference.startswith(practice.all(WriteBack)[0].reference)]
    assert [row.amount_cents for row in undone] == [1_000]
    assert [(row.leg, row.amount_cents) for row in rows] == [
        (Leg.PAYMENT, 2_990),
        (Leg.REVERSAL, 1_000),
        (Leg.REVERSAL, 1_990),
    ]
    assert verify_ledger(practice.context).faults == []
