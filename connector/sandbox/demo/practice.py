"""The demo practice's people: who joins, how they pay, and what is unusual about some of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import date
from importlib.resources import as_file, files
from pathlib import Path

_DATA = files("connector.sandbox.demo") / "data"

METHODS = (
    (70, "pm_card_visa"),
    (18, "pm_becs_success"),
    (4, "pm_card_au"),
    (2, "pm_card_decline_insufficient_funds"),
    (2, "pm_card_declineOnce_insufficient_funds"),
    (1, "pm_becs_fail_refer_to_customer"),
    (1, "pm_card_authenticationRequired"),
    (1, "pm_becs_failOnce_insufficient_funds"),
)
"""Of about a hundred members, so many pay in this way; the last one of a hundred is in RARE."""

RARE = ("pm_becs_fail_account_closed", "pm_becs_dispute", "pm_card_createDispute", "pm_card_decline_expired_card")

FREQUENCIES = ("monthly",) * 16 + ("fortnightly",) * 3 + ("weekly",)
PLANS = ("Essential", "Comprehensive", "Premium")


def method_of(number: int) -> str:
    """How the member with that number pays."""
    place = number % 100
    for share, name in METHODS:
        if place < share:
            return name
        place -= share
    return RARE[number // 100 % len(RARE)]


def patient_file() -> AbstractContextManager[Path]:
    """The patients whom the practice system holds, as a file for the time of the block."""
    return as_file(_DATA / "patients.csv")


def write_member_files(folder: Path, members: int) -> dict[str, Path]:
    """One file per plan with the people who join; the source's own mistakes are left in, and refused by the import.

    Rows are taken until `members` of them can be imported.
    """
    with as_file(_DATA / "members.csv") as source, source.open(encoding="utf-8", newline="") as stream:
        rows = list(_enough(csv.DictReader(stream), members))
    paths = {plan: folder / f"members-{plan.lower()}.csv" for plan in PLANS}
    for number, plan in enumerate(PLANS):
        with paths[plan].open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, [*rows[0], "frequency"])
            writer.writeheader()
            for index, row in enumerate(rows):
                if index % len(PLANS) == number:
                    writer.writerow({**row, "frequency": FREQUENCIES[index % len(FREQUENCIES)]})
    return paths


def _enough(rows: csv.DictReader[str], members: int) -> Iterator[dict[str, str]]:
    good = 0
    for row in rows:
        if good == members:
            return
        good += bool(row["given_name"] and row["family_name"] and _plausible(row["date_of_birth"]))
        yield row


def _plausible(text: str) -> bool:
    try:
        return not text or date.fromisoformat(text).year >= 1900
    except ValueError:
        return False
