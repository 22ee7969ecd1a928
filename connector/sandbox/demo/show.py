"""Runs the demo from an empty folder to the verdict of the judge."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import func, select

from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment
from connector.billing.members import Member
from connector.clock import MovableClock, zone
from connector.daemon.application import application
from connector.database.engine import Database
from connector.errors import DomainError
from connector.files import private_folder
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.states import WAITING, WriteBackState
from connector.logs import configure
from connector.matching.models import LinkReview, PatientLink
from connector.reconciliation.report import DayReport
from connector.sandbox.demo.judge import Verdict, judge
from connector.sandbox.demo.practice import patient_file, write_member_files
from connector.sandbox.demo.processes import Sandbox, running
from connector.sandbox.demo.story import FIRST_DAY, OPENS, Story
from connector.settings import LogSettings, Settings, StripeSettings
from connector.use_cases.books.link_members import link_members
from connector.use_cases.books.report_day import report_day
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.context import Context
from connector.use_cases.practice.set_up_location import add_location
from connector.use_cases.transfer.import_members import import_members

KEY = "sk_test_demo"
SLUG = "demo"
TIMEZONE = "Australia/Sydney"
MARKER = "made-by-connector-demo"


@dataclass(frozen=True, slots=True)
class Result:
    """What a demo run came to."""

    members: int
    linked: int
    in_review: int
    confirmed: int
    waiting: int
    book_adds_up: bool
    report: DayReport
    verdict: Verdict
    wall_seconds: float

    @property
    def faultless(self) -> bool:
        verdict = self.verdict
        return self.book_adds_up and not (verdict.duplicates_in_pms or verdict.lost or verdict.unexplained_cents)

    def as_json(self) -> dict[str, Any]:
        return {
            "members": self.members,
            "linked": self.linked,
            "in_review": self.in_review,
            "charges_succeeded": self.verdict.charges_succeeded,
            "charged_cents": self.verdict.charged_cents,
            "write_backs_confirmed": self.confirmed,
            "written_cents": self.verdict.written_cents,
            "waiting": self.waiting,
            "duplicates_in_pms": self.verdict.duplicates_in_pms,
            "lost": self.verdict.lost,
            "unexplained_cents": self.verdict.unexplained_cents,
            "wall_seconds": round(self.wall_seconds, 1),
        }


def play(members: int, folder: Path, tell: Callable[[str], None]) -> Result:
    """Play the story in `folder`, which an earlier demo may have left and nobody else. Stops all that it started."""
    started = time.monotonic()
    _empty(folder)
    configure(LogSettings(level="error"))
    tell("Starting a simulated Stripe and a simulated Open Dental ...")
    with ExitStack() as stack:
        patients = stack.enter_context(patient_file())
        stripe = stack.enter_context(_sandbox(folder, "stripe"))
        office = stack.enter_context(_sandbox(folder, "open-dental", "--patients", str(patients)))
        clock = MovableClock(datetime.combine(FIRST_DAY, OPENS, zone(TIMEZONE)))
        stripe.move_clock(clock.now())
        office.move_clock(clock.now())
        api = StripeSettings(secret_key=SecretStr(KEY), api_base=stripe.address)
        settings = Settings(data_dir=folder, stripe=api)
        context = stack.enter_context(application(settings, clock))
        location = _set_up(context, office, folder, members, tell)
        story = Story(context, clock, location, stripe, office, tell)
        for _ in story.days():
            pass
        return _result(context, location, stripe, office, time.monotonic() - started)


def _sandbox(folder: Path, name: str, *more: str) -> Any:
    return running(name, "--data", str(folder / f"sandbox-{name}.sqlite3"), *more, log=folder / f"sandbox-{name}.log")


def _empty(folder: Path) -> None:
    """Start afresh, but never remove a folder that some other program or person filled."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise DomainError(
                f"The folder {folder} is not empty and was not made by a demo: choose another with --folder."
            )
        _spare_real_work(folder)
        shutil.rmtree(folder)
    private_folder(folder)
    (folder / MARKER).touch()


def _spare_real_work(folder: Path) -> None:
    """Whoever went on working in the demo's folder must not lose it to the next demo."""
    file = folder / "connector.sqlite3"
    if not file.exists():
        return
    database = Database(f"sqlite:///{file.absolute().as_posix()}")
    try:
        with database.read() as session:
            others = list(session.scalars(select(Location.slug).where(Location.slug != SLUG)))
    finally:
        database.close()
    if others:
        raise DomainError(f"The folder {folder} holds the location {others[0]!r} by now: choose another with --folder.")


def _set_up(context: Context, office: Sandbox, folder: Path, members: int, tell: Callable[[str], None]) -> Location:
    add_location(
        context,
        slug=SLUG,
        name="Demo Dental",
        timezone=TIMEZONE,
        currency="aud",
        pms="open_dental",
        pms_settings={
            "base_url": f"{office.address}/api/v1",
            "developer_key": "sandbox-developer",
            "customer_key": "sandbox-office",
        },
    )
    with context.database.read() as session:
        location = session.scalars(select(Location)).one()
    imported = refused = 0
    for plan, file in write_member_files(folder, members).items():
        report = import_members(context, file, location_slug=SLUG, plan_name=plan, invite=False)
        imported, refused = imported + report.imported, refused + report.refused
    tell(f"{imported:,} members imported, {refused} rows refused for missing names or impossible dates.")
    links = link_members(context, location)
    tell(f"{links.linked} members linked to their patients, {links.review} to review, {links.none} without a patient.")
    return location


def _result(context: Context, location: Location, stripe: Sandbox, office: Sandbox, seconds: float) -> Result:
    with context.database.read() as session:

        def count(*conditions: Any) -> int:
            return session.scalar(select(func.count()).where(*conditions)) or 0

        rows = session.scalars(select(WriteBack).where(WriteBack.state.in_(WAITING))).all()
        waiting = {row.reference: row.signed.cents for row in rows}
        verdict = judge(stripe, KEY, office, waiting)
        members, linked = count(Member.id.is_not(None)), count(PatientLink.ended_at.is_(None))
        in_review = count(LinkReview.resolved_at.is_(None))
        confirmed = count(WriteBack.state == WriteBackState.CONFIRMED)
        # The report of the last day on which people signed up or were charged shows more than an empty one.
        last_day = session.scalars(select(func.max(Payment.business_date))).one()
    return Result(
        members=members,
        linked=linked,
        in_review=in_review,
        confirmed=confirmed,
        waiting=len(rows),
        book_adds_up=verify_ledger(context).ok,
        report=report_day(context, location, last_day),
        verdict=verdict,
        wall_seconds=seconds,
    )
