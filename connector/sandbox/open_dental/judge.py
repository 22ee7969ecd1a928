"""What really stands in the office's file, for an independent judge: nothing here passes through the API's rules."""

from __future__ import annotations

from connector.sandbox.open_dental.office import Office


def totals(office: Office) -> dict[str, object]:
    """Payments and refunds made through the API, in numbers and cents, and how many rows are there more than once."""
    counted = "SELECT COUNT(*) AS count, coalesce(SUM(abs(PayAmt)), 0) AS cents FROM payment WHERE Origin = 'api'"
    by_date = office.db.execute(
        "SELECT PayDate, COUNT(*) AS count, SUM(PayAmt) AS cents FROM payment"
        " WHERE Origin = 'api' AND PayAmt > 0 GROUP BY PayDate ORDER BY PayDate"
    )
    surplus = office.db.execute(
        "SELECT coalesce(SUM(rows - 1), 0) FROM ("
        " SELECT COUNT(*) AS rows FROM payment WHERE CheckNum <> '' GROUP BY CheckNum, PayAmt < 0)"
    )
    return {
        "payments": dict(office.db.execute(f"{counted} AND PayAmt > 0").fetchone()),
        "by_pay_date": {row["PayDate"]: {"count": row["count"], "cents": row["cents"]} for row in by_date},
        "refunds": dict(office.db.execute(f"{counted} AND PayAmt < 0").fetchone()),
        "duplicates": surplus.fetchone()[0],
    }


def all_payments(office: Office) -> dict[str, object]:
    """Every payment row, amounts in cents, and the PayNums that carry each CheckNum."""
    rows = [dict(row) for row in office.db.execute("SELECT * FROM payment ORDER BY PayNum")]
    by_check_number: dict[str, list[int]] = {}
    for row in rows:
        by_check_number.setdefault(row["CheckNum"], []).append(row["PayNum"])
        row["cents"] = row.pop("PayAmt")
    return {"payments": rows, "by_check_number": by_check_number}
