"""News from Stripe: its event feed, its webhooks, and the lists and objects in which one looks things up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from connector.billing.collecting.charges import ReturnKind
from connector.billing.processor import ListedCharge, Movement, PayoutReport, ProcessorEvent, ReturnReport
from connector.billing.stripe import mapping, money_mapping, webhooks
from connector.billing.stripe.account import StripeAccount
from connector.billing.stripe.charges import PAID_BACK
from connector.billing.stripe.client import translated
from connector.errors import UnexpectedResponse

PAGE = 100

T = TypeVar("T")


class News(StripeAccount):
    """What happened, whoever started it."""

    def events_since(self, instant: datetime) -> Iterator[ProcessorEvent]:
        with translated("read the events"):
            listed = self._listed("events", created={"gte": int(instant.timestamp())}, types=list(mapping.EVENT_KINDS))
            # Stripe lists newest first; the whole window is read before the oldest is known.
            events = [mapping.event(event) for event in listed]
        return reversed(events)

    def verify_webhook(self, payload: bytes, signature: str, now: datetime) -> ProcessorEvent:
        return webhooks.verified(self._settings, payload, signature, now)

    def charges_since(self, instant: datetime) -> Iterator[ListedCharge]:
        return self._since("payment_intents", instant, money_mapping.listed_charge)

    def returns_since(self, instant: datetime) -> Iterator[tuple[ReturnKind, str]]:
        refunds = [(ReturnKind.REFUND, found) for found in self._ids_since("refunds", instant)]
        disputes = [(ReturnKind.DISPUTE, found) for found in self._ids_since("disputes", instant)]
        return iter([*refunds, *disputes])

    def payouts_since(self, instant: datetime) -> Iterator[str]:
        return self._ids_since("payouts", instant)

    def read_return(self, kind: ReturnKind, processor_id: str) -> ReturnReport:
        with translated(f"read the {kind}"):
            if kind is ReturnKind.REFUND:
                return money_mapping.refund(self._stripe.refunds.retrieve(processor_id, {"expand": PAID_BACK}))
            return money_mapping.dispute(self._stripe.disputes.retrieve(processor_id))

    def read_payout(self, processor_id: str) -> PayoutReport:
        with translated("read the payout"):
            return money_mapping.payout(self._stripe.payouts.retrieve(processor_id))

    def movements(self, start: datetime, end: datetime) -> Iterator[Movement]:
        window = {"gte": int(start.timestamp()), "lt": int(end.timestamp())}
        with translated("read the balance"):
            listed = self._listed("balance_transactions", created=window, expand=["data.source"])
            lines = [money_mapping.movement(line) for line in listed]
        return reversed(lines)

    def _ids_since(self, name: str, instant: datetime) -> Iterator[str]:
        return self._since(name, instant, lambda document: str(document["id"]))

    def _since(self, name: str, instant: datetime, read: Callable[[dict[str, Any]], T]) -> Iterator[T]:
        with translated(f"list the {name.replace('_', ' ')}"):
            found = [read(document) for document in self._listed(name, created={"gte": int(instant.timestamp())})]
        return reversed(found)

    def _listed(self, name: str, **wanted: Any) -> Iterator[dict[str, Any]]:
        """What a list holds, over all its pages, as plain documents: the library's objects cost ten times as much.

        Raises UnexpectedResponse when it repeats itself and would never end.
        """
        seen: set[str] = set()
        while True:
            page = self._whole.raw_request("get", f"/v1/{name}", limit=PAGE, **wanted).data
            for document in page["data"]:
                if document["id"] in seen:
                    raise UnexpectedResponse("Stripe's list repeats itself: it is read again later.")
                seen.add(document["id"])
                yield document
            if not page["has_more"]:
                return
            wanted["starting_after"] = page["data"][-1]["id"]
