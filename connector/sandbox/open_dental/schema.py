"""The office's tables, under the vendor's column names, and what a new office holds. Amounts are whole cents here."""

from __future__ import annotations

import sqlite3

TABLES = """
CREATE TABLE patient (
    PatNum INTEGER PRIMARY KEY AUTOINCREMENT,
    LName TEXT NOT NULL, FName TEXT NOT NULL, MiddleI TEXT NOT NULL DEFAULT '', Preferred TEXT NOT NULL DEFAULT '',
    PatStatus TEXT NOT NULL DEFAULT 'Patient', Gender TEXT NOT NULL DEFAULT 'Unknown',
    Position TEXT NOT NULL DEFAULT 'Single', Birthdate TEXT NOT NULL DEFAULT '0001-01-01', SSN TEXT NOT NULL DEFAULT '',
    Address TEXT NOT NULL DEFAULT '', Address2 TEXT NOT NULL DEFAULT '', City TEXT NOT NULL DEFAULT '',
    State TEXT NOT NULL DEFAULT '', Zip TEXT NOT NULL DEFAULT '', Country TEXT NOT NULL DEFAULT '',
    HmPhone TEXT NOT NULL DEFAULT '', WkPhone TEXT NOT NULL DEFAULT '', WirelessPhone TEXT NOT NULL DEFAULT '',
    Email TEXT NOT NULL DEFAULT '', ChartNumber TEXT NOT NULL DEFAULT '', Language TEXT NOT NULL DEFAULT '',
    TxtMsgOk TEXT NOT NULL DEFAULT 'Unknown', Guarantor INTEGER NOT NULL DEFAULT 0,
    SuperFamily INTEGER NOT NULL DEFAULT 0, PriProv INTEGER NOT NULL DEFAULT 1, SecProv INTEGER NOT NULL DEFAULT 0,
    BillingType INTEGER NOT NULL DEFAULT 0, ClinicNum INTEGER NOT NULL DEFAULT 0,
    EstBalance INTEGER NOT NULL DEFAULT 0, BalTotal INTEGER NOT NULL DEFAULT 0,
    DateTStamp TEXT NOT NULL, SecDateEntry TEXT NOT NULL,
    MergedInto INTEGER NOT NULL DEFAULT 0, LNameKey TEXT NOT NULL, FNameKey TEXT NOT NULL
);
CREATE INDEX patient_name ON patient (LNameKey, FNameKey);
CREATE INDEX patient_birth ON patient (Birthdate);
CREATE INDEX patient_guarantor ON patient (Guarantor);
CREATE INDEX patient_chart ON patient (ChartNumber);

CREATE TABLE patfielddef (FieldName TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE patfield (
    PatFieldNum INTEGER PRIMARY KEY AUTOINCREMENT, PatNum INTEGER NOT NULL, FieldName TEXT NOT NULL,
    FieldValue TEXT NOT NULL, SecDateTEdit TEXT NOT NULL
);
CREATE INDEX patfield_patient ON patfield (PatNum);

CREATE TABLE payment (
    PayNum INTEGER PRIMARY KEY AUTOINCREMENT, PayType INTEGER NOT NULL, PayDate TEXT NOT NULL, PayAmt INTEGER NOT NULL,
    CheckNum TEXT NOT NULL, BankBranch TEXT NOT NULL, PayNote TEXT NOT NULL, PatNum INTEGER NOT NULL,
    ClinicNum INTEGER NOT NULL, DateEntry TEXT NOT NULL, DepositNum INTEGER NOT NULL DEFAULT 0,
    SecDateTEdit TEXT NOT NULL, PaymentSource TEXT NOT NULL, ProcessStatus TEXT NOT NULL DEFAULT 'OfficeProcessed',
    Origin TEXT NOT NULL
);
CREATE INDEX payment_entry ON payment (DateEntry, PayNum);
CREATE INDEX payment_patient ON payment (PatNum);

CREATE TABLE paysplit (
    SplitNum INTEGER PRIMARY KEY AUTOINCREMENT, PayNum INTEGER NOT NULL, PatNum INTEGER NOT NULL,
    SplitAmt INTEGER NOT NULL, ProvNum INTEGER NOT NULL, ClinicNum INTEGER NOT NULL, DatePay TEXT NOT NULL,
    DateEntry TEXT NOT NULL, ProcNum INTEGER NOT NULL, AdjNum INTEGER NOT NULL, PayPlanNum INTEGER NOT NULL,
    UnearnedType INTEGER NOT NULL, SecDateTEdit TEXT NOT NULL
);
CREATE INDEX paysplit_payment ON paysplit (PayNum);
CREATE INDEX paysplit_patient ON paysplit (PatNum, SplitAmt);
CREATE INDEX paysplit_procedure ON paysplit (ProcNum) WHERE ProcNum <> 0;
CREATE INDEX paysplit_adjustment ON paysplit (AdjNum) WHERE AdjNum <> 0;
CREATE INDEX paysplit_plan ON paysplit (PayPlanNum) WHERE PayPlanNum <> 0;

CREATE TABLE adjustment (
    AdjNum INTEGER PRIMARY KEY AUTOINCREMENT, AdjDate TEXT NOT NULL, AdjAmt INTEGER NOT NULL, PatNum INTEGER NOT NULL,
    AdjType INTEGER NOT NULL, ProvNum INTEGER NOT NULL, AdjNote TEXT NOT NULL, ProcDate TEXT NOT NULL,
    ProcNum INTEGER NOT NULL, ClinicNum INTEGER NOT NULL, DateEntry TEXT NOT NULL, SecDateTEdit TEXT NOT NULL
);
CREATE INDEX adjustment_patient ON adjustment (PatNum);
CREATE INDEX adjustment_procedure ON adjustment (ProcNum) WHERE ProcNum <> 0;

CREATE TABLE procedurelog (
    ProcNum INTEGER PRIMARY KEY AUTOINCREMENT, PatNum INTEGER NOT NULL, ProcDate TEXT NOT NULL,
    ProcFee INTEGER NOT NULL, ProcStatus TEXT NOT NULL, procCode TEXT NOT NULL,
    ProvNum INTEGER NOT NULL, ClinicNum INTEGER NOT NULL, DateEntryC TEXT NOT NULL, DateTStamp TEXT NOT NULL
);
CREATE INDEX procedurelog_patient ON procedurelog (PatNum);

CREATE TABLE payplan (
    PayPlanNum INTEGER PRIMARY KEY AUTOINCREMENT, PatNum INTEGER NOT NULL, PayPlanDate TEXT NOT NULL,
    PayAmt INTEGER NOT NULL
);
CREATE INDEX payplan_patient ON payplan (PatNum);

CREATE TABLE definition (
    DefNum INTEGER PRIMARY KEY AUTOINCREMENT, Category INTEGER NOT NULL, ItemName TEXT NOT NULL,
    ItemValue TEXT NOT NULL DEFAULT '', isHidden INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE preference (
    PrefNum INTEGER PRIMARY KEY, PrefName TEXT NOT NULL UNIQUE, ValueString TEXT NOT NULL
);
CREATE TABLE provider (ProvNum INTEGER PRIMARY KEY, Abbr TEXT NOT NULL, LName TEXT NOT NULL, FName TEXT NOT NULL);
CREATE TABLE clinic (ClinicNum INTEGER PRIMARY KEY, Description TEXT NOT NULL, Abbr TEXT NOT NULL);

CREATE TABLE late_write (Number INTEGER PRIMARY KEY AUTOINCREMENT, Due TEXT NOT NULL, Body TEXT NOT NULL);
CREATE TABLE sandbox_clock (Now TEXT NOT NULL);
"""

PAYMENT_TYPES, ADJUSTMENT_TYPES, BILLING_TYPES, UNEARNED_TYPES = 10, 1, 4, 29

CATEGORY_NAMES = {
    ADJUSTMENT_TYPES: "AdjTypes",
    BILLING_TYPES: "BillingTypes",
    PAYMENT_TYPES: "PaymentTypes",
    UNEARNED_TYPES: "PaySplitUnearnedType",
}

_DEFINITIONS = [
    (UNEARNED_TYPES, "Prepayment", "", 0),
    (UNEARNED_TYPES, "Treatment Plan Prepayment", "X", 0),
    (BILLING_TYPES, "Standard Account", "", 0),
    (BILLING_TYPES, "Membership", "M", 0),
    (ADJUSTMENT_TYPES, "Write-off", "-", 0),
    (ADJUSTMENT_TYPES, "Discount", "-", 0),
    (ADJUSTMENT_TYPES, "Finance Charge", "+", 0),
    (ADJUSTMENT_TYPES, "Payment Returned", "+", 0),
    (PAYMENT_TYPES, "Check", "", 0),
    (PAYMENT_TYPES, "Cash", "", 0),
    (PAYMENT_TYPES, "Credit Card", "N", 0),
    (PAYMENT_TYPES, "Direct Debit", "N", 0),
    (PAYMENT_TYPES, "Membership Card", "N", 0),
    (PAYMENT_TYPES, "Voucher", "", 1),
]
_FIRST_NUMBERS = {"patient": 1001, "payment": 90001, "paysplit": 200001, "adjustment": 5001, "procedurelog": 7001}
"""Where the numbers of each table begin: far apart, so that one taken for another is noticed."""


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of a new office and fill in what every office has. Call inside a transaction."""
    for statement in TABLES.split(";"):
        connection.execute(statement)
    connection.execute("INSERT INTO sqlite_sequence VALUES ('definition', 300)")
    connection.executemany(
        "INSERT INTO sqlite_sequence VALUES (?, ?)", [(table, first - 1) for table, first in _FIRST_NUMBERS.items()]
    )
    connection.executemany(
        "INSERT INTO definition (Category, ItemName, ItemValue, isHidden) VALUES (?, ?, ?, ?)", _DEFINITIONS
    )
    connection.executemany(
        "INSERT INTO preference (PrefName, ValueString) VALUES (?, ?)",
        [
            ("ApiPaymentType", _definition(connection, PAYMENT_TYPES, "Credit Card")),
            ("PrepaymentUnearnedType", _definition(connection, UNEARNED_TYPES, "Prepayment")),
            ("SecurityLockDate", ""),
            ("SecurityLockDays", "0"),
        ],
    )
    connection.executemany(
        "INSERT INTO provider VALUES (?, ?, ?, ?)", [(1, "DOC1", "Winter", "Ines"), (2, "HYG1", "Castle", "Noor")]
    )
    connection.execute("INSERT INTO patfielddef VALUES ('Membership')")


def _definition(connection: sqlite3.Connection, category: int, name: str) -> str:
    query = "SELECT DefNum FROM definition WHERE Category = ? AND ItemName = ?"
    return str(connection.execute(query, (category, name)).fetchone()[0])
