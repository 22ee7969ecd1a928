"""A simulated Open Dental that takes refunds of any part as negative payments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

import httpx

from connector.money import Money
from connector.pms_adapters.open_dental.adapter import OpenDental, OpenDentalAdapter
from connector.pms_adapters.open_dental.settings import OpenDentalSettings
from connector.pms_adapters.port import ConnectionContext
from connector.sandbox.demo.processes import Sandbox
from connector.sandbox.open_dental import OfficeOptions, create_app
from connector.simulation.disturbances import LANDED, NOT_LANDED, UNREAD, Disturbances
from connector.simulation.faults import Dice, FaultKind
from connector.simulation.in_process import InProcess
from connector.simulation.office import Entry

ADDRESS = "http://office.local"
WRITES = "/api/v1/payments*"
CURRENCY = "aud"
LATEST_SECONDS = 60
"""A write that was answered with an error may land so much later."""


class _InProcessOpenDental(OpenDental):
    """The real adapter on the network of this process, without pauses between its attempts to read."""

    def __init__(self, network: httpx.BaseTransport) -> None:
        self._network = network

    def open(self, settings: Mapping[str, str], context: ConnectionContext) -> OpenDentalAdapter:
        parsed = OpenDentalSettings.parse(settings)
        return OpenDentalAdapter(parsed, context, sleep=lambda _seconds: None, network=self._network)


class OpenDentalOffice:
    """One office."""

    pms = "open_dental"

    def __init__(self, patients: Path, dice: Dice) -> None:
        app = create_app(Path(":memory:"), patients, OfficeOptions(negative_payments=True))
        self._dice = dice
        self._sandbox = Sandbox(ADDRESS, httpx.Client(transport=InProcess(app)))
        self._disturbances = Disturbances(self._sandbox, dice)
        self.network: InProcess | None = InProcess(app)
        self.factory = _InProcessOpenDental(self.network)
        self.settings: Mapping[str, str] = {
            "base_url": f"{ADDRESS}/api/v1",
            "developer_key": "sandbox-developer",
            "customer_key": "sandbox-office",
            "reversals": "negative_payment",
        }

    def move_to(self, instant: datetime) -> None:
        self._sandbox.move_clock(instant)

    def entries(self) -> list[Entry]:
        rows = self._sandbox.get("/_sandbox/payments")["payments"]
        return [
            Entry(int(row["PayNum"]), str(row["PatNum"]), int(row["cents"]), str(row["CheckNum"] or "")) for row in rows
        ]

    def disturb(self, kind: FaultKind) -> None:
        match kind:
            case FaultKind.LOST_ANSWER:
                self._disturbances.arm(kind, "POST", WRITES, LANDED)
            case FaultKind.NOT_APPLIED:
                self._disturbances.arm(kind, "POST", WRITES, NOT_LANDED)
            case FaultKind.READ_TROUBLE:
                self._disturbances.arm(kind, "GET", "/api/*", UNREAD)
            case FaultKind.LATE_WRITE:
                seconds = self._dice.of("late").randint(5, LATEST_SECONDS)
                self._sandbox.post("late-writes", count=1, delay_seconds=seconds)
                self._dice.count(kind)

    def calm(self) -> None:
        self._disturbances.disarm()

    def set_down(self, down: bool) -> None:
        self._disturbances.set_down(down)

    def type_in(self, patient_id: str, cents: int, day: date, reference: str = "") -> None:
        marked = {"CheckNum": reference} if reference else {}
        amount = Money(cents, CURRENCY).decimal
        self._staff("add_payment", PatNum=int(patient_id), PayAmt=amount, PayDate=day.isoformat(), **marked)

    def retype(self, number: int) -> None:
        self._staff("retype_check_number", PayNum=number, CheckNum="cash")

    def hand_over(self, number: int, patient_id: str) -> None:
        self._staff("edit_payment", PayNum=number, PatNum=int(patient_id))

    def delete(self, number: int) -> None:
        self._staff("delete_payment", PayNum=number)

    def _staff(self, action: str, **fields: object) -> None:
        self._sandbox.post("staff", action=action, **fields)
