"""What people have agreed to pay, and what of it falls due when, counted in the plainest way.

Shares no rule with the product: a date is counted on from the first one, and a price is what was said at the desk.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count, takewhile
from typing import Protocol

DISCOUNT_PERCENT = 10
"""Off each dependent's price, and off the holder's for each dependent."""
DAYS = {"weekly": 7, "fortnightly": 14}


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """An amount that falls due on a day, to the cent."""

    day: date
    cents: int


class Agreement(Protocol):
    """Something that a payer has agreed to."""

    def dues(self, until: date, /) -> list[Due]:
        """All that has fallen due by that day, that day included."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Amounts that are asked for once, or the money that is taken of a hold."""

    parts: Sequence[Due]

    def dues(self, _until: date) -> list[Due]:
        # Each part has its invoice at once, whenever it is due.
        return list(self.parts)


@dataclass
class Instalments:
    """A total in parts, the odd cents with the last of them. Parts count from 0."""

    total: int
    count: int
    frequency: str
    anchor: date
    anchor_part: int = 0
    """The part that is due on the anchor, from which the days of all others are counted."""
    settled: dict[int, date] = field(default_factory=dict)
    """Days of parts that no later change of days moves."""
    rests_until: date | None = None
    whole_from: int | None = None
    """From this part on, all that remained was asked for as one."""
    ended_with: int | None = None
    """From this part on, nothing is asked for any more."""

    def day(self, part: int) -> date:
        return self.settled.get(part) or day_of(self.anchor, self.frequency, part - self.anchor_part)

    def move(self, part: int, day: date) -> None:
        """That part is due on another day, and the later ones follow from it."""
        self._settle(part)
        self.anchor, self.anchor_part = day, part

    def rest(self, part: int, until: date) -> None:
        """From that part on, nothing is due for the time being."""
        self._settle(part)
        self.rests_until = until

    def go_on(self, part: int, day: date) -> None:
        """That part is due on its day if that is still to come, else on the next such day of the cycle."""
        self.rests_until = None
        if part < self.count and self.day(part) < day:
            self.anchor_part = part - next(n for n in count() if day_of(self.anchor, self.frequency, n) >= day)

    def pay_early(self, part: int, parts: int, today: date) -> None:
        """So many parts are asked for today, unless they are due already; the later ones keep their days."""
        self._settle(part)
        for early in range(part, part + parts):
            self.settled[early] = min(self.rests_until or self.day(early), today)

    def pay_off(self, part: int, today: date) -> None:
        """All that is left is asked for at once."""
        self.pay_early(part, self.count - part, today)
        self.whole_from = part

    def end(self, part: int) -> None:
        """That part and all later ones are not asked for."""
        self.ended_with = part

    def _settle(self, part: int) -> None:
        self.settled |= {earlier: self.day(earlier) for earlier in range(part)}

    def dues(self, until: date) -> list[Due]:
        each = self.total // self.count
        last = self.total - each * (self.count - 1)
        parts = [number for number in range(self.count) if not self.rests_until or number in self.settled]
        dues = [Due(self.day(part), last if part == self.count - 1 else each) for part in parts]
        if self.whole_from is not None:
            rest = dues[self.whole_from :]
            dues[self.whole_from :] = [Due(rest[0].day, sum(due.cents for due in rest))]
        return [due for due in dues[: self.ended_with] if due.day <= until]


@dataclass
class Price:
    """What one person's part of a membership comes to, of each period that falls due in a span of days."""

    cents: int
    since: date = date.min
    until: date = date.max
    """The first day that does not count any more."""

    def counts(self, day: date) -> bool:
        return self.since <= day < self.until


@dataclass
class Pause:
    """What falls due in it is never asked for."""

    since: date
    until: date = date.max

    @property
    def over(self) -> bool:
        return self.until < date.max

    def holds(self, day: date) -> bool:
        return self.since <= day < self.until


@dataclass
class Membership:
    """An open-ended agreement of an account holder, who pays for everybody on it."""

    frequency: str
    holder: str
    prices: dict[str, list[Price]]
    """Of each person, one after another."""
    to_join: dict[str, int] = field(default_factory=dict)
    """Cents that a person pays with the first period that counts."""
    start: date | None = None
    """None: it has not begun."""
    end: date = date.max
    """Nothing falls due from this day on."""
    pauses: list[Pause] = field(default_factory=list)
    for_leaving: list[Due] = field(default_factory=list)

    def next_day(self, after: date = date.min) -> date:
        """The first day after that one on which something falls due as things stand. It must have begun."""
        over = [pause for pause in self.pauses if pause.over]
        return next(day for day in self._cycle() if day > after and not any(pause.holds(day) for pause in over))

    def _cycle(self) -> Iterator[date]:
        """The days of the agreement if it went on for ever; none before it has begun."""
        if self.start:
            for number in count():
                yield day_of(self.start, self.frequency, number)

    def present_cents(self, member_id: str, invoiced_until: date) -> int:
        """What the person pays, whatever is to change with what is not invoiced yet."""
        prices = self.prices[member_id]
        return next((price.cents for price in reversed(prices) if price.since <= invoiced_until), prices[0].cents)

    def forget_change(self, member_id: str, invoiced_until: date) -> None:
        """A price that counts from a day on of which nothing is invoiced yet does not count at all."""
        prices = self.prices[member_id]
        while len(prices) > 1 and prices[-1].since > invoiced_until:
            forgotten = prices.pop()
            prices[-1].until = forgotten.until

    def change(self, member_id: str, cents: int, since: date) -> None:
        """From that day on the person has another price."""
        before = self.prices[member_id][-1]
        self.prices[member_id].append(Price(cents, since, before.until))
        before.until = since

    def dues(self, until: date) -> list[Due]:
        met: set[str] = set()
        days = takewhile(lambda day: day <= until and day < self.end, self._cycle())
        counted = [day for day in days if not any(pause.holds(day) for pause in self.pauses)]
        return [*self.for_leaving, *(Due(day, self._cents(day, met)) for day in counted)]

    def _cents(self, day: date, met: set[str]) -> int:
        """What the period comes to that falls due on that day. `met`: who has paid to join already."""
        now = {member_id: price for member_id, prices in self.prices.items() for price in prices if price.counts(day)}
        off = dict.fromkeys(now, DISCOUNT_PERCENT)
        off[self.holder] = DISCOUNT_PERCENT * (len(now) - 1)
        to_join = sum(self.to_join.get(member_id, 0) for member_id in now.keys() - met)
        met.update(now)
        return to_join + sum(_less(price.cents, off[member_id]) for member_id, price in now.items())


def day_of(first: date, frequency: str, number: int) -> date:
    """The day of that number; 0 is the first one itself."""
    if frequency in DAYS:
        return first + timedelta(days=number * DAYS[frequency])
    months = first.month - 1 + number * (12 if frequency == "annually" else 1)
    year, month = first.year + months // 12, months % 12 + 1
    return date(year, month, min(first.day, monthrange(year, month)[1]))


def _less(cents: int, percent: int) -> int:
    """The price less a discount, which is rounded half up."""
    return cents - (cents * percent * 2 + 100) // 200
