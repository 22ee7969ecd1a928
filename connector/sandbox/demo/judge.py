"""The independent judge: compares what the two sandboxes hold, without looking at how we got there.

From our side it takes only one thing, the list of what still waits, because that is what we tell people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.sandbox.demo.processes import Sandbox
from connector.sandbox.evidence import MARK, Direction, direction, given_back, is_taken, listed, mark_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the two stores say about each other; the last three must be zero."""

    charges_succeeded: int
    charged_cents: int
    entries: int
    written_cents: int
    duplicates_in_pms: int
    lost: int
    unexplained_cents: int


def judge(stripe: Sandbox, key: str, office: Sandbox, waiting: Mapping[str, int]) -> Verdict:
    """`waiting` maps our reference to the signed cents that are listed as not yet in the practice system.

    A household's payment stands in several ledgers, so entries are added up by charge and direction.
    """
    taken, returned = _stripe_money(stripe, key)
    rows = list(_our_rows(office.get("/_sandbox/payments")["payments"]))
    entries = Counter(reference for reference, _ in rows)
    shown: Counter[Direction] = Counter()
    for reference, cents in rows:
        shown[direction(reference)] += cents
    for reference, cents in waiting.items():
        if reference not in entries:
            shown[direction(reference)] += cents
    expected = {**taken, **returned}
    return Verdict(
        charges_succeeded=len(taken),
        charged_cents=sum(taken.values()),
        entries=len(rows),
        written_cents=sum(cents for _, cents in rows),
        duplicates_in_pms=sum(count - 1 for count in entries.values()),
        lost=len([place for place in expected if place not in shown]),
        unexplained_cents=sum(abs(expected.get(it, 0) - shown[it]) for it in expected.keys() | shown.keys()),
    )


def _our_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, int]]:
    """Reference and cents of each entry of ours.

    A refund that could not be marked any more has the reference that was announced on the payment that it takes back.
    """
    announced = {(row["PatNum"], -int(row["cents"])): str(row["BankBranch"]) for row in rows if row["BankBranch"]}
    for row in rows:
        unmarked_refund = row["Origin"] == "api" and row["cents"] < 0 and not row["CheckNum"]
        place = row["PatNum"], int(row["cents"])
        reference = announced.get(place, "") if unmarked_refund else str(row["CheckNum"])
        if reference.startswith(MARK):
            yield reference, int(row["cents"])


def _stripe_money(stripe: Sandbox, key: str) -> tuple[dict[Direction, int], dict[Direction, int]]:
    """Cents taken and, negative, given back, of each charge."""
    taken: dict[Direction, int] = {}
    returned: dict[Direction, int] = {}
    back = given_back(listed(stripe, key, "refunds"), listed(stripe, key, "disputes"))
    for charge in listed(stripe, key, "charges"):
        if is_taken(charge):
            mark = mark_of(charge)
            taken[mark, True] = taken.get((mark, True), 0) + int(charge["amount_captured"])
            if charge["id"] in back:
                returned[mark, False] = returned.get((mark, False), 0) - back[charge["id"]]
    return taken, returned
