"""Makes things go wrong between the product and its surroundings, as the dice fall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import exp, log
from random import Random
from typing import Any

from connector.sandbox.demo.processes import Sandbox
from connector.simulation.faults import Dice, FaultKind
from connector.simulation.stage import Stage

F = FaultKind

LONGEST_FUSE = 3_000
"""Statements and failpoints of a busy round, or so; a fuse that does not burn down goes on in the next round."""
MEMBERS_A_SKIP = 30
"""A fault lets some requests of its round pass first: the more members, the more requests there are."""
OUTAGE_HOURS = (1, 3, 8, 24, 72)
STANDSTILLS = (1, 5, 20, 60)
"""Minutes."""
JUMPS = tuple(timedelta(minutes=minutes) for minutes in (-60, -10, 10, 60, 720))
NEWS = (F.DUPLICATE_EVENT, F.REORDERED_EVENTS, F.DELAYED_EVENT, F.MISSED_EVENT)
PATHS = ("/v1/*", "/v1/refunds*", "/v1/payment_intents", "/v1/payment_intents/*")

_LANDED = ({"kind": "reset_after"}, {"kind": "truncate"}, {"kind": "status_after", "status": 504})
_NOT_LANDED = ({"kind": "reset_before"}, {"kind": "status_before", "status": 503}, {"kind": "html_200"})
_UNREAD = ({"kind": "reset_before"}, {"kind": "status_before", "status": 500}, {"kind": "truncate"})


@dataclass(frozen=True, slots=True)
class _Armed:
    """A fault that waits in a sandbox for its requests."""

    kind: FaultKind
    sandbox: Sandbox
    fault: dict[str, Any]
    count: int


@dataclass
class Trouble:
    """Arms what the dice call for before a round, and disarms and counts it afterwards."""

    stage: Stage
    dice: Dice
    _over: dict[FaultKind, datetime] = field(default_factory=dict)
    """When each outage ends."""
    _armed: list[_Armed] = field(default_factory=list)
    _share: float = 0.0

    def clock_error(self, share_of_day: float) -> timedelta:
        """How wrong our clock is in the coming round."""
        if not self.dice.falls(F.CLOCK_JUMP, share_of_day):
            return timedelta()
        self.dice.count(F.CLOCK_JUMP)
        return self.dice.of("jump").choice(JUMPS)

    def before(self, instant: datetime, share_of_day: float) -> None:
        """Prepare the troubles of a round that begins at that instant and stands for so much of a day."""
        self._share = share_of_day
        office, stripe = self.stage.around.office, self.stage.around.stripe
        self._outage(F.OFFICE_OUTAGE, office.sandbox, instant)
        self._outage(F.STRIPE_OUTAGE, stripe.sandbox, instant)
        self._arm(F.LOST_ANSWER, office.sandbox, "POST", office.writes, _LANDED)
        self._arm(F.NOT_APPLIED, office.sandbox, "POST", office.writes, _NOT_LANDED)
        self._arm(F.READ_TROUBLE, office.sandbox, "GET", "/api/*", _UNREAD)
        self._arm(F.STRIPE_LOST_ANSWER, stripe.sandbox, "POST", self.dice.of("path").choice(PATHS), _LANDED)
        self._arm(F.STRIPE_NOT_APPLIED, stripe.sandbox, "POST", "/v1/*", _NOT_LANDED[:2])
        self._arm(F.STRIPE_THROTTLED, stripe.sandbox, "*", "/v1/*", ({"kind": "rate_limit"},))
        if self.dice.falls(F.LATE_WRITE, share_of_day):
            office.hold_back(self.dice.of("late"))
            self.dice.count(F.LATE_WRITE)
        for kind in NEWS:
            if self.dice.falls(kind, share_of_day):
                stripe.processor.trouble = kind
        if self.dice.falls(F.STANDSTILL, share_of_day):
            dice = self.dice.of("standstill how")
            self.stage.stand_still(dice.choice((office, stripe)).network, timedelta(minutes=dice.choice(STANDSTILLS)))
        if self.dice.falls(F.CRASH, share_of_day):
            self.stage.light_fuse(_spread(self.dice.of("fuse"), LONGEST_FUSE))

    def after(self) -> None:
        """Count what has gone wrong, and take back what has not."""
        for armed in self._armed:
            faults = armed.sandbox.get("/_sandbox/faults")["faults"]
            left = sum(fault["count"] for fault in faults if armed.fault.items() <= fault.items())
            self.dice.count(armed.kind, armed.count - left)
        for armed in self._armed:
            armed.sandbox.client.delete(f"{armed.sandbox.address}/_sandbox/faults")
        self._armed.clear()

    def end(self, instant: datetime) -> None:
        """From now on everything works."""
        for kind in self._over:
            self._over[kind] = instant

    def _arm(self, kind: FaultKind, sandbox: Sandbox, method: str, path: str, ways: Sequence[dict[str, Any]]) -> None:
        if self.dice.falls(kind, self._share):
            dice = self.dice.of(f"{kind} how")
            fault = {**dice.choice(ways), "method": method, "path": path}
            count = dice.randint(1, 4)
            sandbox.post("faults", **fault, count=count, skip=dice.randint(0, self.dice.members // MEMBERS_A_SKIP))
            self._armed.append(_Armed(kind, sandbox, fault, count))

    def _outage(self, kind: FaultKind, sandbox: Sandbox, instant: datetime) -> None:
        if kind in self._over and self._over[kind] <= instant:
            sandbox.post("down", down=False)
            del self._over[kind]
        if kind not in self._over and self.dice.falls(kind, self._share):
            sandbox.post("down", down=True)
            self._over[kind] = instant + timedelta(hours=self.dice.of(f"{kind} how").choice(OUTAGE_HOURS))
            self.dice.count(kind)


def _spread(dice: Random, most: int) -> int:
    """A number from 1 to `most`, as often below the root of `most` as above: early and late places alike are met."""
    return round(exp(dice.uniform(0, log(most))))
