"""Reading patients: the patient-select search, the full record, and the incremental list."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from connector.sandbox.open_dental import wire
from connector.sandbox.open_dental.names import digits, fold
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.paging import page
from connector.sandbox.open_dental.wire import ApiError, Call, Reply

_ROWS = """
SELECT p.*, coalesce(pri.Abbr, '') AS priProvAbbr, coalesce(sec.Abbr, '') AS secProvAbbr,
       coalesce(billing.ItemName, '') AS BillingName, coalesce(clinic.Abbr, '') AS clinicAbbr
FROM patient p
LEFT JOIN provider pri ON pri.ProvNum = p.PriProv LEFT JOIN provider sec ON sec.ProvNum = p.SecProv
LEFT JOIN definition billing ON billing.DefNum = p.BillingType LEFT JOIN clinic ON clinic.ClinicNum = p.ClinicNum
"""
_TEXTS = (
    "LName", "FName", "MiddleI", "Preferred", "PatStatus", "Gender", "Position", "Birthdate", "SSN", "Address",
    "Address2", "City", "State", "Zip", "Country", "HmPhone", "WkPhone", "WirelessPhone", "Email", "ChartNumber",
    "Language", "TxtMsgOk",
)  # fmt: skip
_NUMBERS = ("PatNum", "PriProv", "SecProv", "ClinicNum", "SuperFamily", "Guarantor")
_FULL_ONLY = frozenset({"Guarantor", "SuperFamily", "EstBalance", "BalTotal", "DateTStamp", "SecDateEntry"})
_UNUSED: dict[str, object] = {
    "FeeSched": 0, "ImageFolder": "", "FamFinUrgNote": "", "MedicaidID": "", "EmployerNum": 0,
    "DateFirstVisit": wire.NULL_DATE, "Premed": "false", "Ward": "", "PreferConfirmMethod": "None",
    "PreferContactMethod": "None", "PreferRecallMethod": "None", "AdmitDate": wire.NULL_DATE, "siteDesc": "",
}  # fmt: skip

SEARCH_KEYS = frozenset(
    {"LName", "FName", "Phone", "Address", "hideInactive", "City", "State", "SSN", "ChartNumber", "guarOnly",
     "showArchived", "Birthdate", "SiteNum", "SubscriberId", "Email", "Country", "clinicNums", "clinicAbbr",
     "invoiceNumber"}
)  # fmt: skip
SIMPLE_KEYS = frozenset(
    {"LName", "FName", "Birthdate", "ClinicNum", "PatStatus", "DateTStamp", "PriProv", "Gender", "Position",
     "Guarantor", "SuperFamily", "EmployerNum", "FeeSched"}
)  # fmt: skip
_NEWER_KEYS = {
    "PriProv": "21.3",
    "Gender": "22.3.6",
    "Position": "22.3.6",
    "Guarantor": "22.4.19",
    "SuperFamily": "22.4.38",
}
_NOT_KEPT = ("SiteNum", "SubscriberId", "invoiceNumber")
"""Search keys for things that this office has none of, so that nobody matches."""


def existing(office: Office, number: int) -> sqlite3.Row:
    """The patient's row, also of an archived or merged one. Raises ApiError 404 for an unknown or deleted patient."""
    query = "SELECT * FROM patient WHERE PatNum = ? AND PatStatus <> 'Deleted'"
    row: sqlite3.Row | None = office.db.execute(query, (number,)).fetchone()
    if row is None:
        raise ApiError(404, "Patient not found.")
    return row


def get_one(office: Office, call: Call) -> Reply:
    """GET /patients/{PatNum}: the full record."""
    existing(office, call.key)
    return Reply(record(office, call.key))


def record(office: Office, number: int) -> dict[str, object]:
    """The full record of an existing patient."""
    return _full(office.db.execute(_ROWS + "WHERE p.PatNum = ?", (number,)).fetchone())


def search(office: Office, call: Call) -> Reply:
    """GET /patients: the search of the patient-select window, with its own rules for every field."""
    query = call.query
    where: list[tuple[str, tuple[object, ...]]] = [("p.PatStatus <> 'Deleted' AND p.MergedInto = 0", ())]
    if not wire.flag(query, "showArchived"):
        where.append(("p.PatStatus NOT IN ('Archived', 'Deceased')", ()))
    if wire.flag(query, "hideInactive"):
        where.append(("p.PatStatus <> 'Inactive'", ()))
    if wire.flag(query, "guarOnly"):
        where.append(("p.Guarantor = p.PatNum", ()))
    last, first = fold(str(query.get("LName", ""))), fold(str(query.get("FName", "")))
    if last:
        substring = office.options.last_name_substring
        where.append(("instr(p.LNameKey, ?) > 0", (last,)) if substring else _prefix("p.LNameKey", last))
    if first:
        where.append(_prefix("p.FNameKey", first))
    where += [condition for name, build in _SEARCH.items() if (condition := build(str(query.get(name, ""))))]
    if birthdate := wire.day(query, "Birthdate"):
        where.append(("p.Birthdate = ?", (birthdate,)))
    if any(query.get(name) for name in _NOT_KEPT):
        where.append(("0", ()))
    order = " ORDER BY (p.LNameKey = ? AND p.FNameKey = ?) DESC, p.LNameKey, p.FNameKey, p.PatNum"
    rows = _select(office, where, order, (last, first), page(office, query))
    return Reply([_short(row) for row in rows])


def simple(office: Office, call: Call) -> Reply:
    """GET /patients/Simple: full records in the order of PatNum; `DateTStamp` asks for what changed since."""
    query = {name: value for name, value in call.query.items() if office.has(_NEWER_KEYS.get(name, "0"))}
    where: list[tuple[str, tuple[object, ...]]] = [("p.PatStatus <> 'Deleted'", ())]
    for name, column in (("LName", "p.LNameKey"), ("FName", "p.FNameKey")):
        if wanted := fold(str(query.get(name, ""))):
            where.append((f"instr({column}, ?) > 0", (wanted,)))
    exact = {name: wire.text(query, name) or None for name in ("PatStatus", "Gender", "Position")}
    numbers = {name: wire.integer(query, name) for name in ("ClinicNum", "PriProv", "Guarantor", "SuperFamily")}
    where += [(f"p.{name} = ?", (value,)) for name, value in {**exact, **numbers}.items() if value is not None]
    if any(wire.integer(query, name) for name in ("EmployerNum", "FeeSched")):
        where.append(("0", ()))
    if birthdate := wire.day(query, "Birthdate"):
        where.append(("p.Birthdate = ?", (birthdate,)))
    if changed := wire.moment(query, "DateTStamp"):
        where.append(("p.DateTStamp >= ?", (changed,)))
    rows = _select(office, where, " ORDER BY p.PatNum", (), page(office, query))
    return Reply([{**_full(row), "serverDateTime": office.stamp} for row in rows])


def _select(
    office: Office,
    where: list[tuple[str, tuple[object, ...]]],
    order: str,
    order_values: tuple[object, ...],
    limits: tuple[int, int],
) -> list[sqlite3.Row]:
    conditions = " AND ".join(condition for condition, _ in where)
    values = [value for _, some in where for value in some]
    statement = f"{_ROWS} WHERE {conditions}{order} LIMIT ? OFFSET ?"
    return office.db.execute(statement, (*values, *order_values, *limits)).fetchall()


def _prefix(column: str, wanted: str) -> tuple[str, tuple[object, ...]]:
    """A prefix match as a range, which an index can answer."""
    return f"{column} >= ? AND {column} < ?", (wanted, wanted + "\U0010ffff")


def _starts(column: str) -> Callable[[str], tuple[str, tuple[object, ...]] | None]:
    def condition(wanted: str) -> tuple[str, tuple[object, ...]] | None:
        return (f"instr(lower(p.{column}), ?) = 1", (wanted.lower(),)) if wanted else None

    return condition


def _contains(column: str) -> Callable[[str], tuple[str, tuple[object, ...]] | None]:
    def condition(wanted: str) -> tuple[str, tuple[object, ...]] | None:
        return (f"instr(lower(p.{column}), ?) > 0", (wanted.lower(),)) if wanted else None

    return condition


def _phone(wanted: str) -> tuple[str, tuple[object, ...]] | None:
    if not wanted:
        return None
    number = digits(wanted)
    return "? IN (digits(p.HmPhone), digits(p.WkPhone), digits(p.WirelessPhone)) AND ? <> ''", (number, number)


def _clinics(wanted: str) -> tuple[str, tuple[object, ...]] | None:
    numbers = [int(part) for part in wanted.split(",") if part.strip().isdecimal()]
    marks = ", ".join("?" * len(numbers))
    return (f"p.ClinicNum IN (0, {marks})", tuple(numbers)) if numbers else None


_SEARCH: dict[str, Callable[[str], tuple[str, tuple[object, ...]] | None]] = {
    "City": _starts("City"),
    "State": _starts("State"),
    "SSN": _starts("SSN"),
    "ChartNumber": _starts("ChartNumber"),
    "Email": _contains("Email"),
    "Address": _contains("Address"),
    "Country": _contains("Country"),
    "Phone": _phone,
    "clinicNums": _clinics,
    "clinicAbbr": lambda wanted: ("clinic.Abbr = ?", (wanted,)) if wanted else None,
}


def _full(row: sqlite3.Row) -> dict[str, object]:
    return {
        **{name: row[name] for name in _NUMBERS},
        **{name: wire.shown(row[name]) for name in _TEXTS},
        **_UNUSED,
        "priProvAbbr": row["priProvAbbr"],
        "secProvAbbr": row["secProvAbbr"],
        "clinicAbbr": row["clinicAbbr"],
        "BillingType": row["BillingName"],
        "EstBalance": wire.number(row["EstBalance"]),
        "BalTotal": wire.number(row["BalTotal"]),
        "DateTStamp": row["DateTStamp"],
        "SecDateEntry": row["SecDateEntry"],
    }


def _short(row: sqlite3.Row) -> dict[str, object]:
    """The record of the search: without family, balances and time stamps, and with Zip as a number where it is one."""
    short = {name: value for name, value in _full(row).items() if name not in _FULL_ONLY}
    return {**short, "Zip": int(row["Zip"]) if row["Zip"].isdecimal() else row["Zip"]}
