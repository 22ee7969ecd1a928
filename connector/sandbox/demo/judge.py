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
    """`waiting` maps our reference to the signed cents that are listed as not yet in the practice system."""
    taken, returned = _stripe_money(stripe, key)
    rows = list(_our_rows(office.get("/_sandbox/payments")["payments"]))
    entries = Counter(reference for reference, _ in rows)
    written: Counter[str] = Counter()
    for reference, cents in rows:
        written[reference] += cents
    expected = {**taken, **returned}
    lost = [reference for reference in expected if reference not in entries and reference not in waiting]
    unexplained = 0
    for reference in expected.keys() | written.keys():
        explained = written[reference] + (0 if reference in entries else waiting.get(reference, 0))
        unexplained += abs(expected.get(reference, 0) - explained)
    return Verdict(
        charges_succeeded=len(taken),
        charged_cents=sum(taken.values()),
        entries=len(rows),
        written_cents=sum(written.values()),
        duplicates_in_pms=sum(count - 1 for count in entries.values()),
        lost=len(lost),
        unexplained_cents=unexplained,
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
        if reference.startswith("SP"):
            yield reference, int(row["cents"])


def _stripe_money(stripe: Sandbox, key: str) -> tuple[dict[str, int], dict[str, int]]:
    """Cents taken and, negative, given back, under the references that the practice system should show."""
    taken: dict[str, int] = {}
    by_charge: dict[str, str] = {}
    for charge in _listed(stripe, key, "charges"):
        if charge["status"] == "succeeded":
            reference = "SP" + str(charge["metadata"]["charge_id"]).partition("_")[2]
            # A second success for the same invoice has a reference of its own only if it is another charge of ours.
            taken[reference] = taken.get(reference, 0) + int(charge["amount"])
            by_charge[charge["id"]] = reference
    given = [r for r in _listed(stripe, key, "refunds") if r["status"] == "succeeded" and r["charge"] in by_charge]
    given += [d for d in _listed(stripe, key, "disputes") if d["charge"] in by_charge and d["balance_transactions"]]
    returned: dict[str, int] = {}
    numbers: Counter[str] = Counter()
    for item in sorted(given, key=lambda item: int(item["created"])):
        reference = by_charge[item["charge"]]
        numbers[reference] += 1
        returned[f"{reference}R{numbers[reference]}"] = -int(item["amount"])
    return taken, returned


def _listed(stripe: Sandbox, key: str, kind: str) -> Iterator[dict[str, Any]]:
    after = ""
    while True:
        page = stripe.get(f"/v1/{kind}?limit={PAGE}{after}", Authorization=f"Bearer {key}")
        yield from page["data"]
        if not page["has_more"]:
            return
        after = f"&starting_after={page['data'][-1]['id']}"
