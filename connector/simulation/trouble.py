"""Makes things go wrong between the product and its surroundings, as the dice fall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import exp, log
from random import Random

from connector.simulation.faults import Dice, FaultKind
from connector.simulation.stage import Stage

F = FaultKind

LONGEST_FUSE = 3_000
"""Statements and failpoints of a busy round, or so; a fuse that does not burn down goes on in the next round."""
OUTAGE_HOURS = (1, 3, 8, 24, 72)
STANDSTILLS = (1, 5, 20, 60)
"""Minutes."""
JUMPS = tuple(timedelta(minutes=minutes) for minutes in (-60, -10, 10, 60, 720))
NEWS = (F.DUPLICATE_EVENT, F.REORDERED_EVENTS, F.DELAYED_EVENT, F.MISSED_EVENT)
AT_OFFICE = (F.LOST_ANSWER, F.NOT_APPLIED, F.READ_TROUBLE, F.LATE_WRITE)
AT_STRIPE = (F.STRIPE_LOST_ANSWER, F.STRIPE_NOT_APPLIED, F.STRIPE_THROTTLED, *NEWS)


@dataclass
class Trouble:
    """Arms what the dice call for before a round, and disarms and counts it afterwards."""

    stage: Stage
    dice: Dice
    _over: dict[FaultKind, datetime] = field(default_factory=dict)
    """When each outage ends."""

    def clock_error(self, share_of_day: float) -> timedelta:
        """How wrong our clock is in the coming round."""
        if not self.dice.falls(F.CLOCK_JUMP, share_of_day):
            return timedelta()
        self.dice.count(F.CLOCK_JUMP)
        return self.dice.of("jump").choice(JUMPS)

    def before(self, instant: datetime, share_of_day: float) -> None:
        """Prepare the troubles of a round that begins at that instant and stands for so much of a day."""
        office, stripe = self.stage.around.office, self.stage.around.stripe
        self._outage(F.OFFICE_OUTAGE, office.set_down, instant, share_of_day)
        self._outage(F.STRIPE_OUTAGE, stripe.disturbances.set_down, instant, share_of_day)
        for disturb, kinds in ((office.disturb, AT_OFFICE), (stripe.disturb, AT_STRIPE)):
            for kind in kinds:
                if self.dice.falls(kind, share_of_day):
                    disturb(kind)
        if self.dice.falls(F.STANDSTILL, share_of_day):
            dice = self.dice.of("standstill how")
            where, minutes = dice.choice((office.network or stripe.network, stripe.network)), dice.choice(STANDSTILLS)
            self.stage.stand_still(where, timedelta(minutes=minutes))
        if self.dice.falls(F.CRASH, share_of_day):
            self.stage.light_fuse(_spread(self.dice.of("fuse"), LONGEST_FUSE))

    def after(self) -> None:
        """Count what has gone wrong, and take back what has not."""
        self.stage.around.office.calm()
        self.stage.around.stripe.disturbances.disarm()

    def end(self, instant: datetime) -> None:
        """From now on everything works."""
        for kind in self._over:
            self._over[kind] = instant

    def _outage(
        self, kind: FaultKind, set_down: Callable[[bool], None], instant: datetime, share_of_day: float
    ) -> None:
        if kind in self._over and self._over[kind] <= instant:
            set_down(False)
            del self._over[kind]
        if kind not in self._over and self.dice.falls(kind, share_of_day):
            set_down(True)
            self._over[kind] = instant + timedelta(hours=self.dice.of(f"{kind} how").choice(OUTAGE_HOURS))
            self.dice.count(kind)


def _spread(dice: Random, most: int) -> int:
    """A number from 1 to `most`, as often below the root of `most` as above: early and late places alike are met."""
    return round(exp(dice.uniform(0, log(most))))
