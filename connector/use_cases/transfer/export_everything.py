"""Export everything on leaving: all tables, and members and payment plans as another installation imports them.

The files are written from one view of the database, and README.txt last: a folder without it is not complete. With
`stop` the billing here ends once the files are written, and only if nothing was billed meanwhile.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.clinics import Location, all_locations, location_by_slug
from connector.billing.offers import plan_files
from connector.billing.offers.plans import MembershipPlan, offered_version
from connector.clock import business_date
from connector.errors import DomainError
from connector.files import private_file, private_folder
from connector.use_cases.context import Context
from connector.use_cases.transfer.export_by_hand import BY_HAND, by_hand
from connector.use_cases.transfer.export_members import MEMBERS, PLANS, Snapshot, member_rows, plan_rows
from connector.use_cases.transfer.export_tables import cell, columns_of, public_settings, rows_of, tables
from connector.use_cases.transfer.stop_billing import exported, refuse_behind, standing, stop_billing

README = "README.txt"
TOLD_EVERY = 1_000
_CHANGED = (
    "Something was billed or changed while the files were written, so they were removed and nothing was stopped: "
    "stop `connector serve` and export again."
)

Progress = Callable[[str, int], None]
"""Told the name of a file and how many rows it has so far."""


@dataclass
class ExportReport:
    """What was written."""

    rows: dict[str, int] = field(default_factory=dict)
    """By the name of the file."""
    columns: dict[str, Sequence[str]] = field(default_factory=dict)
    stopped: int = 0
    """Agreements that are not billed here any more."""

    @property
    def by_hand(self) -> int:
        """Matters that a person settles at the other installation."""
        return sum(count for name, count in self.rows.items() if name.startswith("by-hand"))


def export_everything(
    context: Context,
    folder: Path,
    *,
    slug: str | None = None,
    stop: bool = False,
    actor: str = "connector",
    progress: Progress | None = None,
) -> ExportReport:
    """Write all files into an empty folder, for the owner alone; returns how many rows each has.

    Raises DomainError for a folder that is not empty or an unknown location, and with `stop` while billing is behind
    or goes on. Whatever goes wrong, nothing is left behind.
    """
    now = context.clock.now()
    with _empty(folder) as made:
        writer = _Writer(folder, made, progress)
        with _snapshot(context) as session:
            locations = _locations(session, slug)
            location_ids = [location.id for location in locations]
            if stop:
                refuse_behind(session, locations, now)
            before = standing(session, location_ids)
            _write_tables(writer, session, None if slug is None else locations[0])
            gone = exported(session, location_ids)
            for location in locations:
                today = business_date(now, location.zone)
                suffix = "" if len(locations) == 1 else f"-{location.slug}"
                _write_import(writer, Snapshot(session, location, today, gone), suffix)
        if stop:
            with context.database.unit_of_work() as session:
                if standing(session, location_ids) != before:
                    raise DomainError(_CHANGED)
                # Written first: a stop without its files would leave nothing to go on with.
                writer.text(README, _readme(writer.report))
                writer.report.stopped = stop_billing(session, location_ids, now, actor)
        else:
            writer.text(README, _readme(writer.report))
    return writer.report


@contextmanager
def _empty(folder: Path) -> Iterator[list[Path]]:
    """A new or empty folder; the list is of what must go again when the block fails, also the folder if it is new."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DomainError(f"{folder} is not an empty folder: name one that is, or one that does not exist.")
    made = [path for path in (*reversed(folder.parents), folder) if not path.exists()]
    private_folder(folder)
    try:
        yield made
    except BaseException:
        for path in reversed(made):
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        raise


@contextmanager
def _snapshot(context: Context) -> Iterator[Session]:
    """One view of the database for all files."""
    with context.database.read() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session


def _locations(session: Session, slug: str | None) -> list[Location]:
    if slug is not None:
        return [location_by_slug(session, slug)]
    found = all_locations(session)
    if not found:
        raise DomainError("There is no location, so there is nothing to export.")
    return found


@dataclass
class _Writer:
    """Writes files for the owner alone, and remembers what it has written."""

    folder: Path
    made: list[Path]
    progress: Progress | None
    report: ExportReport = field(default_factory=ExportReport)

    def path(self, name: str) -> Path:
        file = self.folder / name
        if not file.parent.exists():
            private_folder(file.parent)
            self.made.append(file.parent)
        self.made.append(file)
        private_file(file)
        return file

    def text(self, name: str, content: str) -> None:
        self.path(name).write_text(content, encoding="utf-8", newline="\n")

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A CSV file (RFC 4180) in UTF-8."""
        count = 0
        with self.path(name).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            for count, row in enumerate(rows, start=1):
                writer.writerow(row)
                if self.progress and count % TOLD_EVERY == 0:
                    self.progress(name, count)
        self.report.rows[name], self.report.columns[name] = count, columns
        if self.progress:
            self.progress(name, count)


def _write_tables(writer: _Writer, session: Session, location: Location | None) -> None:
    for table in tables():
        rows = rows_of(session, table, location, public_settings)
        writer.table(f"tables/{table.name}.csv", columns_of(table), rows)


def _write_import(writer: _Writer, snapshot: Snapshot, suffix: str) -> None:
    for name, columns, rows in (
        ("members", MEMBERS, member_rows(snapshot)),
        ("payment-plans", PLANS, plan_rows(snapshot)),
        ("by-hand", BY_HAND, by_hand(snapshot)),
    ):
        cells = ([cell(row.get(column)) for column in columns] for row in rows)
        writer.table(f"{name}{suffix}.csv", columns, cells)
    query = select(MembershipPlan).where(MembershipPlan.location_id == snapshot.location.id)
    for number, plan in enumerate(snapshot.session.scalars(query.order_by(MembershipPlan.name)).all(), start=1):
        short = re.sub(r"[^a-z0-9]+", "-", plan.name.lower()).strip("-")
        document = plan_files.write(offered_version(snapshot.session, plan).terms)
        # The name is no part of the document, and may hold what a file name cannot.
        heading = "".join(char if char.isprintable() else "?" for char in plan.name)
        writer.text(f"plans{suffix}/{number:02}-{short}.toml", f"# {heading}\n{document}")


def _readme(report: ExportReport) -> str:
    files = [
        f"{name}: {report.rows[name]} rows\n    {', '.join(columns)}\n" for name, columns in report.columns.items()
    ]
    return f"{_TEXT}\nFILES AND COLUMNS\n\n{''.join(files)}"


_TEXT = """\
EVERYTHING THAT CONNECTOR HELD

This folder holds personal data: names, birth dates, addresses. Keep it from others, and delete it when it is used.

BEFORE ANOTHER INSTALLATION CHARGES ANYBODY
While both installations run, both charge. Stop the old one first: `connector export --and-stop` ends its billing once
the files are complete. Leave it reading for two more weeks, so that the results of bank debits that are under way
arrive; by-hand.csv lists them.

TO GO ON ELSEWHERE, with the same account at Stripe
1. Add the location with the settings that tables/location.csv shows. Secrets of connections are not in these files.
2. Add each plan: connector plans add NAME --location SLUG --file plans/NN-name.toml
   The first line of each document is the name of the plan. Where the location has a plan of that name already, as
   each new one has its starter plans, give it these terms: connector plans edit NAME --location SLUG --file ...
   Add --closed for a plan that nobody can join any more, because its days of sign-up have passed.
3. connector import-members members.csv --location SLUG --no-invite
4. connector import-payment-plans payment-plans.csv --location SLUG
5. Settle what by-hand.csv lists, and link the members to their patients.
Repeating 3 and 4 changes nothing. Those who have a payment method are charged from the day in next_due, and nobody
who has one is sent anything. What is owed (balance) is never charged by itself: with --no-invite in step 3 nobody is
asked for it before you send the link, with `connector patient-links send` and the id from `connector payment-requests
list --location SLUG`; without --no-invite each payer is asked by message.
Uses of benefits, promo codes and referrals are in the tables, but are not imported.
The practice system keeps the entries that this installation has made. Where its reports call one "not_expected_in_pms",
the new installation does not know it: remove it only if nobody knows it, also not here (tables/write_back.csv).

THE FORM OF THE FILES
UTF-8, comma separated, lines end in CR LF, quoted as in RFC 4180. Instants are in UTC, dates are of the location.
Columns that end in _cents are whole cents; what has parts is JSON. An empty cell is an empty text or no value.
A text that begins with = + - @, a tab or a line end, or with apostrophes and then one of them, has one apostrophe
more before it, so that no spreadsheet runs it as a formula. Take that one off to get the text back; the import does.
Left out are the hashes of links and those settings of practice systems that are secret.
"""
