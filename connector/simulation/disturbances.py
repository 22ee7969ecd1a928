"""The faults that wait in one sandbox for its requests, and how often each of them has struck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connector.sandbox.demo.processes import Sandbox
from connector.simulation.faults import Dice, FaultKind

MEMBERS_A_SKIP = 30
"""A fault lets some requests of its round pass first: the more members, the more requests there are."""
COUNT_MAX = 4

Way = Mapping[str, Any]
"""How the fault shows: its kind in the sandbox, and a status where it has one."""
LANDED: Sequence[Way] = ({"kind": "reset_after"}, {"kind": "truncate"}, {"kind": "status_after", "status": 504})
NOT_LANDED: Sequence[Way] = ({"kind": "reset_before"}, {"kind": "status_before", "status": 503}, {"kind": "html_200"})
UNREAD: Sequence[Way] = ({"kind": "reset_before"}, {"kind": "status_before", "status": 500}, {"kind": "truncate"})


@dataclass(frozen=True, slots=True)
class _Armed:
    kind: FaultKind
    fault: Way
    count: int


@dataclass
class Disturbances:
    """Of one simulated system over HTTP."""

    sandbox: Sandbox
    dice: Dice
    _armed: list[_Armed] = field(default_factory=list)

    def arm(self, kind: FaultKind, method: str, path: str, ways: Sequence[Way]) -> None:
        """Let some of the coming requests of that method and path go wrong in one of these ways."""
        dice = self.dice.of(f"{kind} how")
        fault = {**dice.choice(ways), "method": method, "path": path}
        count, skip = dice.randint(1, COUNT_MAX), dice.randint(0, self.dice.members // MEMBERS_A_SKIP)
        self.sandbox.post("faults", **fault, count=count, skip=skip)
        self._armed.append(_Armed(kind, fault, count))

    def disarm(self) -> None:
        """Count what has gone wrong, and take back what has not."""
        if not self._armed:
            return
        waiting = self.sandbox.get("/_sandbox/faults")["faults"]
        for armed in self._armed:
            left = sum(fault["count"] for fault in waiting if armed.fault.items() <= fault.items())
            self.dice.count(armed.kind, armed.count - left)
        self.sandbox.client.delete(f"{self.sandbox.address}/_sandbox/faults")
        self._armed.clear()

    def set_down(self, down: bool) -> None:
        """While down, no request is answered."""
        self.sandbox.post("down", down=down)
