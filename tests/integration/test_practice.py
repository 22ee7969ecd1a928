"""The main job without any trouble: what every other test of it departs from."""

from __future__ import annotations

from tests.support.practice import Practice


def test_a_payment_goes_from_the_card_into_the_patients_ledger(practice: Practice) -> None:
    """Charged once at Stripe, written once under our reference, for the right patient, amount and day."""
    person = practice.enrol()

    practice.work()

    (charge,) = practice.stripe_charges()
    (row,) = practice.pms_rows()
    written = practice.write_back()
    assert (charge["amount"], row["cents"], str(row["PatNum"])) == (2_990, 2_990, person.patient_id)
    assert (row["CheckNum"], row["PayDate"]) == (written.reference, "2026-09-01")
    practice.assert_all_written()
