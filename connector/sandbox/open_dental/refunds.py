"""Taking a payment back in full, and naming by hand what a payment pays (the Partial method)."""

from __future__ import annotations

import sqlite3

from connector.sandbox.open_dental import ledger, payments, wire
from connector.sandbox.open_dental.allocation import Charge, Split
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.patients import existing
from connector.sandbox.open_dental.wire import ApiError, Call, Reply


def create(office: Office, call: Call) -> Reply:
    """POST /payments/Refund: the negative of a payment. Nothing keeps a payment from being refunded twice."""
    original = payments.find(office, wire.required(wire.integer, call.body, "PayNum"))
    splits = splits_of(office, original["PayNum"])
    if any(split.plan for split in splits):
        raise ApiError(400, "Payments attached to a payment plan cannot be refunded.")
    if original["PayAmt"] <= 0 or any(split.cents < 0 for split in splits):
        raise ApiError(400, "Payments with negative splits cannot be refunded.")
    copied = office.options.refund_copies_reference
    columns = {
        **{name: original[name] for name in ("PayType", "PatNum", "ClinicNum")},
        **{name: original[name] if copied else "" for name in ("CheckNum", "PayNote")},
        "BankBranch": "",
        "PayDate": office.today,
        "PayAmt": -original["PayAmt"],
    }
    number = payments.insert(office, columns, "None", "api")
    back = [
        Split(-s.cents, s.patient, s.provider, s.clinic, s.procedure, s.adjustment, s.plan, s.unearned_type)
        for s in splits
    ]
    ledger.add_splits(office, number, office.today, back)
    ledger.run_aging(office, existing(office, original["PatNum"])["Guarantor"])
    return Reply(payments.shown(payments.find(office, number)), 201, f"payments/{number}")


def replace_splits(office: Office, call: Call) -> Reply:
    """PUT /payments/{PayNum}/Partial: pay exactly these open charges with this payment."""
    payment = payments.find(office, call.key)
    patient = existing(office, payment["PatNum"])
    office.db.execute("DELETE FROM paysplit WHERE PayNum = ?", (call.key,))
    charges = ledger.open_charges(office, patient)
    splits = _named(call.body.get("procNumsAndAmounts"), charges)
    if sum(split.cents for split in splits) != payment["PayAmt"]:
        raise ApiError(400, "The total of the amounts must equal PayAmt.")
    ledger.add_splits(office, call.key, payment["PayDate"], splits)
    payments.change(office, call.key, {})
    ledger.run_aging(office, patient["Guarantor"])
    return Reply(payments.shown(payments.find(office, call.key)))


def splits_of(office: Office, number: int) -> list[Split]:
    """The splits of a payment in the order in which they were made."""
    rows = office.db.execute("SELECT * FROM paysplit WHERE PayNum = ? ORDER BY SplitNum", (number,))
    return [_split(row) for row in rows]


def _named(wanted: object, charges: list[Charge]) -> list[Split]:
    if not isinstance(wanted, list) or not wanted:
        raise ApiError(400, "procNumsAndAmounts is required.")
    open_procedures = {charge.procedure: charge for charge in charges if charge.procedure}
    splits = []
    for item in wanted:
        if not isinstance(item, dict):
            raise ApiError(400, "procNumsAndAmounts is invalid.")
        charge = open_procedures.pop(wire.required(wire.integer, item, "ProcNum"), None)
        cents = wire.required(wire.amount, item, "Amount")
        if charge is None or not 0 < cents <= charge.owed:
            raise ApiError(400, "ProcNum has no outstanding charge of that amount in this family.")
        splits.append(Split(cents, charge.patient, charge.provider, charge.clinic, charge.procedure))
    return splits


def _split(row: sqlite3.Row) -> Split:
    return Split(
        row["SplitAmt"],
        row["PatNum"],
        row["ProvNum"],
        row["ClinicNum"],
        row["ProcNum"],
        row["AdjNum"],
        row["PayPlanNum"],
        row["UnearnedType"],
    )
