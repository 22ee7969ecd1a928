"""What really happened in a simulated practice, written down by the simulation itself."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from connector.simulation.agreed import Agreement
from connector.simulation.cast import Somebody
from connector.simulation.office import Entry


@dataclass(frozen=True, slots=True)
class ByHand:
    """Money that staff took, or below zero gave back, without Stripe, and noted."""

    invoice_id: str
    mark: str
    """Our mark of the charge that it is noted under."""
    cents: int


@dataclass
class Chronicle:
    """What really happened, for the judge, who believes nobody else."""

    people: dict[str, Somebody] = field(default_factory=dict)
    """By member."""
    agreed: dict[str, Agreement] = field(default_factory=dict)
    """By the id of the membership, payment plan, request or hold."""
    given_up: set[str] = field(default_factory=set)
    """Invoices whose rest staff have given up."""
    by_hand: list[ByHand] = field(default_factory=list)
    given_back: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Cents of each Stripe charge that somebody has asked to refund, at our desk or at Stripe's."""
    patients: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Of each member: the true patient, and those whom staff linked by mistake, until they moved everything away."""
    retyped: dict[int, str] = field(default_factory=dict)
    """Number of an entry whose reference staff have overwritten, and what it was."""
    deleted: list[Entry] = field(default_factory=list)
    """Entries that staff have deleted."""
