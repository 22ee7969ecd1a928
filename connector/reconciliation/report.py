"""The report of a day: the figures, and the same figures as a table, JSON or CSV."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from connector.reconciliation.differences import Difference


@dataclass(frozen=True, slots=True)
class Line:
    """A number of things and their sum in cents."""

    count: int = 0
    cents: int = 0

    def plus(self, cents: int) -> Line:
        return Line(self.count + 1, self.cents + cents)


@dataclass(frozen=True, slots=True)
class DayReport:
    """What happened to one day's money at one location, in cents of its currency.

    taken + returned = written + recorded + waiting, by construction; `unexplained_cents` is what the other books deny.
    """

    location: str
    business_date: date
    currency: str
    taken: Line
    fees: Line
    returned: Line
    written: Line
    recorded_by_hand: Line
    waiting: dict[str, Line]
    moved: Line
    """What was entered with a wrong patient and moved that day; its two write-backs, which add up to nothing, are among
    those above."""
    pms_other: Line
    """Entries of the day sheet that are not ours."""
    differences: tuple[Difference, ...]
    problems: tuple[str, ...]
    """Why a book could not be compared."""
    day_is_over: bool

    @property
    def unexplained_cents(self) -> int:
        return sum(abs(difference.cents) for difference in self.differences)

    @property
    def agrees(self) -> bool:
        """Both books were compared, nothing differs, and nothing waits."""
        return not (self.differences or self.problems or self.waiting_count)

    @property
    def waiting_count(self) -> int:
        """How many payments and returns of the day are not in the practice system for certain."""
        return sum(line.count for line in self.waiting.values())

    def figures(self) -> list[tuple[str, int, int]]:
        """Name, count and cents of each line of the report, in the order of the page."""
        lines = [("taken", self.taken), ("returned", self.returned), ("written", self.written)]
        lines.append(("recorded by hand", self.recorded_by_hand))
        lines += [(f"waiting: {state}", line) for state, line in self.waiting.items()]
        lines.append(("moved to the right patient", self.moved))
        lines.append(("other entries in the PMS", self.pms_other))
        return [
            *((name, line.count, line.cents) for name, line in lines),
            ("Stripe fees", self.fees.count, self.fees.cents),
            ("unexplained", len(self.differences), self.unexplained_cents),
        ]

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "location": self.location,
            "business_date": self.business_date.isoformat(),
            "currency": self.currency,
            "day_is_over": self.day_is_over,
            "taken": _line(self.taken),
            "fees_cents": self.fees.cents,
            "returned": _line(self.returned),
            "written": _line(self.written),
            "recorded_by_hand": _line(self.recorded_by_hand),
            "waiting": {state: _line(line) for state, line in self.waiting.items()},
            "moved": _line(self.moved),
            "pms_other": _line(self.pms_other),
            "differences": [
                {
                    "kind": difference.kind.value,
                    "subject": difference.subject,
                    "cents": difference.cents,
                    "detail": difference.detail,
                    "next_step": difference.next_step,
                }
                for difference in self.differences
            ],
            "unexplained_cents": self.unexplained_cents,
            "problems": list(self.problems),
            "agrees": self.agrees,
        }


def _line(line: Line) -> dict[str, int]:
    return {"count": line.count, "cents": line.cents}
