"""Starting again after a crash with 10,000 write-backs open: half were being sent, half wait."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import select, update

from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.states import WriteBackState
from connector.sandbox.demo.processes import Sandbox
from tests.benchmarks.daemon import serving
from tests.benchmarks.measure import Figure
from tests.benchmarks.practice import NOON, Practice, office, practice, stripe_account

OPEN = 10_000
MEMBERS = 1_000
BAR_SECONDS = 2
STARTS = 3
LIMIT_SECONDS = 60


def run(folder: Path) -> list[Figure]:
    """Time from the start of the process until it answers, and until the first payment is in the practice system."""
    ready, first = [], []
    with office(folder, MEMBERS) as pms, stripe_account(folder) as stripe, practice(folder, pms.address) as subject:
        members = subject.add_members(MEMBERS)
        subject.link(members)
        subject.add_write_backs(members, OPEN, "SPR")
        for _ in range(STARTS):
            _interrupt(subject)
            before = _payments(pms)
            started = time.perf_counter()
            with serving(folder, stripe.address, CONNECTOR_CLOCK__NOW=NOON.isoformat()) as daemon:
                ready.append(daemon.ready_seconds)
                _wait_for_more(pms, before)
                first.append(time.perf_counter() - started)
    name = f"After a crash with {OPEN:,} open, start to"
    note = f"{STARTS} starts"
    return [
        Figure(f"{name} /healthz 200", median(ready), "s", bar=BAR_SECONDS, note=note),
        Figure(f"{name} first payment written", median(first), "s", bar=BAR_SECONDS, note=note),
    ]


def _interrupt(subject: Practice) -> None:
    """Leave half of the rows as a crash would: claimed, the lease over, the settle window not."""
    now = subject.clock.now()
    half = select(WriteBack.id).where(WriteBack.state != WriteBackState.CONFIRMED).order_by(WriteBack.id)
    claimed = {
        "state": WriteBackState.SENDING,
        "attempts": 1,
        "sent_at": now,
        "lease_until": now - timedelta(minutes=1),
    }
    with subject.context.database.unit_of_work() as session:
        session.execute(update(WriteBack).where(WriteBack.id.in_(half.limit(OPEN // 2))).values(**claimed))
        waiting = (WriteBackState.ACCEPTED, WriteBackState.UNKNOWN)
        session.execute(update(WriteBack).where(WriteBack.state.in_(waiting)).values(state=WriteBackState.QUEUED))


def _wait_for_more(pms: Sandbox, before: int) -> None:
    give_up = time.perf_counter() + LIMIT_SECONDS
    while _payments(pms) <= before:
        if time.perf_counter() > give_up:
            raise AssertionError("The daemon wrote nothing: see daemon.log.")
        time.sleep(0.02)


def _payments(pms: Sandbox) -> int:
    return int(pms.get("/_sandbox/totals")["payments"]["count"])
