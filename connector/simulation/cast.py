"""The people of a simulated practice: real-looking names from the demo's data, each a patient and perhaps a member."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random
from typing import TypeVar

from connector.billing.agreements.schedule import Frequency
from connector.sandbox.demo.practice import patient_file

T = TypeVar("T")

FIRST_PATIENT = 1001
"""Open Dental counts its patients from here, in the order of the file."""
OLDEST = date(1900, 1, 1)

METHODS = (
    (56, "pm_card_visa"),
    (22, "pm_becs_success"),
    (4, "pm_card_declineOnce_insufficient_funds"),
    (3, "pm_card_declineTwice_do_not_honor"),
    (3, "pm_card_decline_insufficient_funds"),
    (2, "pm_card_decline_expired_card"),
    (2, "pm_card_authenticationRequired"),
    (4, "pm_becs_failOnce_insufficient_funds"),
    (2, "pm_becs_fail_account_closed"),
    (1, "pm_becs_dispute"),
    (1, "pm_card_refundFail"),
)
"""So many of a hundred pay in this way."""
FREQUENCIES = (
    (70, Frequency.MONTHLY),
    (16, Frequency.FORTNIGHTLY),
    (12, Frequency.WEEKLY),
    (2, Frequency.ANNUALLY),
)


@dataclass(frozen=True, slots=True, repr=False)
class Somebody:
    """One patient of the practice, who is to become a member. Has no repr: the fields look personal."""

    number: int
    given_name: str
    family_name: str
    born: date
    patient_id: str
    stranger_id: str
    """A patient who is no member, for whom somebody might take this one."""
    method: str
    frequency: Frequency
    plan: str


def cast(count: int, plans: Sequence[str], dice: Random) -> list[Somebody]:
    """So many people, each with a way to pay; the n-th is the n-th patient of `patients_csv`."""
    people = []
    for number, row in zip(range(count), _usable(), strict=False):
        people.append(
            Somebody(
                number,
                row["given_name"],
                row["family_name"],
                date.fromisoformat(row["date_of_birth"]),
                str(FIRST_PATIENT + number),
                str(FIRST_PATIENT + count + number),
                _one_of(METHODS, dice),
                _one_of(FREQUENCIES, dice),
                dice.choice(plans),
            )
        )
    return people


def patients_csv(folder: Path, count: int) -> Path:
    """The file from which the practice system gets its patients; twice as many as become members."""
    file = folder / "patients.csv"
    rows = [row for _, row in zip(range(2 * count), _usable(), strict=False)]
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def _usable() -> Iterator[dict[str, str]]:
    """Everybody with a name and a plausible date of birth, no two alike."""
    seen = set()
    with patient_file() as file, file.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            who = row["given_name"], row["family_name"], row["date_of_birth"]
            if all(who) and row["date_of_birth"] >= OLDEST.isoformat() and who not in seen:
                seen.add(who)
                yield row


def _one_of(shares: Sequence[tuple[int, T]], dice: Random) -> T:
    (chosen,) = dice.choices([value for _, value in shares], [weight for weight, _ in shares])
    return chosen
