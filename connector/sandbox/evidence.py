"""What the store of the simulated Stripe says about charges of ours, for whoever judges without the product's rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from connector.sandbox.demo.processes import Sandbox

PAGE = 100
MARK = "SP"
MARK_LENGTH = 22
"""Of our mark of a charge; letters and numbers may follow it for other people and for what went back."""

Direction = tuple[str, bool]
"""A charge, by our mark without what follows it, and whether money came in (True) or went back."""
Document = Mapping[str, Any]


def listed(stripe: Sandbox, key: str, kind: str) -> Iterator[dict[str, Any]]:
    """All objects of a kind such as `charges`, newest first."""
    after = ""
    while True:
        page = stripe.get(f"/v1/{kind}?limit={PAGE}{after}", Authorization=f"Bearer {key}")
        yield from page["data"]
        if not page["has_more"]:
            return
        after = f"&starting_after={page['data'][-1]['id']}"


def direction(reference: str) -> Direction:
    """What a reference is about. An entry that takes a return back belongs to what went back."""
    return reference[:MARK_LENGTH], not any(letter in reference[MARK_LENGTH:] for letter in "RU")


def is_taken(charge: Document) -> bool:
    """Whether the charge brought money; what is only held on a card was not taken."""
    return bool(charge["status"] == "succeeded" and charge["captured"])


def mark_of(charge: Document) -> str:
    """Our mark of the charge. A second success for one invoice has another only if it is another charge of ours."""
    return MARK + str(charge["metadata"]["charge_id"]).partition("_")[2]


def given_back(refunds: Iterable[Document], disputes: Iterable[Document]) -> Counter[str]:
    """Cents of each charge, by Stripe's id, that have gone back and did not come again."""
    back: Counter[str] = Counter()
    for refund in refunds:
        if refund["status"] == "succeeded":
            back[refund["charge"]] += int(refund["amount"])
    for dispute in disputes:
        # An inquiry has moved nothing.
        if dispute["balance_transactions"]:
            back[dispute["charge"]] -= sum(int(line["amount"]) for line in dispute["balance_transactions"])
    return back
