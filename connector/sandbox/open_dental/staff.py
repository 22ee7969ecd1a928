"""What office staff do in the program's own windows, out of the API's sight and without its rules."""

from __future__ import annotations

from collections.abc import Callable

from connector.sandbox.open_dental import ledger, payments, wire
from connector.sandbox.open_dental.allocation import Split
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.patients import existing
from connector.sandbox.open_dental.wire import ApiError, Source


def act(office: Office, request: Source) -> dict[str, object]:
    """Do one action, named by `action`, with fields under the vendor's names. Raises ApiError when it cannot be."""
    action = _ACTIONS.get(str(request.get("action")))
    if action is None:
        raise ApiError(400, f"action is invalid. Use one of {', '.join(_ACTIONS)}.")
    return action(office, request)


def _add_payment(office: Office, request: Source) -> dict[str, object]:
    patient = existing(office, wire.required(wire.integer, request, "PatNum"))
    cents, pay_date = wire.required(wire.amount, request, "PayAmt"), wire.day(request, "PayDate") or office.today
    columns: dict[str, object] = {
        "PayType": wire.integer(request, "PayType") or office.preference("ApiPaymentType"),
        "PayDate": pay_date,
        "PayAmt": cents,
        "PatNum": patient["PatNum"],
        "ClinicNum": patient["ClinicNum"],
        "BankBranch": "",
        "CheckNum": wire.text(request, "CheckNum", payments.SHORT_TEXT) or "",
        "PayNote": wire.text(request, "PayNote") or "",
    }
    number = payments.insert(office, columns, "None", "staff")
    ledger.add_splits(office, number, pay_date, [Split(cents, patient["PatNum"], patient["PriProv"])])
    ledger.run_aging(office, patient["Guarantor"])
    return {"PayNum": number}


def _edit_payment(office: Office, request: Source) -> dict[str, object]:
    """Overwrite any field. A new amount or patient makes the money one split on account, as staff would leave it."""
    row = payments.find(office, wire.required(wire.integer, request, "PayNum"))
    number, before = row["PayNum"], existing(office, row["PatNum"])
    patient = existing(office, wire.integer(request, "PatNum") or row["PatNum"])
    cents = wire.amount(request, "PayAmt")
    changes: dict[str, object] = {
        "PatNum": patient["PatNum"],
        "PayAmt": row["PayAmt"] if cents is None else cents,
        "PayDate": wire.day(request, "PayDate") or row["PayDate"],
        "PayType": wire.integer(request, "PayType") or row["PayType"],
    }
    for name, length in (("CheckNum", payments.SHORT_TEXT), ("PayNote", 0)):
        if (value := wire.text(request, name, length)) is not None:
            changes[name] = value
    payments.change(office, number, changes)
    if (changes["PatNum"], changes["PayAmt"]) != (row["PatNum"], row["PayAmt"]):
        office.db.execute("DELETE FROM paysplit WHERE PayNum = ?", (number,))
        split = Split(int(str(changes["PayAmt"])), patient["PatNum"], patient["PriProv"])
        ledger.add_splits(office, number, str(changes["PayDate"]), [split])
    office.db.execute("UPDATE paysplit SET DatePay = ? WHERE PayNum = ?", (changes["PayDate"], number))
    for guarantor in {before["Guarantor"], patient["Guarantor"]}:
        ledger.run_aging(office, guarantor)
    return {"PayNum": number}


def _retype_check_number(office: Office, request: Source) -> dict[str, object]:
    number = payments.find(office, wire.required(wire.integer, request, "PayNum"))["PayNum"]
    check_number = wire.required(wire.text, request, "CheckNum")[: payments.SHORT_TEXT]
    payments.change(office, number, {"CheckNum": check_number})
    return {"PayNum": number}


def _delete_payment(office: Office, request: Source) -> dict[str, object]:
    """Gone without a trace: the program keeps no tombstone."""
    row = payments.find(office, wire.required(wire.integer, request, "PayNum"))
    office.db.execute("DELETE FROM paysplit WHERE PayNum = ?", (row["PayNum"],))
    office.db.execute("DELETE FROM payment WHERE PayNum = ?", (row["PayNum"],))
    ledger.run_aging(office, existing(office, row["PatNum"])["Guarantor"])
    return {"PayNum": row["PayNum"]}


def _merge_patients(office: Office, request: Source) -> dict[str, object]:
    """Everything of `PatNum` goes to `IntoPatNum`; the emptied patient is archived and no longer found by searches."""
    source = existing(office, wire.required(wire.integer, request, "PatNum"))
    target = existing(office, wire.required(wire.integer, request, "IntoPatNum"))
    number, into = source["PatNum"], target["PatNum"]
    if number == into:
        raise ApiError(400, "A patient cannot be merged into itself.")
    for statement in (
        "UPDATE paysplit SET PatNum = :into, SecDateTEdit = :stamp WHERE PatNum = :number",
        "UPDATE payment SET PatNum = :into, SecDateTEdit = :stamp WHERE PatNum = :number",
        "UPDATE adjustment SET PatNum = :into, SecDateTEdit = :stamp WHERE PatNum = :number",
        "UPDATE patfield SET PatNum = :into, SecDateTEdit = :stamp WHERE PatNum = :number",
        "UPDATE procedurelog SET PatNum = :into, DateTStamp = :stamp WHERE PatNum = :number",
        "UPDATE payplan SET PatNum = :into WHERE PatNum = :number",
        "UPDATE patient SET Guarantor = :head WHERE Guarantor = :number",
        "UPDATE patient SET PatStatus = 'Archived', MergedInto = :into, DateTStamp = :stamp WHERE PatNum = :number",
    ):
        head = into if target["Guarantor"] == number else target["Guarantor"]
        office.db.execute(statement, {"into": into, "number": number, "head": head, "stamp": office.stamp})
    for guarantor in {source["Guarantor"], existing(office, into)["Guarantor"]}:
        ledger.run_aging(office, guarantor)
    return {"PatNum": into}


def _archive_patient(office: Office, request: Source) -> dict[str, object]:
    return _set_status(office, request, "Archived")


def _delete_patient(office: Office, request: Source) -> dict[str, object]:
    return _set_status(office, request, "Deleted")


def _set_status(office: Office, request: Source, status: str) -> dict[str, object]:
    number = existing(office, wire.required(wire.integer, request, "PatNum"))["PatNum"]
    statement = "UPDATE patient SET PatStatus = ?, DateTStamp = ? WHERE PatNum = ?"
    office.db.execute(statement, (status, office.stamp, number))
    return {"PatNum": number}


def _set_provider(office: Office, request: Source) -> dict[str, object]:
    """The patient's primary provider; 0 for none, as files from another program may have it."""
    number = existing(office, wire.required(wire.integer, request, "PatNum"))["PatNum"]
    office.update("patient", "PatNum", number, {"PriProv": wire.required(wire.integer, request, "ProvNum")})
    return {"PatNum": number}


def _add_payment_plan(office: Office, request: Source) -> dict[str, object]:
    patient = existing(office, wire.required(wire.integer, request, "PatNum"))
    values = (patient["PatNum"], office.today, wire.required(wire.amount, request, "PayAmt"))
    statement = "INSERT INTO payplan (PatNum, PayPlanDate, PayAmt) VALUES (?, ?, ?)"
    return {"PayPlanNum": office.db.execute(statement, values).lastrowid}


def _add_clinic(office: Office, request: Source) -> dict[str, object]:
    abbreviation = wire.required(wire.text, request, "Abbr")
    values = (wire.text(request, "Description") or abbreviation, abbreviation)
    return {"ClinicNum": office.db.execute("INSERT INTO clinic (Description, Abbr) VALUES (?, ?)", values).lastrowid}


_ACTIONS: dict[str, Callable[[Office, Source], dict[str, object]]] = {
    "add_payment": _add_payment,
    "edit_payment": _edit_payment,
    "retype_check_number": _retype_check_number,
    "delete_payment": _delete_payment,
    "merge_patients": _merge_patients,
    "archive_patient": _archive_patient,
    "delete_patient": _delete_patient,
    "set_provider": _set_provider,
    "add_payment_plan": _add_payment_plan,
    "add_clinic": _add_clinic,
}
