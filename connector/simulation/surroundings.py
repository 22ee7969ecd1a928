"""The systems around the product, in the same process: the simulated Stripe and a practice system."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
from pydantic import SecretStr
from tenacity import wait_none

from connector.billing.processor import ProcessorEvent
from connector.billing.stripe import StripeProcessor
from connector.billing.stripe.client import MeteredClient
from connector.pms_adapters.open_dental.adapter import OpenDental, OpenDentalAdapter
from connector.pms_adapters.open_dental.settings import OpenDentalSettings
from connector.pms_adapters.port import ConnectionContext
from connector.sandbox.demo.processes import Sandbox
from connector.sandbox.open_dental import OfficeOptions
from connector.sandbox.open_dental import create_app as open_dental_app
from connector.sandbox.stripe import create_app as stripe_app
from connector.settings import StripeSettings
from connector.simulation.cast import patients_csv
from connector.simulation.faults import Dice, FaultKind
from connector.simulation.in_process import InProcess

KEY = "sk_test_simulation"
STRIPE = "http://stripe.sandbox"
OFFICE = "http://office"
IN_MEMORY = Path(":memory:")
PAGE = 100


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


MANY = 3
"""With fewer events there is nothing to reorder."""


@dataclass
class Stripe:
    """The simulated Stripe: how the product reaches it, and how patients, banks and the judge do."""

    dice: Dice
    settings: StripeSettings = field(default_factory=lambda: StripeSettings(secret_key=SecretStr(KEY), api_base=STRIPE))

    def __post_init__(self) -> None:
        app = stripe_app(IN_MEMORY)
        self.network = InProcess(app)
        self.sandbox = Sandbox(STRIPE, httpx.Client(transport=InProcess(app)))
        self.processor = ForgetfulProcessor(self.settings, _Connection(self.settings, self.network), self.dice)

    def listed(self, kind: str) -> Iterator[dict[str, Any]]:
        """All objects of a kind such as `charges`, newest first."""
        after = ""
        while True:
            page = self.sandbox.get(f"/v1/{kind}?limit={PAGE}{after}", Authorization=f"Bearer {KEY}")
            yield from page["data"]
            if not page["has_more"]:
                return
            after = f"&starting_after={page['data'][-1]['id']}"

    def do(self, path: str, **form: str) -> bool:
        """Do something at the dashboard, e.g. `do("refunds", charge=...)`; tells whether it was accepted."""
        url = f"{STRIPE}/v1/{path}"
        answer = self.sandbox.client.post(url, data=form, headers={"Authorization": f"Bearer {KEY}"})
        return answer.is_success


class _InProcessOpenDental(OpenDental):
    """The real adapter on the network of this process, without pauses between its attempts to read."""

    def __init__(self, network: httpx.BaseTransport) -> None:
        self._network = network

    def open(self, settings: Mapping[str, str], context: ConnectionContext) -> OpenDentalAdapter:
        parsed = OpenDentalSettings.parse(settings)
        return OpenDentalAdapter(parsed, context, sleep=lambda _seconds: None, network=self._network)


@dataclass(frozen=True, slots=True)
class Entry:
    """One payment row of the practice system, as its own file holds it."""

    number: int
    patient_id: str
    cents: int
    reference: str


class OpenDentalOffice:
    """A simulated Open Dental that takes refunds of any part as negative payments."""

    pms = "open_dental"
    writes = "/api/v1/payments*"

    def __init__(self, patients: Path) -> None:
        app = open_dental_app(IN_MEMORY, patients, OfficeOptions(negative_payments=True))
        self.network = InProcess(app)
        self.sandbox = Sandbox(OFFICE, httpx.Client(transport=InProcess(app)))
        self.factory = _InProcessOpenDental(self.network)
        self.settings = {
            "base_url": f"{OFFICE}/api/v1",
            "developer_key": "sandbox-developer",
            "customer_key": "sandbox-office",
            "reversals": "negative_payment",
        }

    def entries(self) -> list[Entry]:
        """All payment rows."""
        rows = self.sandbox.get("/_sandbox/payments")["payments"]
        return [
            Entry(int(row["PayNum"]), str(row["PatNum"]), int(row["cents"]), str(row["CheckNum"] or "")) for row in rows
        ]

    def staff(self, action: str, **fields: object) -> None:
        """Somebody does something in the program's own windows."""
        self.sandbox.post("staff", action=action, **fields)

    def hold_back(self, dice: Random) -> None:
        """The next write lands up to a minute after it was answered with an error."""
        self.sandbox.post("late-writes", count=1, delay_seconds=dice.randint(5, LATEST_SECONDS))


LATEST_SECONDS = 60


@dataclass(frozen=True)
class Surroundings:
    """Everything outside, on one true time."""

    stripe: Stripe
    office: OpenDentalOffice

    def move_to(self, instant: datetime) -> None:
        for sandbox in (self.stripe.sandbox, self.office.sandbox):
            sandbox.move_clock(instant)


def surroundings(folder: Path, members: int, dice: Dice) -> Surroundings:
    """A new Stripe, and a practice system with patients for so many members."""
    return Surroundings(Stripe(dice), OpenDentalOffice(patients_csv(folder, members)))
