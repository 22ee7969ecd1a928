"""The systems around the product, in the same process and on one true time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from connector.simulation.cast import patients_csv
from connector.simulation.faults import Dice
from connector.simulation.file_drop_office import FileDropOffice
from connector.simulation.office import Office
from connector.simulation.open_dental_office import OpenDentalOffice
from connector.simulation.stripe_side import StripeSide

OFFICES: Mapping[str, Callable[[Path, Dice], Office]] = {
    OpenDentalOffice.pms: OpenDentalOffice,
    FileDropOffice.pms: FileDropOffice,
}
"""The practice systems that can be simulated, each made from the file of its patients."""


@dataclass(frozen=True)
class Surroundings:
    """Everything outside."""

    stripe: StripeSide
    office: Office

    def move_to(self, instant: datetime) -> None:
        self.stripe.sandbox.move_clock(instant)
        self.office.move_to(instant)


def surroundings(folder: Path, members: int, pms: str, dice: Dice) -> Surroundings:
    """A new Stripe, and a practice system with patients for so many members."""
    return Surroundings(StripeSide(dice), OFFICES[pms](patients_csv(folder, members), dice))
