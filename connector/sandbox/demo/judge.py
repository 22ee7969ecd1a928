"""The independent judge: compares what the two sandboxes hold, without looking at how we got there.

From our side it takes only one thing, the list of what still waits, because that is what we tell people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.sandbox.demo.processes import Sandbox

PAGE = 100
MARK_LENGTH = 22
"""Of our mark; letters and numbers may follow it."""


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


Direction = tuple[str, bool]
"""A charge, by our mark without what follows it, and whether money came in (True) or went back."""


def judge(stripe: Sandbox, key: str, office: Sandbox, waiting: Mapping[str, int]) -> Verdict:
    """`waiting` maps our reference to the signed cents that are listed as not yet in the practice system.

    A household's payment stands in several ledgers, so entries are added up by charge and direction.
    """
    taken, returned = _stripe_money(stripe, key)
    rows = list(_our_rows(office.get("/_sandbox/payments")["payments"]))
    entries = Counter(reference for reference, _ in rows)
    shown: Counter[Direction] = Counter()
    for reference, cents in rows:
        shown[_direction(reference)] += cents
    for reference, cents in waiting.items():
        if reference not in entries:
            shown[_direction(reference)] += cents
    expected = {**taken, **returned}
    return Verdict(
        charges_succeeded=len(taken),
        charged_cents=sum(taken.values()),
        entries=len(rows),
        written_cents=sum(cents for _, cents in rows),
        duplicates_in_pms=sum(count - 1 for count in entries.values()),
        lost=len([direction for direction in expected if direction not in shown]),
        unexplained_cents=sum(abs(expected.get(it, 0) - shown[it]) for it in expected.keys() | shown.keys()),
    )


def _direction(reference: str) -> Direction:
    """What a reference is about. An entry that takes a return back belongs to what went back."""
    return reference[:MARK_LENGTH], not any(letter in reference[MARK_LENGTH:] for letter in "RU")


def _our_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, int]]:
    """Reference and cents of each entry of ours.

    A refund that could not be marked any more has the reference that was announced on the payment that it takes back.
    """
    announced = {(row["PatNum"], -int(row["cents"])): str(row["BankBranch"]) for row in rows if row["BankBranch"]}
    for row in rows:
        unmarked_refund = row["Origin"] == "api" and row["cents"] < 0 and not row["CheckNum"]
        place = row["PatNum"], int(row["cents"])
        reference = announced.get(place, "") if unmarked_refund else str(row["CheckNum"])
        if reference.startswith("SP"):
            yield reference, int(row["cents"])


def _stripe_money(stripe: Sandbox, key: str) -> tuple[dict[Direction, int], dict[Direction, int]]:
    """Cents taken and, negative, given back, of each charge. What is only held on a card was not taken."""
    taken: dict[Direction, int] = {}
    by_charge: dict[str, str] = {}
    for charge in _listed(stripe, key, "charges"):
        if charge["status"] == "succeeded" and charge["captured"]:
            mark = "SP" + str(charge["metadata"]["charge_id"]).partition("_")[2]
            # A second success for the same invoice has a mark of its own only if it is another charge of ours.
            taken[mark, True] = taken.get((mark, True), 0) + int(charge["amount_captured"])
            by_charge[charge["id"]] = mark
    returned: dict[Direction, int] = {}
    for refund in _listed(stripe, key, "refunds"):
        if refund["status"] == "succeeded" and refund["charge"] in by_charge:
            mark = by_charge[refund["charge"]]
            returned[mark, False] = returned.get((mark, False), 0) - int(refund["amount"])
    for dispute in _listed(stripe, key, "disputes"):
        if dispute["charge"] in by_charge and dispute["balance_transactions"]:
            mark = by_charge[dispute["charge"]]
            gone = sum(int(line["amount"]) for line in dispute["balance_transactions"])
            returned[mark, False] = returned.get((mark, False), 0) + gone
    return taken, returned


def _listed(stripe: Sandbox, key: str, kind: str) -> Iterator[dict[str, Any]]:
    after = ""
    while True:
        page = stripe.get(f"/v1/{kind}?limit={PAGE}{after}", Authorization=f"Bearer {key}")
        yield from page["data"]
        if not page["has_more"]:
            return
        after = f"&starting_after={page['data'][-1]['id']}"
