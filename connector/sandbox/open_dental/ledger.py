"""What a family owes and has paid: open charges, splits, balances and their age."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date

from connector.sandbox.open_dental import wire
from connector.sandbox.open_dental.allocation import Charge, Split
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.paging import page
from connector.sandbox.open_dental.patients import existing
from connector.sandbox.open_dental.wire import ApiError, Call, Reply

_OPEN_CHARGES = """
SELECT ProcFee
       + coalesce((SELECT SUM(AdjAmt) FROM adjustment a WHERE a.ProcNum = p.ProcNum AND a.ProcNum <> 0), 0)
       - coalesce((SELECT SUM(SplitAmt) FROM paysplit s WHERE s.ProcNum = p.ProcNum AND s.ProcNum <> 0), 0) AS owed,
       ProcDate AS day, p.PatNum AS patient, ProvNum AS provider, p.ClinicNum AS clinic,
       ProcNum AS procedure, 0 AS adjustment, 0 AS plan
FROM procedurelog p JOIN patient USING (PatNum) WHERE patient.Guarantor = :guarantor AND ProcStatus = 'C'
UNION ALL
SELECT AdjAmt - coalesce((SELECT SUM(SplitAmt) FROM paysplit s WHERE s.AdjNum = a.AdjNum AND s.AdjNum <> 0), 0),
       AdjDate, a.PatNum, ProvNum, a.ClinicNum, 0, AdjNum, 0
FROM adjustment a JOIN patient USING (PatNum) WHERE patient.Guarantor = :guarantor AND AdjAmt > 0 AND ProcNum = 0
UNION ALL
SELECT PayAmt - coalesce(
           (SELECT SUM(SplitAmt) FROM paysplit s WHERE s.PayPlanNum = l.PayPlanNum AND s.PayPlanNum <> 0), 0),
       PayPlanDate, l.PatNum, PriProv, ClinicNum, 0, 0, PayPlanNum
FROM payplan l JOIN patient USING (PatNum) WHERE l.PatNum = :patient
"""
_ENTRIES = """
SELECT PatNum, ProcDate AS day, ProcFee AS cents FROM procedurelog JOIN patient USING (PatNum)
WHERE Guarantor = :guarantor AND ProcStatus = 'C'
UNION ALL
SELECT PatNum, AdjDate, AdjAmt FROM adjustment JOIN patient USING (PatNum) WHERE Guarantor = :guarantor
UNION ALL
SELECT PatNum, '', -SUM(SplitAmt) FROM paysplit JOIN patient USING (PatNum) WHERE Guarantor = :guarantor GROUP BY PatNum
"""
_SPLITS = """
SELECT s.*, coalesce(d.ItemName, '') AS unearnedName
FROM paysplit s LEFT JOIN definition d ON d.DefNum = s.UnearnedType
"""
_AGE_LIMITS = (30, 60, 90)


def open_charges(office: Office, patient: sqlite3.Row) -> list[Charge]:
    """Everything of the family that is not paid in full, and the patient's own payment plans."""
    values = {"guarantor": patient["Guarantor"], "patient": patient["PatNum"]}
    rows = office.db.execute(_OPEN_CHARGES, values)
    return [Charge(**dict(row)) for row in rows if row["owed"] > 0]


def add_splits(office: Office, payment: int, pay_date: str, splits: Sequence[Split]) -> None:
    """Store the splits of a payment."""
    office.db.executemany(
        "INSERT INTO paysplit (PayNum, PatNum, SplitAmt, ProvNum, ClinicNum, DatePay, DateEntry, ProcNum, AdjNum,"
        " PayPlanNum, UnearnedType, SecDateTEdit) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (payment, s.patient, s.cents, s.provider, s.clinic, pay_date, office.today, s.procedure, s.adjustment,
             s.plan, s.unearned_type, office.stamp)
            for s in splits
        ],
    )  # fmt: skip


def run_aging(office: Office, guarantor: int) -> None:
    """Refresh the balances that the patient rows carry. They stay as they are between two runs, and so get stale."""
    balances = _balances(office, guarantor)
    office.db.executemany(
        "UPDATE patient SET EstBalance = ?, BalTotal = ? WHERE PatNum = ?",
        [(cents, sum(balances.values()) if number == guarantor else 0, number) for number, cents in balances.items()],
    )


def change_split(office: Office, call: Call) -> Reply:
    """PUT /paysplits/{SplitNum}: only its provider and its clinic, which must exist."""
    if not office.knows("paysplit", "SplitNum", call.key):
        raise ApiError(404, "PaySplit not found.")
    changes: dict[str, object] = {"SecDateTEdit": office.stamp}
    for name, table in (("ProvNum", "provider"), ("ClinicNum", "clinic")):
        if (number := wire.integer(call.body, name)) is not None:
            if number and not office.knows(table, name, number):
                raise ApiError(400, f"{name} is invalid.")
            changes[name] = number
    office.update("paysplit", "SplitNum", call.key, changes)
    row = office.db.execute(f"{_SPLITS} WHERE SplitNum = ?", (call.key,)).fetchone()
    return Reply(_split(row))


def list_splits(office: Office, call: Call) -> Reply:
    """GET /paysplits: by patient, payment or procedure, in no promised order."""
    wanted = {name: wire.integer(call.query, name) for name in ("PatNum", "PayNum")}
    if not office.has("24.4.24") and None in wanted.values():
        raise ApiError(400, "PatNum and PayNum are required.")
    if office.has("24.4.24"):
        wanted["ProcNum"] = wire.integer(call.query, "ProcNum")
    if wanted["PatNum"] is not None:
        existing(office, wanted["PatNum"])
    given = {name: number for name, number in wanted.items() if number is not None}
    where = " AND ".join(f"s.{name} = ?" for name in given) or "1"
    statement = f"{_SPLITS} WHERE {where} LIMIT ? OFFSET ?"
    rows = office.db.execute(statement, (*given.values(), *page(office, call.query)))
    return Reply([_split(row) for row in rows])


def aging(office: Office, call: Call) -> Reply:
    """GET /accountmodules/{PatNum}/Aging: the family's balance by age, computed afresh."""
    patient = _living(office, call.key)
    guarantor = patient["Guarantor"]
    entries = office.db.execute(_ENTRIES, {"guarantor": guarantor}).fetchall()
    charges = sorted((row["day"], row["cents"]) for row in entries if row["cents"] > 0 and row["day"])
    credit = sum(cents for _, cents in charges) - sum(row["cents"] for row in entries)
    buckets = age(charges, credit, date.fromisoformat(office.today))
    balances = _balances(office, guarantor)
    unearned = office.db.execute(
        "SELECT coalesce(SUM(SplitAmt), 0) FROM paysplit JOIN patient USING (PatNum)"
        " WHERE Guarantor = ? AND UnearnedType <> 0",
        (guarantor,),
    ).fetchone()[0]
    total = sum(balances.values())
    amounts = {
        **dict(zip(("Bal_0_30", "Bal_31_60", "Bal_61_90", "BalOver90"), buckets, strict=True)),
        "Total": total,
        "InsEst": 0,
        "EstBal": total,
        "PatEstBal": balances.get(call.key, 0),
        "Unearned": unearned,
    }
    return Reply({name: wire.number(cents) for name, cents in amounts.items()})


def age(charges: Sequence[tuple[str, int]], credit: int, today: date) -> tuple[int, int, int, int]:
    """What is left of the charges (day, cents; oldest first) after the credit: up to 30, 60, 90 days old, and older."""
    buckets = [0, 0, 0, 0]
    for day, cents in charges:
        paid = min(cents, max(credit, 0))
        credit -= paid
        days = (today - date.fromisoformat(day)).days
        buckets[sum(days > limit for limit in _AGE_LIMITS)] += cents - paid
    return buckets[0], buckets[1], buckets[2], buckets[3]


def patient_balances(office: Office, call: Call) -> Reply:
    """GET /accountmodules/{PatNum}/PatientBalances: a row per family member and one for the whole family."""
    guarantor = _living(office, call.key)["Guarantor"]
    balances = _balances(office, guarantor)
    members = office.db.execute(
        "SELECT PatNum, LName, FName FROM patient WHERE Guarantor = ? AND PatStatus <> 'Deleted' ORDER BY PatNum",
        (guarantor,),
    )
    rows = [
        {
            "PatNum": row["PatNum"],
            "Name": f"{row['LName']}, {row['FName']}",
            "Balance": wire.number(balances[row["PatNum"]]),
        }
        for row in members
    ]
    total = {"PatNum": guarantor, "Name": "Entire Family", "Balance": wire.number(sum(balances.values()))}
    return Reply([*rows, total])


def _balances(office: Office, guarantor: int) -> dict[int, int]:
    """Balance in cents of every member of the family."""
    members = office.db.execute("SELECT PatNum FROM patient WHERE Guarantor = ?", (guarantor,))
    balances = {row[0]: 0 for row in members}
    for row in office.db.execute(_ENTRIES, {"guarantor": guarantor}):
        balances[row["PatNum"]] += row["cents"]
    return balances


def _living(office: Office, number: int) -> sqlite3.Row:
    if office.db.execute("SELECT 1 FROM patient WHERE PatNum = ? AND PatStatus = 'Deleted'", (number,)).fetchone():
        raise ApiError(400, "Patient is deleted.")
    return existing(office, number)


def _split(row: sqlite3.Row) -> dict[str, object]:
    columns = {name: row[name] for name in row.keys() if name != "unearnedName"}  # noqa: SIM118 - sqlite3.Row
    return {
        **columns,
        "SplitAmt": wire.number(row["SplitAmt"]),
        "unearnedType": row["unearnedName"],
        "PayPlanChargeNum": 0,
        "PayPlanDebitType": "Unknown",
    }
