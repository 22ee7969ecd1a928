"""The engine that works off one location's write-backs: look, claim, send once, commit the outcome, read back.

A row is claimed in a committed transaction before the first byte leaves, so a crash leaves `sending`, which turns into
`unknown` when the lease ends and is settled by looking. Nothing here repeats a request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.clock import Clock
from connector.database.engine import Database, DatabaseUnavailable
from connector.database.installation import ALONE
from connector.errors import AccessDenied, EdgeError, NotSent, RateLimited
from connector.ledger.write_back import outcome
from connector.ledger.write_back.breaker import Breaker, trouble_of
from connector.ledger.write_back.connection_lease import TERM, hold
from connector.ledger.write_back.look import Look, recipient
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.outcome import Change
from connector.ledger.write_back.queue import POSTED_BY_PERSON, keep, step
from connector.ledger.write_back.recipients import Recipients
from connector.ledger.write_back.states import WriteBackState
from connector.pms_adapters.port import PmsAdapter
from connector.pms_adapters.records import PaymentCommand, Receipt, ReversalCommand

log = structlog.get_logger()

S = WriteBackState

ROWS_PER_SLOT = 64
"""Rows of one round for each write that may be under way at once: they share one look, and a round is soon over."""
LEASE_MARGIN = timedelta(seconds=30)

_ORIGINAL = WriteBack.__table__.alias("original")
"""The write-back that a reversal takes back."""
_BEFORE = WriteBack.__table__.alias("before")
"""The write-back that another one comes after."""
_ENTERED = (
    select(_BEFORE.c.id)
    .where(_BEFORE.c.id == WriteBack.after_id, _BEFORE.c.state.in_((S.CONFIRMED, S.RECORDED)))
    .correlate(WriteBack)
    .exists()
)

Mapper = Callable[[Callable[[WriteBack], None], Sequence[WriteBack]], Iterable[None]]


@dataclass
class Tally:
    """What a run did, for the log, the metrics and the person who started it."""

    sent: int = 0
    confirmed: int = 0
    rejected: int = 0
    unknown: int = 0
    held: int = 0
    problem: str | None = None
    """Why the run stopped early: the practice system is away or refuses us."""
    _lock: Lock = field(default_factory=Lock, repr=False)

    def count(self, name: str) -> None:
        with self._lock:
            if name in ("sent", "confirmed", "rejected", "unknown", "held"):
                setattr(self, name, getattr(self, name) + 1)

    def stop(self, problem: str) -> None:
        with self._lock:
            self.problem = self.problem or problem


class WriteBackEngine:
    """Works for one location through its open adapter. `mapper` runs the sends of a round in turn or in threads.

    `holder` is the installation that works, if it can have the lease of the connection; `recipients` outlives a run.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        location_id: str,
        zone: ZoneInfo,
        adapter: PmsAdapter,
        mapper: Mapper = map,
        holder: str = ALONE.id,
        recipients: Recipients | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._location_id = location_id
        self._zone = zone
        self._adapter = adapter
        self._manifest = adapter.manifest
        self._mapper = mapper
        self._holder = holder
        self._recipients = recipients or Recipients(adapter, clock)
        self._lease = 2 * self._manifest.call_deadline + LEASE_MARGIN
        self._round = ROWS_PER_SLOT * self._manifest.concurrency
        self._send_within = LEASE_MARGIN.total_seconds()
        self._breaker = Breaker(None)
        self._held_at: datetime | None = None
        """When the lease of the connection was last renewed."""

    def run(self, tally: Tally | None = None) -> Tally:
        """Do all work that is due now. A practice system that is away ends the run early and changes no row.

        A caller that gives its own tally has what was done also when the run ends in an error.
        """
        tally = tally or Tally()
        for _ in self.rounds(tally):
            pass
        return tally

    def rounds(self, tally: Tally) -> Iterator[None]:
        """The same with a pause after each round, in which other locations have their turn."""
        if not (self._may_work() and self._may_ask(tally)):
            return
        try:
            yield from self._rounds(tally)
        except EdgeError as error:
            self._breaker.failed(error)
            tally.stop(str(error))
        if self._breaker.has_news:
            with self._database.unit_of_work() as session:
                self._breaker.keep(session, self._location_id, self._clock.now())

    def _rounds(self, tally: Tally) -> Iterator[None]:
        self._recover(tally)
        self._hand_over(tally)
        self._settle_open(tally)
        sent: list[WriteBack] = []
        while tally.problem is None and (rows := self._due(S.QUEUED)) and self._may_work():
            # One look proves what the round before has sent and shows what is there before this one.
            look = self._look([*sent, *rows])
            self._confirm(sent, look, tally)
            sent = self._send_round(rows, look, tally)
            self._breaker.trying = False
            yield
        if sent:
            self._confirm(sent, self._look(sent), tally)

    def _may_work(self) -> bool:
        """Whether the practice system is this installation's; else another one takes notice of whatever waits here."""
        with self._database.unit_of_work() as session:
            return self._renew(session, self._clock.now())

    def _renew(self, session: Session, now: datetime) -> bool:
        held = hold(session, self._location_id, self._holder, now)
        self._held_at = now if held else None
        return held

    def _holds(self, session: Session, now: datetime) -> bool:
        """Whether the lease is ours for long enough: nobody can have taken it in the first half of its term."""
        lately = self._held_at is not None and timedelta(0) <= now - self._held_at < TERM / 2
        return lately or self._renew(session, now)

    def _may_ask(self, tally: Tally) -> bool:
        """Whether the practice system may be asked anything now, or is left alone because it keeps failing."""
        now = self._clock.now()
        with self._database.read() as session:
            trouble = trouble_of(session, self._location_id)
        self._breaker = Breaker(trouble)
        if trouble is None or not trouble.waits(now):
            return True
        tally.stop(trouble.sentence(now, self._zone))
        return False

    def _recover(self, tally: Tally) -> None:
        """A claim whose lease has ended belongs to nobody: whether its request arrived is unknown."""
        now = self._clock.now()
        query = select(WriteBack).where(
            WriteBack.location_id == self._location_id, WriteBack.state == S.SENDING, WriteBack.lease_until <= now
        )
        with self._database.read() as session:
            rows = session.scalars(query).all()
        reason = "The work was interrupted while sending."
        self._commit([outcome.unclear(row, reason, self._manifest, now) for row in rows], tally)

    def _hand_over(self, tally: Tally) -> None:
        """A payment that a person typed in has no entry that we know, so its reversal is that person's too."""
        query = (
            select(WriteBack)
            .join(_ORIGINAL, _ORIGINAL.c.id == WriteBack.reverses_id)
            .where(WriteBack.location_id == self._location_id, WriteBack.state == S.QUEUED)
            .where(_ORIGINAL.c.state == S.RECORDED)
        )
        with self._database.read() as session:
            rows = session.scalars(query).all()
        self._commit([outcome.reversal_by_hand(row) for row in rows], tally)

    def _settle_open(self, tally: Tally) -> None:
        """Look for what was accepted or is unknown."""
        rows = [*self._due(S.ACCEPTED), *self._due(S.UNKNOWN)]
        if not rows:
            return
        try:
            self._prove(rows, tally)
        except (NotSent, AccessDenied, RateLimited):
            # The breaker decides when to ask again; no row is to blame, and none is given up for it.
            raise
        except EdgeError as error:
            now = self._clock.now()
            self._commit([outcome.look_failed(row, error, now) for row in rows], tally)
            raise

    def _prove(self, rows: Sequence[WriteBack], tally: Tally) -> None:
        """Read back once for all rows and commit what it proves."""
        look = self._look(rows)
        now = self._clock.now()
        changes = [
            outcome.found(row, look.in_full(row), now)
            or outcome.absent(row, self._manifest, now, stopped=row.claimed_by in (None, self._holder))
            for row in rows
        ]
        self._commit(changes, tally)

    def _send_round(self, rows: Sequence[WriteBack], look: Look, tally: Tally) -> list[WriteBack]:
        """Adopt what is there already and send the rest. Returns the rows that can be read back at once."""
        now = self._clock.now()
        there, fresh = [], []
        for row in rows:
            evidence = look.by_reference(row) if row.baseline is None else look.in_full(row)
            change = outcome.unmarkable(row, self._manifest) or outcome.found(row, evidence, now)
            if change:
                there.append(change)
            else:
                fresh.append(row)
        self._commit(there, tally)
        fresh = self._with_recipients(fresh, tally)

        def send(row: WriteBack) -> None:
            if tally.problem is None:
                self._send(row, look.ids_of(row), tally)

        list(self._mapper(send, fresh))
        return [row for row in fresh if row.state is S.ACCEPTED and not self._manifest.asynchronous]

    def _with_recipients(self, rows: Sequence[WriteBack], tally: Tally) -> list[WriteBack]:
        """The rows whose patients can still be written to, asked for all at once; the others wait for a person.

        What a person has posted is not asked again, and what is taken back goes where it stands.
        """
        asked = [row for row in rows if row.leg is Leg.PAYMENT and row.reason != POSTED_BY_PERSON]
        gone = self._recipients.gone(recipient(row) for row in asked)
        misdirected = {row.id: outcome.misdirected(row) for row in asked if recipient(row) in gone}
        self._commit(misdirected.values(), tally)
        return [row for row in rows if row.id not in misdirected]

    def _confirm(self, rows: Sequence[WriteBack], look: Look, tally: Tally) -> None:
        """Judge what was just accepted. Being there proves it; not being there proves nothing before its time."""
        now = self._clock.now()
        self._commit([change for row in rows if (change := outcome.found(row, look.by_reference(row), now))], tally)

    def _send(self, row: WriteBack, baseline: list[str], tally: Tally) -> None:
        """Claim, send once, commit the outcome. Any error that is not a clear answer makes the outcome unknown."""
        started = time.monotonic()
        if not self._claim(row, baseline):
            return
        if time.monotonic() - started > self._send_within:
            # The process stood still in between: another may have taken over, so only looking is allowed now.
            return
        now = self._clock.now()
        try:
            self._request(row)
        except EdgeError as error:
            if self._breaker.write_failed(error):
                tally.stop(str(error))
            change = outcome.refused(row, error, self._manifest, now)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            # An adapter may be other people's code, and it may have sent before it failed.
            log.exception("write_back.adapter_failed", write_back_id=row.id)
            reason = f"The adapter failed while sending ({type(error).__name__}): it may have happened."
            change = outcome.unclear(row, reason, self._manifest, now)
        else:
            self._breaker.answered()
            change = outcome.answered(row, self._manifest, now)
        tally.count("sent")
        self._commit([change], tally)

    def _claim(self, row: WriteBack, baseline: list[str]) -> bool:
        """Commit the intent, provided the row is still as it was read; the row object then shows it."""
        now = self._clock.now()
        moved = row.sent_to_patient_id != row.pms_patient_id
        claim: dict[str, Any] = {
            "attempts": row.attempts + 1,
            "fence": row.fence + 1,
            "claimed_by": self._holder,
            "lease_until": now + self._lease,
            "sent_at": now,
            "sent_to_patient_id": row.pms_patient_id,
            "baseline": baseline if row.baseline is None or moved else row.baseline,
            "looks": 0,
            "failed_looks": 0,
        }
        with self._database.unit_of_work() as session:
            won = self._holds(session, now) and step(session, row, S.SENDING, now, **claim)
        if won:
            row.state = S.SENDING
            for name, value in claim.items():
                setattr(row, name, value)
        return won

    def _request(self, row: WriteBack) -> Receipt:
        patient = recipient(row)
        shared = (row.amount, row.dated, row.payment_type, row.note)
        if row.leg is Leg.PAYMENT:
            return self._adapter.record_payment(PaymentCommand(row.reference, patient, *shared, row.prepayment))
        with self._database.read() as session:
            original = session.get_one(WriteBack, row.reverses_id)
        return self._adapter.record_reversal(
            ReversalCommand(row.reference, original.pms_entry_id or "", patient, *shared)
        )

    def _look(self, rows: Sequence[WriteBack]) -> Look:
        look = Look(self._database, self._adapter, self._zone, rows)
        self._breaker.answered()
        return look

    def _due(self, state: WriteBackState) -> list[WriteBack]:
        """Rows in that state whose time has come, oldest first, without those that wait for another one."""
        query = (
            select(WriteBack, _ORIGINAL.c.sent_to_patient_id)
            .outerjoin(_ORIGINAL, _ORIGINAL.c.id == WriteBack.reverses_id)
            .where(WriteBack.location_id == self._location_id, WriteBack.state == state)
            .where(WriteBack.next_attempt_at <= self._clock.now())
            .where(WriteBack.reverses_id.is_(None) | (_ORIGINAL.c.state == S.CONFIRMED))
            .where(WriteBack.after_id.is_(None) | _ENTERED)
            .order_by(WriteBack.created_at, WriteBack.id)
            .limit(1 if self._breaker.trying else self._round)
        )
        with self._database.read() as session:
            rows = session.execute(query).all()
        for row, original_went_to in rows:
            # What was given back belongs where the payment stands, also when the member is linked elsewhere by now.
            row.pms_patient_id = original_went_to or row.pms_patient_id
        return [row for row, _ in rows]

    def _commit(self, changes: Collection[Change], tally: Tally) -> None:
        """Keep the outcomes; one whose claim was lost meanwhile is dropped, because its taker decides."""
        if not changes:
            return
        now = self._clock.now()
        with self._database.unit_of_work() as session:
            moved = keep(session, changes, now)
        for change in moved:
            if change.after is not None:
                change.row.state = change.after
                tally.count(change.after.value)
                log.info("write_back.step", write_back_id=change.row.id, state=change.after.value)
