"""Our processor on a simulated Stripe that is watched: every exchange must be true to the API document."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from connector.billing.processor import AuthorisedMethod, ChargeReport
from connector.billing.stripe import StripeProcessor
from connector.money import Money
from connector.sandbox.stripe import create_app
from connector.sandbox.stripe.world import ACCOUNT_ID
from connector.settings import StripeSettings
from tests.support.recorder import Recorder
from tests.support.stripe_sandbox import serving

MONDAY = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)
PRICE = Money(2_990, "aud")
BACK = "https://example.org/back"
"""Where the payer returns to."""


class WatchedStripe:
    """A running sandbox, our processor connected to it, and what other people do there."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.http = httpx.Client(base_url=address, trust_env=False)
        self._opened: list[StripeProcessor] = []
        self._numbers = count(1)
        self.processor = self.connected()
        self.platform = self.connected(account=ACCOUNT_ID)
        """A platform that acts for the same account."""
        self.move_to(MONDAY)

    def with_key(self, key: str) -> StripeProcessor:
        return self.connected(secret_key=SecretStr(key))

    def connected(self, **settings: Any) -> StripeProcessor:
        """A processor with other settings."""
        given = {"secret_key": SecretStr("sk_test_x"), "api_base": self.address, "timeout_seconds": 5}
        self._opened.append(StripeProcessor(StripeSettings(**{**given, **settings})))
        return self._opened[-1]

    def close(self) -> None:
        self.http.close()
        for processor in self._opened:
            processor.close()

    @property
    def now(self) -> datetime:
        return datetime.fromisoformat(self.http.get("/_sandbox/clock").json()["now"])

    def move_to(self, instant: datetime) -> None:
        self.http.post("/_sandbox/clock", json={"now": instant.isoformat()}).raise_for_status()

    def wait(self, time: timedelta) -> None:
        self.move_to(self.now + time)

    def fault(self, **fields: object) -> None:
        self.http.post("/_sandbox/faults", json=fields).raise_for_status()

    def happen(self, what: str, **fields: object) -> dict[str, Any]:
        """Somebody else does something; returns the object that it happened to."""
        answer = self.http.post(f"/_sandbox/{what}", json=fields)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def ask(self, path: str) -> dict[str, Any]:
        """An object or list as Stripe shows it."""
        answer = self.http.get(f"/v1/{path}", headers={"Authorization": "Bearer sk_test_x"})
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def key(self, name: str = "key") -> str:
        """A key that was never used."""
        return f"{name}:{next(self._numbers)}"

    def payer(self, name: str) -> tuple[str, AuthorisedMethod]:
        """A customer who chose this test method on the hosted page."""
        number = next(self._numbers)
        customer = self.processor.create_customer(f"cus:{number}", f"mem_{number}")
        page = self.processor.open_enrolment(f"enrol:{number}", customer, f"con_{number}", "aud")
        assert self.http.post(page.url, data={"method": name}).status_code == 303
        found = self.processor.read_enrolment(page.session_id)
        assert found is not None
        assert found[0] == f"con_{number}"
        return customer, found[1]

    def prepared(
        self, name: str, processor: StripeProcessor | None = None, **extra: Any
    ) -> tuple[str, AuthorisedMethod]:
        """A payment object that nobody has confirmed, and the method to confirm it with."""
        customer, method = self.payer(name)
        number = next(self._numbers)
        ids = (f"ch_{number}", f"inv_{number}", "loc_1")
        asked = processor or self.processor
        return asked.prepare_charge(f"pi:{number}", customer, PRICE, *ids, **extra), method

    def charge(self, name: str, processor: StripeProcessor | None = None, **extra: Any) -> ChargeReport:
        """The two calls of one charge with that test method, without the payer."""
        intent, method = self.prepared(name, processor, **extra)
        return (processor or self.processor).confirm_charge(self.key("confirm"), intent, method, PRICE)


@contextmanager
def watched_stripe(folder: Path) -> Iterator[WatchedStripe]:
    """A fresh one on an ordinary Monday, until the block ends."""
    recorder = Recorder(create_app(folder / "stripe.sqlite3"))
    with serving(recorder) as address:
        running = WatchedStripe(address)
        try:
            yield running
        finally:
            running.close()
        assert recorder.violations() == []
