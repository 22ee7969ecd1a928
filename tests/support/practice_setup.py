"""Puts a practice together for one test: files, servers, database, location."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from pydantic import SecretStr

from connector.billing.stripe import StripeProcessor
from connector.clock import MovableClock
from connector.database.engine import Database
from connector.database.migrate import prepare
from connector.pms_adapters.open_dental.adapter import OpenDental, OpenDentalAdapter
from connector.pms_adapters.open_dental.settings import OpenDentalSettings
from connector.pms_adapters.port import AdapterFactory, ConnectionContext
from connector.sandbox.demo.processes import Sandbox
from connector.sandbox.open_dental import OfficeOptions
from connector.sandbox.open_dental import create_app as open_dental_app
from connector.sandbox.stripe import create_app as stripe_app
from connector.settings import StripeSettings
from connector.use_cases.context import Context, PmsConnections
from tests.support.leura import added_leura
from tests.support.practice import KEY, PATIENTS, START, Practice, person_of
from tests.support.recorder import SentRequests
from tests.support.servers import Server, stop_all

STRIPE_TIMEOUT_SECONDS = 2.0


class HastyOpenDental(OpenDental):
    """The real adapter without the pauses between its attempts to read."""

    def open(self, settings: Mapping[str, str], context: ConnectionContext) -> OpenDentalAdapter:
        return OpenDentalAdapter(OpenDentalSettings.parse(settings), context, sleep=lambda _seconds: None)


def _patient_file(folder: Path) -> Path:
    lines = ["id,given_name,family_name,date_of_birth,address,suburb,state,postcode"]
    for number in range(PATIENTS):
        given, family, born = person_of(number)
        lines.append(f"S-{number},{given},{family},{born},{number + 1} High Street,Leura,NSW,2780")
    file = folder / "patients.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def migrated_template(folder: Path) -> Path:
    """A migrated empty SQLite file, to be copied instead of migrating for every test."""
    file = folder / "template.sqlite3"
    database = Database(f"sqlite:///{file.as_posix()}")
    prepare(database)
    database.close()
    return file


@contextmanager
def running_practice(
    folder: Path,
    template: Path | None = None,
    *,
    database_url: str | None = None,
    options: OfficeOptions | None = None,
    adapters: Mapping[str, AdapterFactory] | None = None,
    pms_settings: Mapping[str, str] | None = None,
) -> Iterator[Practice]:
    """A new practice at START with its servers, until the block ends; then each request to Stripe was as documented.

    `template` saves migrating a SQLite file.
    """
    patients = _patient_file(folder)
    sent: list[SentRequests] = []

    def watched_stripe() -> SentRequests:
        sent.append(SentRequests(stripe_app(folder / "stripe.sqlite3")))
        return sent[-1]

    stripe = Server(watched_stripe)
    office = Server(lambda: open_dental_app(folder / "office.sqlite3", patients, options))
    file = folder / "connector.sqlite3"
    if template:
        shutil.copy(template, file)
    database = Database(database_url or f"sqlite:///{file.as_posix()}")
    prepare(database)
    clock = MovableClock(START)
    connections = PmsConnections(clock, adapters or {"open_dental": HastyOpenDental()})
    stripe.start()
    office.start()
    processor = StripeProcessor(
        StripeSettings(secret_key=SecretStr(KEY), api_base=stripe.address, timeout_seconds=STRIPE_TIMEOUT_SECONDS)
    )
    context = Context(database, clock, processor, connections)
    try:
        with httpx.Client(timeout=10, trust_env=False) as client:
            at_stripe, at_office = Sandbox(stripe.address, client), Sandbox(office.address, client)
            for sandbox in (at_stripe, at_office):
                sandbox.move_clock(clock.now())
            settings = {
                "base_url": f"{office.address}/api/v1",
                "developer_key": "sandbox-developer",
                "customer_key": "sandbox-office",
                **(pms_settings or {}),
            }
            location = added_leura(context, settings)
            yield Practice(context, clock, location, at_stripe, at_office, office)
            assert [problem for watcher in sent for problem in watcher.violations] == []
    finally:
        connections.close()
        processor.close()
        database.close()
        stop_all([stripe, office])
