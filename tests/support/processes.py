"""The product as people and supervisors use it: real processes, each with an environment of its own."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from pydantic import SecretStr
from sqlalchemy import select, text, update

from connector import ids
from connector.clock import MovableClock
from connector.daemon.application import application
from connector.database.engine import Database
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.states import WAITING
from connector.sandbox.demo.judge import Verdict, judge
from connector.sandbox.demo.processes import Sandbox, running
from connector.settings import Settings, StripeSettings
from connector.use_cases.books.verify_ledger import Verification, verify_ledger
from connector.use_cases.books.work_write_backs import work_write_backs
from connector.use_cases.collection.read_news import read_news
from connector.use_cases.collection.run_due import run_due
from connector.use_cases.tables import METADATA

KEY = "sk_test_processes"
SLUG = "leura"
SYDNEY = ZoneInfo("Australia/Sydney")
MONDAY = datetime(2026, 3, 2, 6, 0, tzinfo=SYDNEY)
"""An ordinary Monday, before the practice opens."""
PEOPLE = (
    ("Xanthippe", "Quillfeather", "1988-03-09", "12 Wattle Street"),
    ("Balthasar", "Vexingham", "1971-11-30", "7 Cascade Road"),
    ("Ottoline", "Zephyrsen", "1993-06-17", "31 Lurline Avenue"),
    ("Ignatius", "Hollowbrook", "1959-01-25", "88 Megalong Lane"),
    ("Philomena", "Thistlewick", "2001-09-02", "5 Grose Parade"),
    ("Evander", "Marrowgate", "1966-04-14", "140 Railway Terrace"),
    ("Clementina", "Dunsparrow", "1984-12-08", "23 Katoomba Close"),
    ("Leopold", "Wrenfield", "1978-07-21", "64 Cliff Drive"),
)
"""People with names that occur nowhere else, so that a search of any output for them means something."""
CARD = "pm_card_visa"
QUICK = {
    "DAEMON__PORT": "0",
    "DAEMON__EVENT_INTERVAL_SECONDS": "1",
    "DAEMON__BILLING_INTERVAL_SECONDS": "1",
    "DAEMON__WRITE_BACK_INTERVAL_SECONDS": "1",
    "DAEMON__MATCHING_INTERVAL_SECONDS": "1",
}
"""A daemon in a hurry, on a free port."""
KILLED = 137 if sys.platform == "win32" else -signal.SIGKILL
"""The exit code of a process that died at a failpoint."""
PATIENCE_SECONDS = 60
"""How long a test waits for what must happen; passing it is a failure, whatever the machine's speed."""


def until(condition: Callable[[], bool], what: str) -> None:
    """Ask again and again until the condition holds. Fails after a bounded number of tries."""
    pause = threading.Event()
    for _ in range(PATIENCE_SECONDS * 20):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError(f"Waited in vain: {what}.")


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its output as the one JSON document that it must be."""
        return json.loads(self.out)


class Started:
    """A process under way whose log lines (standard error) are collected as they come."""

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str], folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "connector", *arguments],
            env=environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._over = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()

    def logged(self, event: str) -> dict[str, Any]:
        """Wait for the first log line of that event. Fails when the process ends without it."""
        with self._news:
            self._news.wait_for(lambda: self._over or self.events(event), timeout=PATIENCE_SECONDS)
        found = self.events(event)
        assert found, f"No {event} in: {self.text}"
        return found[0]

    def reaches(self, lines: int) -> None:
        """Wait until it has logged so many lines. Fails when it ends before."""
        with self._news:
            self._news.wait_for(lambda: self._over or len(self.lines) >= lines, timeout=PATIENCE_SECONDS)
        assert len(self.lines) >= lines, self.text

    def events(self, event: str) -> list[dict[str, Any]]:
        """The log lines of that event so far."""
        parsed = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [line for line in parsed if line.get("event") == event]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def ended(self) -> int:
        """Wait for the end; returns the exit code."""
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return code

    def close(self) -> None:
        """End it without ceremony, if it has not ended by itself."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()


@dataclass(frozen=True, slots=True)
class Outside:
    """The systems around the product: a simulated Stripe and a simulated Open Dental."""

    stripe: Sandbox
    office: Sandbox
    patients: int

    def move_clock(self, now: datetime) -> None:
        self.stripe.move_clock(now)
        self.office.move_clock(now)

    def counts(self) -> tuple[int, int]:
        """How many charges succeeded at Stripe, and how many payments the practice system holds."""
        taken = self.stripe.get("/_sandbox/totals")["charges"]["count"]
        return int(taken), int(self.office.get("/_sandbox/totals")["payments"]["count"])


@contextmanager
def outside(folder: Path, people: int = 3) -> Iterator[Outside]:
    """Both sandboxes as processes, the office with the first of PEOPLE, the clocks at MONDAY."""
    patients = people_file(folder / "patients.csv", people, id="P{}")
    with stripe_at(folder) as stripe, office_at(folder, patients=patients) as office:
        pair = Outside(stripe, office, people)
        pair.move_clock(MONDAY)
        yield pair


@contextmanager
def stripe_at(folder: Path, port: int = 0) -> Iterator[Sandbox]:
    """The simulated Stripe whose state is in that folder."""
    folder.mkdir(exist_ok=True)
    with running("stripe", *_state(folder, "stripe", port), log=folder / "stripe.log") as sandbox:
        yield sandbox


@contextmanager
def office_at(folder: Path, port: int = 0, patients: Path | None = None) -> Iterator[Sandbox]:
    """The simulated Open Dental whose state is in that folder."""
    more = ("--patients", str(patients)) if patients else ()
    with running("open-dental", *_state(folder, "office", port), *more, log=folder / "office.log") as sandbox:
        yield sandbox


def _state(folder: Path, name: str, port: int) -> tuple[str, ...]:
    return "--port", str(port), "--data", str(folder / f"{name}.sqlite3")


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation of the product: its data folder, what it talks to, and what time it believes it is."""

    folder: Path
    stripe_address: str
    office_address: str = ""
    now: datetime | None = MONDAY

    def at(self, now: datetime) -> Installation:
        """The same installation at another time."""
        return replace(self, now=now)

    def copied(self, folder: Path) -> Installation:
        """A twin with a database of its own, in the state that this one is in now; nobody may be using it."""
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder)

    def sibling(self, folder: Path) -> Installation:
        """A twin with a location and contracts of its own, so that its members owe the same and yet not the same."""
        twin = self.copied(folder)
        database = Database(f"sqlite:///{(folder / 'connector.sqlite3').as_posix()}")
        columns = [column for table in METADATA.sorted_tables for column in table.c]
        with database.unit_of_work() as session:
            session.execute(text("PRAGMA defer_foreign_keys=ON"))
            for table, prefix in (("contract", "con"), ("location", "loc")):
                key = METADATA.tables[table].c.id
                pointing = [column for column in columns if column.references(key)]
                for old in session.scalars(select(key)).all():
                    new = ids.new_id(prefix)
                    for column in (key, *pointing):
                        session.execute(update(column.table).where(column == old).values({column: new}))
        database.close()
        return twin

    def environment(self, **more: str) -> dict[str, str]:
        """What a command sees; `more` are settings such as DAEMON__PORT."""
        ours = {"DATA_DIR": str(self.folder), "STRIPE__SECRET_KEY": KEY, "STRIPE__API_BASE": self.stripe_address}
        if self.now:
            ours["CLOCK__NOW"] = self.now.isoformat()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CONNECTOR_")}
        return {**inherited, **{f"CONNECTOR_{name}": value for name, value in {**ours, **more}.items()}}

    def run(self, *arguments: str, **settings: str) -> Finished:
        """One command, from start to end."""
        done = subprocess.run(
            [sys.executable, "-m", "connector", *arguments],
            env=self.environment(**settings),
            cwd=self.folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS * 2,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def json(self, *arguments: str, **settings: str) -> Any:
        """The JSON document of a command that must succeed."""
        done = self.run(*arguments, "--json", **settings)
        assert (done.code, done.err) == (0, ""), done
        return done.document

    @contextmanager
    def start(self, *arguments: str, **settings: str) -> Iterator[Started]:
        """A command under way for the time of the block."""
        started = Started(arguments, self.environment(**settings), self.folder)
        try:
            yield started
        finally:
            started.close()

    def add_location(self, slug: str = SLUG) -> None:
        """A location whose practice system is the simulated office."""
        self.json("locations", "add", slug, *LOCATION, *self.pms_settings())

    def pms_settings(self, **changed: str) -> list[str]:
        """The options of `locations add` that describe the connection to the office."""
        fields = {
            "base_url": f"{self.office_address}/api/v1",
            "developer_key": "sandbox-developer",
            "customer_key": "sandbox-office",
        }
        return [part for name, value in {**fields, **changed}.items() for part in ("--pms-setting", f"{name}={value}")]

    def import_people(self, count: int, frequency: str = "weekly", method: str = CARD) -> Finished:
        """Import the first of PEOPLE with a payment method at Stripe, so that their contracts start at once."""
        file = self.folder / "members.csv"
        fields = {"id": "M{}", "email": "m{}@canary.example", "frequency": frequency, "stripe_payment_method": method}
        people_file(file, count, **fields)
        return self.run("import-members", str(file), "--location", SLUG, "--plan", "Essential", "--json")

    def write_backs(self) -> list[WriteBack]:
        """All write-backs, read from the database itself."""
        database = Database(f"sqlite:///{(self.folder / 'connector.sqlite3').as_posix()}")
        try:
            with database.read() as session:
                return list(session.scalars(select(WriteBack).order_by(WriteBack.created_at, WriteBack.id)))
        finally:
            database.close()

    def recover(self, pair: Outside, steps: int = 6) -> Verification:
        """Work again and again, minutes apart, until every claim has lapsed and all that was unclear is settled."""
        assert self.now is not None
        clock = MovableClock(self.now)
        api = StripeSettings(secret_key=SecretStr(KEY), api_base=self.stripe_address)
        with application(Settings(data_dir=self.folder, stripe=api), clock) as context:
            for _ in range(steps):
                clock.advance(timedelta(minutes=2))
                pair.move_clock(clock.now())
                assert not read_news(context).problems
                assert not run_due(context).problems
                assert not read_news(context).problems
                assert not [tally for tally in work_write_backs(context).values() if tally.problem]
            return verify_ledger(context)

    def verdict(self, pair: Outside) -> Verdict:
        """What the independent judge says about the two sandboxes, knowing what we list as waiting."""
        waiting = {row.reference: row.signed.cents for row in self.write_backs() if row.state in WAITING}
        return judge(pair.stripe, KEY, pair.office, waiting)


LOCATION = (
    *("--name", "Leura Dental", "--timezone", "Australia/Sydney", "--currency", "aud"),
    *("--pms", "open_dental"),
)


def installed(folder: Path, pair: Outside, members: int = 0, frequency: str = "weekly") -> Installation:
    """A new installation with one location, and with the first of PEOPLE as linked members who pay by card."""
    folder.mkdir(parents=True)
    installation = Installation(folder, pair.stripe.address, pair.office.address)
    installation.add_location()
    if members:
        assert installation.import_people(members, frequency).document["activated"] == members
        assert installation.json("links", "match", "--location", SLUG)["linked"] == members
    return installation


def settled(verdict: Verdict) -> bool:
    """The three zeros."""
    return (verdict.duplicates_in_pms, verdict.lost, verdict.unexplained_cents) == (0, 0, 0)


def health(port: int) -> httpx.Response:
    """The health page of a daemon."""
    return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=10, trust_env=False)


def people_file(file: Path, people: int, **columns: str) -> Path:
    """A CSV file of the first people; `{}` in a further column stands for the person's number."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["given_name", "family_name", "date_of_birth", "address", "suburb", "state", "postcode", *columns]
        )
        for number, person in enumerate(PEOPLE[:people], start=1):
            extra = [text.format(number) for text in columns.values()]
            writer.writerow([*person, "Leura", "NSW", "2780", *extra])
    return file
