"""News from Stripe: its event feed, its webhooks, and the lists and objects in which one looks things up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Protocol, TypeVar

from connector.billing.collecting.charges import ReturnKind
from connector.billing.processor import Movement, PayoutReport, ProcessorEvent, ReturnReport
from connector.billing.stripe import mapping, money_mapping, webhooks
from connector.billing.stripe.account import StripeAccount
from connector.billing.stripe.charges import PAID_BACK
from connector.billing.stripe.client import translated
from connector.errors import UnexpectedResponse

PAGE = 100


class _Object(Protocol):
    @property
    def id(self) -> str: ...


Object = TypeVar("Object", bound=_Object)


class News(StripeAccount):
    """What happened, whoever started it."""

    def events_since(self, instant: datetime) -> Iterator[ProcessorEvent]:
        with translated("read the events"):
            page = self._stripe.events.list(
                {"created": {"gte": int(instant.timestamp())}, "types": list(mapping.EVENT_KINDS), "limit": PAGE}
            )
            # Stripe lists newest first; the whole window is read before the oldest is known.
            events = [mapping.event(event) for event in _each_once(page.auto_paging_iter())]
        return reversed(events)

    def verify_webhook(self, payload: bytes, signature: str, now: datetime) -> ProcessorEvent:
        return webhooks.verified(self._settings, payload, signature, now)

    def charges_since(self, instant: datetime) -> Iterator[str]:
        with translated("list the charges"):
            page = self._stripe.payment_intents.list({"created": {"gte": int(instant.timestamp())}, "limit": PAGE})
            ids = [intent.id for intent in _each_once(page.auto_paging_iter())]
        return reversed(ids)

    def returns_since(self, instant: datetime) -> Iterator[tuple[ReturnKind, str]]:
        since = int(instant.timestamp())
        with translated("list the refunds"):
            refunds = self._stripe.refunds.list({"created": {"gte": since}, "limit": PAGE})
            given = [(ReturnKind.REFUND, refund.id) for refund in _each_once(refunds.auto_paging_iter())]
        with translated("list the disputes"):
            disputes = self._stripe.disputes.list({"created": {"gte": since}, "limit": PAGE})
            taken = [(ReturnKind.DISPUTE, dispute.id) for dispute in _each_once(disputes.auto_paging_iter())]
        return iter([*reversed(given), *reversed(taken)])

    def payouts_since(self, instant: datetime) -> Iterator[str]:
        with translated("list the payouts"):
            page = self._stripe.payouts.list({"created": {"gte": int(instant.timestamp())}, "limit": PAGE})
            ids = [payout.id for payout in _each_once(page.auto_paging_iter())]
        return reversed(ids)

    def read_return(self, kind: ReturnKind, processor_id: str) -> ReturnReport:
        with translated(f"read the {kind}"):
            if kind is ReturnKind.REFUND:
                return money_mapping.refund(self._stripe.refunds.retrieve(processor_id, {"expand": PAID_BACK}))
            return money_mapping.dispute(self._stripe.disputes.retrieve(processor_id))

    def read_payout(self, processor_id: str) -> PayoutReport:
        with translated("read the payout"):
            return money_mapping.payout(self._stripe.payouts.retrieve(processor_id))

    def movements(self, start: datetime, end: datetime) -> Iterator[Movement]:
        with translated("read the balance"):
            page = self._stripe.balance_transactions.list(
                {
                    "created": {"gte": int(start.timestamp()), "lt": int(end.timestamp())},
                    "limit": PAGE,
                    "expand": ["data.source"],
                }
            )
            lines = [money_mapping.movement(line) for line in _each_once(page.auto_paging_iter())]
        return reversed(lines)


def _each_once(found: Iterable[Object]) -> Iterator[Object]:
    """What a list holds, over all its pages. Raises UnexpectedResponse when it repeats itself and would never end."""
    seen: set[str] = set()
    for item in found:
        if item.id in seen:
            raise UnexpectedResponse("Stripe's list repeats itself: it is read again later.")
        seen.add(item.id)
        yield item
