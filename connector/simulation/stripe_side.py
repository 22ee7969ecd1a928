"""The simulated Stripe in the same process: how the product reaches it, and how patients, banks and the judge do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from tenacity import wait_none

from connector.billing.processor import ProcessorEvent
from connector.billing.stripe import StripeProcessor
from connector.billing.stripe.client import MeteredClient
from connector.sandbox.demo.processes import Sandbox
from connector.sandbox.evidence import listed
from connector.sandbox.stripe import create_app as stripe_app
from connector.settings import StripeSettings
from connector.simulation.disturbances import LANDED, NOT_LANDED, Disturbances
from connector.simulation.faults import Dice, FaultKind
from connector.simulation.in_process import InProcess

KEY = "sk_test_simulation"
STRIPE = "http://stripe.sandbox"
OFFICE = "http://office"
IN_MEMORY = Path(":memory:")


class _Connection(MeteredClient):
    """To the Stripe in this process, and without any wait between two tries."""

    pause = wait_none()

    def __init__(self, settings: StripeSettings, network: httpx.BaseTransport) -> None:
        super().__init__(settings)
        self._client = httpx.Client(transport=network)

    def _sleep_time_seconds(self, *_args: Any, **_options: Any) -> float:
        return 0.0


class ForgetfulProcessor(StripeProcessor):
    """The real processor on a feed of news that repeats, reorders, delays and misses events."""

    def __init__(self, settings: StripeSettings, http: MeteredClient, dice: Dice) -> None:
        super().__init__(settings, http)
        self._dice = dice
        self.trouble: FaultKind | None = None
        """What becomes of the next news."""
        self._missed: set[str] = set()

    def events_since(self, instant: datetime) -> Iterator[ProcessorEvent]:
        events = [event for event in super().events_since(instant) if event.id not in self._missed]
        kind, self.trouble = self.trouble, None
        if kind is None or len(events) < MANY:
            self.trouble = kind
            return iter(events)
        dice = self._dice.of("news")
        if kind is FaultKind.DUPLICATE_EVENT:
            events += dice.sample(events, len(events) // 2)
        elif kind is FaultKind.REORDERED_EVENTS:
            dice.shuffle(events)
        else:
            chosen = dice.choice(events)
            events.remove(chosen)
            if kind is FaultKind.MISSED_EVENT:
                self._missed.add(chosen.id)
        self._dice.count(kind)
        return iter(events)


PATHS = ("/v1/*", "/v1/refunds*", "/v1/payment_intents", "/v1/payment_intents/*")
"""Where an answer may be lost."""
MANY = 3
"""With fewer events there is nothing to reorder."""


@dataclass
class StripeSide:
    """One Stripe account."""

    dice: Dice
    settings: StripeSettings = field(default_factory=lambda: StripeSettings(secret_key=SecretStr(KEY), api_base=STRIPE))

    def __post_init__(self) -> None:
        app = stripe_app(IN_MEMORY)
        self.network = InProcess(app)
        self.sandbox = Sandbox(STRIPE, httpx.Client(transport=InProcess(app)))
        self.disturbances = Disturbances(self.sandbox, self.dice)
        self.processor = ForgetfulProcessor(self.settings, _Connection(self.settings, self.network), self.dice)

    def disturb(self, kind: FaultKind) -> None:
        """Let something of that kind go wrong soon."""
        match kind:
            case FaultKind.STRIPE_LOST_ANSWER:
                self.disturbances.arm(kind, "POST", self.dice.of("path").choice(PATHS), LANDED)
            case FaultKind.STRIPE_NOT_APPLIED:
                self.disturbances.arm(kind, "POST", "/v1/*", NOT_LANDED[:2])
            case FaultKind.STRIPE_THROTTLED:
                self.disturbances.arm(kind, "*", "/v1/*", ({"kind": "rate_limit"},))
            case _:
                self.processor.trouble = kind

    def listed(self, kind: str) -> Iterator[dict[str, Any]]:
        """All objects of a kind such as `charges`, newest first."""
        return listed(self.sandbox, KEY, kind)

    def do(self, path: str, **form: str) -> bool:
        """Do something at the dashboard, e.g. `do("refunds", charge=...)`; tells whether it was accepted."""
        url = f"{STRIPE}/v1/{path}"
        answer = self.sandbox.client.post(url, data=form, headers={"Authorization": f"Bearer {KEY}"})
        return answer.is_success
