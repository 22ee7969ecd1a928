"""What goes wrong in a simulated practice, how often, and the count of what really did."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from enum import StrEnum
from random import Random


class FaultKind(StrEnum):
    """The disturbances of systems and the doings of people that the product must live with."""

    CRASH = "crash"
    """The daemon is killed before or after a commit or an outside call."""
    STANDSTILL = "standstill"
    """The daemon stands still just before a write, and another installation takes over meanwhile."""
    LOST_ANSWER = "lost_answer"
    """The practice system carries a write out, and its answer is lost, cut short or an error."""
    NOT_APPLIED = "not_applied"
    """The practice system does not carry a write out, and does not say so clearly."""
    LATE_WRITE = "late_write"
    """The practice system answers with an error and carries the write out some seconds later."""
    READ_TROUBLE = "read_trouble"
    OFFICE_OUTAGE = "office_outage"
    """The practice system does not answer for hours or days."""
    STRIPE_LOST_ANSWER = "stripe_lost_answer"
    STRIPE_NOT_APPLIED = "stripe_not_applied"
    STRIPE_THROTTLED = "stripe_throttled"
    STRIPE_OUTAGE = "stripe_outage"
    DUPLICATE_EVENT = "duplicate_event"
    REORDERED_EVENTS = "reordered_events"
    DELAYED_EVENT = "delayed_event"
    MISSED_EVENT = "missed_event"
    CLOCK_JUMP = "clock_jump"
    """Our clock is wrong by up to a day for some time."""
    STAFF_TWIN = "staff_twin"
    """Staff type in a payment that looks like one of ours."""
    STAFF_RETYPED = "staff_retyped"
    """Staff overwrite the reference of one of our entries."""
    STAFF_DELETED = "staff_deleted"
    """Staff delete one of our entries."""
    SET_BACK = "set_back"
    """Somebody restores a backup of the database, of this morning or of some days ago."""
    DECLINE = "decline"
    BECS_RETURN = "becs_return"
    CHARGEBACK = "chargeback"
    REFUND = "refund"
    RELINK = "relink"
    """A member is linked to the wrong patient, and later to the right one."""
    PLAN_CHANGE = "plan_change"
    CANCELLATION = "cancellation"


F = FaultKind

HEAVY = {
    F.CRASH: 1.0,
    F.STANDSTILL: 0.3,
    F.LOST_ANSWER: 0.6,
    F.NOT_APPLIED: 0.6,
    F.LATE_WRITE: 0.4,
    F.READ_TROUBLE: 0.5,
    F.OFFICE_OUTAGE: 0.06,
    F.STRIPE_LOST_ANSWER: 0.6,
    F.STRIPE_NOT_APPLIED: 0.6,
    F.STRIPE_THROTTLED: 0.3,
    F.STRIPE_OUTAGE: 0.04,
    F.DUPLICATE_EVENT: 0.5,
    F.REORDERED_EVENTS: 0.5,
    F.DELAYED_EVENT: 0.4,
    F.MISSED_EVENT: 0.3,
    F.CLOCK_JUMP: 0.15,
    F.SET_BACK: 0.04,
    F.STAFF_TWIN: 0.2,
    F.STAFF_RETYPED: 0.2,
    F.STAFF_DELETED: 0.1,
    F.CHARGEBACK: 0.15,
    F.REFUND: 0.5,
    F.RELINK: 0.15,
    F.PLAN_CHANGE: 0.3,
    F.CANCELLATION: 0.2,
}
"""How often a day at a practice of 200 members. Declines and returns of debits follow from how people pay."""

LEVELS = {"none": {}, "light": {kind: rate / 6 for kind, rate in HEAVY.items()}, "heavy": HEAVY}
USUAL_MEMBERS = 200


class Dice:
    """Decides by a seed. Each kind has dice of its own, so that a new kind changes no other's luck."""

    def __init__(self, seed: int, level: str, members: int) -> None:
        self._seed = seed
        self._rates = LEVELS[level]
        self.members = members
        self._random: dict[str, Random] = {}
        self.now: datetime | None = None
        self.happened: list[tuple[datetime | None, FaultKind]] = []
        """Every fault with the true time, in order."""

    def of(self, name: str) -> Random:
        """Dice for one question."""
        if name not in self._random:
            self._random[name] = Random(f"{self._seed}:{name}")
        return self._random[name]

    def falls(self, kind: FaultKind, share_of_day: float) -> bool:
        """Whether it happens in this part of a day. Whatever people do grows with their number."""
        scale = self.members / USUAL_MEMBERS if kind in _BY_PEOPLE else 1.0
        return self.of(kind).random() < self._rates.get(kind, 0.0) * scale * share_of_day

    def end(self) -> None:
        """Nothing happens by chance any more."""
        self._rates = {}

    def count(self, kind: FaultKind, times: int = 1) -> None:
        """It has really happened."""
        self.happened += [(self.now, kind)] * times

    @property
    def injected(self) -> Counter[FaultKind]:
        """How often each kind has happened."""
        return Counter(kind for _, kind in self.happened)


_BY_PEOPLE = frozenset({F.CHARGEBACK, F.REFUND, F.RELINK, F.PLAN_CHANGE, F.CANCELLATION})
