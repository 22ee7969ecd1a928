"""What really happened in a simulated practice, written down by the simulation itself."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date

from connector.simulation.cast import Somebody


@dataclass
class Chronicle:
    """What really happened, for the judge, who believes nobody else."""

    people: dict[str, Somebody] = field(default_factory=dict)
    """By member."""
    joined: dict[str, date] = field(default_factory=dict)
    left: dict[str, date] = field(default_factory=dict)
    instalments: dict[str, list[date]] = field(default_factory=lambda: defaultdict(list))
    given_back: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Cents of each Stripe charge that somebody has asked to refund, at our desk or at Stripe's."""
    patients: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Of each member: the true patient, and those whom staff linked by mistake."""
    retyped: dict[int, str] = field(default_factory=dict)
    """Number of an entry whose reference staff have overwritten, and what it was."""
    deleted: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Reference of entries that staff have deleted, and the cents that went with them."""
