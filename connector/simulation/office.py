"""A practice system as the simulation plays it: what the product may meet there, and what staff do behind its back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from connector.pms_adapters.port import AdapterFactory
from connector.simulation.faults import FaultKind
from connector.simulation.in_process import InProcess


@dataclass(frozen=True, slots=True)
class Entry:
    """One payment of the practice system, as its own file holds it. `cents` are negative for what went back."""

    number: int
    patient_id: str
    cents: int
    reference: str


class Office(Protocol):
    """One practice system, in the same process."""

    @property
    def pms(self) -> str:
        """Name of its adapter."""

    @property
    def factory(self) -> AdapterFactory:
        """Opens the real adapter."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The connection's settings."""

    @property
    def network(self) -> InProcess | None:
        """The product's way to it; None where there is none that a process could stand still before."""

    def move_to(self, instant: datetime) -> None:
        """It is that instant."""

    def entries(self) -> Sequence[Entry]:
        """All payments that stand there."""

    def disturb(self, kind: FaultKind) -> None:
        """Let something of that kind go wrong soon; nothing for a kind that cannot happen here."""

    def calm(self) -> None:
        """Count what has gone wrong, and take back what has not."""

    def set_down(self, down: bool) -> None:
        """Whether it cannot be reached at all."""

    def type_in(self, patient_id: str, cents: int, day: date, reference: str = "") -> None:
        """Staff enter a payment, or what went back, in the program's own windows."""

    def retype(self, number: int) -> None:
        """Staff overwrite the reference of an entry."""

    def hand_over(self, number: int, patient_id: str) -> None:
        """Staff move an entry to another patient's file."""

    def delete(self, number: int) -> None:
        """Staff delete an entry; no trace is left."""
