"""Payments as the API lists, creates and changes them. Creating is not idempotent: a repeated call pays again."""

from __future__ import annotations

import sqlite3

from connector.sandbox.open_dental import ledger, wire
from connector.sandbox.open_dental.allocation import Wish, allocate
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.paging import page
from connector.sandbox.open_dental.patients import existing
from connector.sandbox.open_dental.schema import PAYMENT_TYPES
from connector.sandbox.open_dental.wire import ApiError, Call, Reply, Source

SHORT_TEXT = 25
"""Size of the columns CheckNum and BankBranch. The database is not strict: what is longer is cut without a word."""
_SELECT = """
SELECT payment.*, coalesce(definition.ItemName, '') AS payTypeName
FROM payment LEFT JOIN definition ON definition.DefNum = payment.PayType
"""


def listing(office: Office, call: Call) -> Reply:
    """GET /payments: rows entered on `DateEntry` or later, in the order of PayNum, up to the page's cap."""
    patient = wire.integer(call.query, "PatNum")
    if patient is None and not office.has("23.3.11"):
        raise ApiError(400, "PatNum is required.")
    conditions: list[tuple[str, object]] = []
    if patient is not None:
        existing(office, patient)
        conditions.append(("PatNum = ?", patient))
    if entered := wire.day(call.query, "DateEntry"):
        conditions.append(("DateEntry >= ?", entered))
    kind = wire.integer(call.query, "PayType")
    if kind is not None and office.has("23.3.11"):
        conditions.append(("PayType = ?", kind))
    where = " AND ".join(condition for condition, _ in conditions) or "1"
    rows = office.db.execute(
        f"{_SELECT} WHERE {where} ORDER BY PayNum LIMIT ? OFFSET ?",
        (*(value for _, value in conditions), *page(office, call.query)),
    )
    stamp = office.stamp
    return Reply([shown(row, stamp) for row in rows])


def create(office: Office, call: Call) -> Reply:
    """POST /payments: a new row for every call, divided over the family's charges."""
    body = call.body
    cents = wire.required(wire.amount, body, "PayAmt")
    patient = existing(office, wire.required(wire.integer, body, "PatNum"))
    if cents == 0 or (cents < 0 and not office.options.negative_payments):
        raise ApiError(400, "PayAmt must be greater than 0.")
    pay_date = wire.day(body, "PayDate") or office.today
    if pay_date > office.today and not office.options.future_dates_allowed:
        raise ApiError(400, "PayDate cannot be in the future.")
    office.demand_open(pay_date)
    clinic = wire.integer(body, "ClinicNum")
    if clinic and not office.knows("clinic", "ClinicNum", clinic):
        raise ApiError(400, "ClinicNum is invalid.")
    clinic = patient["ClinicNum"] if clinic is None else clinic
    kind = wire.integer(body, "PayType") if office.has("23.1.27") else None
    if kind is None:
        kind = office.preference("ApiPaymentType")
    _check_kind(office, kind)
    wish = _wish(office, body, patient, cents, clinic)
    splits = allocate(
        wish, [] if wish.prepayment or wish.unallocated_prepayment else ledger.open_charges(office, patient)
    )
    columns = {
        "PayType": kind,
        "PayDate": pay_date,
        "PayAmt": cents,
        "PatNum": patient["PatNum"],
        "ClinicNum": clinic,
        "CheckNum": wire.text(body, "CheckNum", SHORT_TEXT) or "",
        "BankBranch": wire.text(body, "BankBranch", SHORT_TEXT) or "",
        "PayNote": wire.text(body, "PayNote") or "",
    }
    number = insert(office, columns, "API", "api")
    ledger.add_splits(office, number, pay_date, splits)
    ledger.run_aging(office, patient["Guarantor"])
    return Reply(shown(find(office, number)), 201, f"payments/{number}")


def update(office: Office, call: Call) -> Reply:
    """PUT /payments/{PayNum}: type, texts and processing status; amount, date and patient cannot be changed."""
    find(office, call.key)
    changes: dict[str, object] = {
        name: value
        for name, length in (("CheckNum", SHORT_TEXT), ("BankBranch", SHORT_TEXT), ("PayNote", 0))
        if (value := wire.text(call.body, name, length)) is not None
    }
    if (kind := wire.integer(call.body, "PayType")) is not None:
        _check_kind(office, kind)
        changes["PayType"] = kind
    if office.has("24.3.26") and (status := wire.text(call.body, "ProcessStatus")) is not None:
        if status not in ("OnlineProcessed", "OnlinePending"):
            raise ApiError(400, "ProcessStatus is invalid.")
        changes["ProcessStatus"] = status
    change(office, call.key, changes)
    return Reply(shown(find(office, call.key)))


def find(office: Office, number: int) -> sqlite3.Row:
    """The payment with the name of its type. Raises ApiError 404 when there is none."""
    row: sqlite3.Row | None = office.db.execute(f"{_SELECT} WHERE PayNum = ?", (number,)).fetchone()
    if row is None:
        raise ApiError(404, "Payment not found.")
    return row


def insert(office: Office, columns: dict[str, object], source: str, origin: str) -> int:
    """Store a payment row and return its PayNum. `origin` is 'api' or 'staff' and is never shown by the API."""
    columns = {
        **columns,
        "DateEntry": office.today,
        "SecDateTEdit": office.stamp,
        "PaymentSource": source,
        "Origin": origin,
    }
    return office.insert("payment", columns)


def change(office: Office, number: int, columns: dict[str, object]) -> None:
    """Overwrite columns of a payment row and stamp it."""
    office.update("payment", "PayNum", number, {**columns, "SecDateTEdit": office.stamp})


def shown(row: sqlite3.Row, server_time: str = "") -> dict[str, object]:
    """A payment as JSON. `server_time` is given in lists and empty after a write."""
    return {
        "PayNum": row["PayNum"],
        "PayType": row["PayType"],
        "payType": row["payTypeName"],
        "PayDate": row["PayDate"],
        "PayAmt": wire.money_text(row["PayAmt"]),
        "CheckNum": wire.shown(row["CheckNum"]),
        "BankBranch": wire.shown(row["BankBranch"]),
        "PayNote": wire.shown(row["PayNote"]),
        "PatNum": row["PatNum"],
        "ClinicNum": str(row["ClinicNum"]),
        "DateEntry": row["DateEntry"],
        "DepositNum": row["DepositNum"],
        "Receipt": "",
        "IsRecurringCC": "false",
        "IsCcCompleted": "false",
        "RecurringChargeDate": wire.NULL_DATE,
        "SecUserNumEntry": 0,
        "SecDateTEdit": row["SecDateTEdit"],
        "PaymentSource": row["PaymentSource"],
        "ProcessStatus": row["ProcessStatus"],
        "serverDateTime": server_time,
    }


def _check_kind(office: Office, kind: int) -> None:
    query = "SELECT 1 FROM definition WHERE DefNum = ? AND Category = ? AND isHidden = 0"
    if not office.db.execute(query, (kind, PAYMENT_TYPES)).fetchone():
        raise ApiError(400, "PayType is invalid.")


def _wish(office: Office, body: Source, patient: sqlite3.Row, cents: int, clinic: int) -> Wish:
    """What the body asks of the allocation; a field that is newer than the office counts as unknown."""
    prepayment = office.has("22.4.8") and wire.flag(body, "isPrepayment")
    plan = (wire.integer(body, "payPlanNum") or 0) if office.has("23.1.31") else 0
    if plan:
        if not prepayment and not office.has("23.3.4"):
            raise ApiError(400, "payPlanNum requires isPrepayment.")
        query = "SELECT 1 FROM payplan WHERE PayPlanNum = ? AND PatNum = ?"
        if not office.db.execute(query, (plan, patient["PatNum"])).fetchone():
            raise ApiError(400, "payPlanNum is invalid.")
    procedures = body.get("procNums") if office.has("22.4.16") else None
    if procedures is not None and not (isinstance(procedures, list) and all(type(one) is int for one in procedures)):
        raise ApiError(400, "procNums is invalid.")
    return Wish(
        cents,
        patient["PatNum"],
        patient["PriProv"],
        office.preference("PrepaymentUnearnedType"),
        office.options.allocation,
        clinic,
        patient_first=wire.flag(body, "isPatientPreferred"),
        prepayment=prepayment,
        unallocated_prepayment=office.has("25.4.42") and wire.flag(body, "isUnallocatedPrepayment"),
        procedures=tuple(procedures or ()),
        plan=plan,
    )
