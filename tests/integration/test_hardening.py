"""A location whose adapter fails in ways nobody wrote down, and pages that must not answer strangers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NoReturn, cast

import httpx
import pytest
from sqlalchemy import select

from connector.billing.clinics import Location
from connector.billing.members import Member
from connector.clock import MovableClock
from connector.daemon import jobs
from connector.daemon.health import Health, health_app
from connector.ledger.write_back import queue
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.queue import Order
from connector.ledger.write_back.states import WriteBackState
from connector.pms_adapters.open_dental.adapter import OpenDental
from connector.pms_adapters.port import ConnectionContext, PmsAdapter
from connector.pms_adapters.records import PaymentCommand, Receipt
from connector.sandbox.demo.processes import running
from connector.sandbox.open_dental import create_app as open_dental
from connector.sandbox.stripe import create_app as stripe
from connector.use_cases.books.work_write_backs import work_write_backs
from connector.use_cases.context import Context, PmsConnections
from connector.use_cases.practice.set_up_location import add_location
from connector.use_cases.transfer.import_members import import_members
from tests.support.book import PRICE, Book, opened_book
from tests.support.moody_pms import Mood, MoodyPms
from tests.support.stripe_sandbox import serving

FAILED = "The work for the location 'leura' failed (KeyError): see the log."
S = WriteBackState


class BrokenReads(MoodyPms):
    """An adapter with a fault in it: every read ends in an error of the programming language."""

    def find_entries(self, *_: object, **__: object) -> NoReturn:
        raise KeyError("Ada Ferris")

    def find_patients(self, *_: object, **__: object) -> NoReturn:
        raise KeyError("Ada Ferris")

    def read_day_sheet(self, *_: object, **__: object) -> NoReturn:
        raise KeyError("Ada Ferris")


class BrokenWrites(MoodyPms):
    """An adapter that fails over the answer of a write that has landed."""

    def record_payment(self, command: PaymentCommand) -> Receipt:
        super().record_payment(command)
        raise KeyError("Ada Ferris")


class Factory(OpenDental):
    """Opens a broken adapter for the location whose key says so, and one that works for the others."""

    def open(self, settings: Mapping[str, str], context: ConnectionContext) -> PmsAdapter:  # type: ignore[override]
        kind = {"c": BrokenReads, "w": BrokenWrites}.get(settings["customer_key"], MoodyPms)
        return kind(cast("MovableClock", context.clock), lambda _choices: Mood.WELL)


@pytest.fixture
def book(tmp_path: Path, template: Path) -> Iterator[Book]:
    """Two locations with a member each; the adapter of `leura` fails, that of `megalong` works."""
    file = tmp_path / "connector.sqlite3"
    file.write_bytes(template.read_bytes())
    with opened_book(f"sqlite:///{file.as_posix()}", tmp_path) as opened:
        connections = PmsConnections(opened.context.clock, {"open_dental": Factory()})
        changed = replace(opened, context=replace(opened.context, pms=connections))
        add(changed.context, "megalong", "m", tmp_path)
        yield changed


def add(context: Context, slug: str, key: str, folder: Path) -> None:
    settings = {"base_url": "http://127.0.0.1:9/api/v1", "developer_key": "d", "customer_key": key}
    add_location(
        context,
        slug=slug,
        name=slug.title(),
        timezone="Australia/Sydney",
        currency="aud",
        pms="open_dental",
        pms_settings=settings,
    )
    import_members(context, folder / "members.csv", location_slug=slug, plan_name="Essential", invite=False)


def enqueue(context: Context) -> None:
    """One payment at each location."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        for member in session.scalars(select(Member)):
            order = Order(
                location_id=member.location_id,
                member_id=member.id,
                source_id=f"pay_{member.id}",
                leg=Leg.PAYMENT,
                reference=f"SP-{member.id[-8:]}",
                amount=PRICE,
                entry_date=now.date(),
                payment_type="Card",
                note="",
            )
            queue.enqueue(session, [(order, "1")], now)


def rows(context: Context) -> dict[str, WriteBack]:
    with context.database.read() as session:
        found = session.execute(select(Location.slug, WriteBack).join(WriteBack, WriteBack.location_id == Location.id))
        return {row[0]: row[1] for row in found}


def test_an_adapter_that_fails_holds_up_its_own_location_only(book: Book) -> None:
    """The other location's payment is written, and the trouble is told by its class."""
    enqueue(book.context)

    tallies = work_write_backs(book.context)

    assert tallies["leura"].problem == FAILED
    assert (tallies["megalong"].problem, tallies["megalong"].sent) == (None, 1)
    assert rows(book.context)["leura"].state is S.QUEUED
    assert rows(book.context)["megalong"].state in (S.ACCEPTED, S.CONFIRMED)


def test_an_adapter_that_fails_over_an_answer_leaves_the_outcome_unknown(book: Book, tmp_path: Path) -> None:
    """The write may have landed, so it is looked for and never sent again; here it is found."""
    add(book.context, "wentworth", "w", tmp_path)
    enqueue(book.context)

    work_write_backs(book.context)
    unclear = rows(book.context)["wentworth"]
    cast("MovableClock", book.context.clock).advance(timedelta(hours=1))
    work_write_backs(book.context)

    assert unclear.state is S.UNKNOWN
    assert unclear.reason == "The adapter failed while sending (KeyError): it may have happened."
    settled = rows(book.context)["wentworth"]
    assert (settled.state, settled.attempts) == (S.CONFIRMED, 1)


@pytest.mark.parametrize(
    ("job", "verb"), [(jobs.matching, "find_patients"), (jobs.day_sheets, "read_day_sheet")], ids=["matching", "sheets"]
)
def test_a_job_goes_on_with_the_other_locations(
    book: Book, job: jobs.Work, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each location is worked on, whatever an earlier one has raised."""
    asked: list[str] = []
    original = getattr(MoodyPms, verb)

    def noted(*arguments: Any) -> object:
        asked.append(verb)
        return original(*arguments)

    monkeypatch.setattr(MoodyPms, verb, noted)
    with ThreadPoolExecutor(1) as pool:
        problems = job(book.context, pool)

    assert problems == [FAILED]
    assert asked


def test_closing_the_days_goes_on_with_the_other_locations(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """The day of a location that cannot be compared stays open."""
    seen: list[str] = []

    def days(_context: Context, location: Location, _hour: int) -> list[date]:
        seen.append(location.slug)
        if location.slug == "leura":
            raise KeyError("Ada Ferris")
        return []

    monkeypatch.setattr(jobs, "_open_days", days)
    with ThreadPoolExecutor(1) as pool:
        problems = jobs.DayClosing(4)(book.context, pool)

    assert problems == [FAILED]
    assert seen == ["leura", "megalong"]


def test_a_pool_that_closes_is_no_fault_of_a_location(book: Book) -> None:
    """The daemon is stopping: what was not sent stays queued, and nobody is told of a failure."""
    enqueue(book.context)
    pool = ThreadPoolExecutor(1)
    pool.shutdown()

    with pytest.raises(CancelledError):
        jobs.write_backs(replace(book.context, pms=PmsConnections(book.context.clock, {"open_dental": Well()})), pool)

    assert {row.state for row in rows(book.context).values()} == {S.QUEUED}


class Well(Factory):
    """Opens adapters that work."""

    def open(self, settings: Mapping[str, str], context: ConnectionContext) -> PmsAdapter:  # type: ignore[override]
        return super().open({**settings, "customer_key": "m"}, context)


@pytest.mark.parametrize(("host", "status"), [("localhost:8321", 200), ("127.0.0.1", 200), ("evil.example", 400)])
def test_the_health_page_answers_only_under_this_machines_names(book: Book, host: str, status: int) -> None:
    """A page in somebody's browser may send requests to loopback under a name of its own."""
    health = Health(book.context.clock)

    with serving(health_app(book.context.database, health, book.context.clock)) as address:
        answer = httpx.get(f"{address}/healthz", headers={"Host": host}, trust_env=False)

    assert answer.status_code == status


@pytest.mark.parametrize("name", ["stripe", "open-dental"])
def test_a_sandbox_answers_only_under_this_machines_names(tmp_path: Path, name: str) -> None:
    """And does not say which server it is."""
    with running(name, "--data", str(tmp_path / "new" / "state.sqlite3"), log=tmp_path / "log") as sandbox:
        known = sandbox.client.get(f"{sandbox.address}/_sandbox/totals")
        stranger = sandbox.client.get(f"{sandbox.address}/_sandbox/totals", headers={"Host": "evil.example"})

    assert (known.status_code, stranger.status_code) == (200, 400)
    assert "server" not in known.headers


@pytest.fixture(scope="module", params=[stripe, open_dental], ids=["stripe", "open_dental"])
def control(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a sandbox's control endpoints."""
    with serving(request.param(tmp_path_factory.mktemp("sandbox") / "state.sqlite3")) as address:
        yield f"{address}/_sandbox"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"down": false}', "application/json", 200),
        (b'{"down": false}', "application/json; charset=utf-8", 200),
        (b'{"down": true}', "text/plain", 415),
        (b"down=1", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 200_000, "application/json", 400),
    ],
)
@pytest.mark.parametrize("name", ["down", "faults", "clock"])
def test_a_control_request_is_a_json_object_and_says_so(
    control: str, name: str, content: bytes, kind: str, status: int
) -> None:
    """What else a browser can be made to post changes nothing, and malformed JSON is the sender's fault."""
    answer = httpx.post(f"{control}/{name}", content=content, headers={"Content-Type": kind}, trust_env=False)

    assert answer.status_code == (status if name == "down" or status != 200 else 400)
    assert answer.status_code == 200 or answer.json()["error"]
