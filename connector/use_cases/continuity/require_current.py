"""Nothing is charged, written or sent by a database that was set back, or by the second of two copies that run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select, update

from connector import ids
from connector.billing.agreements.hold_rules import charge_id_of
from connector.billing.agreements.payment_requests import PaymentHold
from connector.billing.clinics import Location
from connector.billing.collecting.charges import Charge
from connector.database.inserts import insert_if_new
from connector.database.seal import SEAL, Seal
from connector.errors import DomainError, EdgeError
from connector.use_cases.context import Context

log = structlog.get_logger()

SET_BACK = (
    "This database was set back to an earlier state, or a copy of it works elsewhere, so nothing is charged, written "
    "or sent: make sure that no other copy runs, then say `connector resume`."
)

LOOK_BACK = timedelta(days=30)
"""So far back a database without a seal asks whether it is a new one."""


def require_current(context: Context) -> None:
    """Raise DomainError unless this is its machine, and the processor keeps its seal. Asks at most once a minute.

    While the processor is away, a process that has seen the seal goes on. Raises EdgeError in one that has not.
    """
    watch = context.seal_watch
    with watch.lock:
        now = context.clock.now()
        if watch.is_fresh(now):
            return
        require_unbroken(context)
        try:
            seal = _compared(context, _kept(context, now), now)
            if seal.kept_as and seal.is_old(now):
                change_seal(context, now)
        except EdgeError:
            if watch.seen_at is None:
                raise
            return
        watch.seen_at = now


def require_unbroken(context: Context) -> None:
    """Raise DomainError when it was found out before, or the folder comes from another machine; asks nobody."""
    if context.installation.is_elsewhere:
        raise DomainError(SET_BACK)
    with context.database.read() as session:
        seal = session.get(Seal, SEAL)
    if seal is not None and seal.broken_at is not None:
        raise DomainError(SET_BACK)


def change_seal(context: Context, now: datetime) -> None:
    """Follow the seal by another one: decided first, so that it is known as ours whenever this is interrupted."""
    with context.database.unit_of_work() as session:
        session.execute(
            update(Seal).where(Seal.id == SEAL, Seal.next_text.is_(None)).values(next_text=ids.new_id("seal"))
        )
        seal = session.get_one(Seal, SEAL)
    text = seal.next_text or seal.text
    kept_as = context.processor.write_seal(f"seal:{text}", text, seal.kept_as)
    with context.database.unit_of_work() as session:
        followed = update(Seal).where(Seal.id == SEAL, Seal.next_text == text)
        session.execute(followed.values(text=text, next_text=None, kept_as=kept_as, changed_at=now, broken_at=None))


def _kept(context: Context, now: datetime) -> Seal:
    """The seal as this database has it; the first one is made on first use, unless that is not the first in truth."""
    with context.database.read() as session:
        seal = session.get(Seal, SEAL)
    if seal is None:
        first: dict[str, Any] = {"text": ids.new_id("seal"), "changed_at": now}
        if _has_forgotten(context, now - LOOK_BACK):
            first |= {"changed_at": now - LOOK_BACK, "broken_at": now}
        with context.database.unit_of_work() as session:
            session.execute(insert_if_new(session, Seal).values(id=SEAL, **first))
            seal = session.get_one(Seal, SEAL)
    if seal.kept_as is None and seal.broken_at is None:
        kept_as = context.processor.write_seal(f"seal:{seal.text}", seal.text)
        with context.database.unit_of_work() as session:
            session.execute(update(Seal).where(Seal.id == SEAL, Seal.kept_as.is_(None)).values(kept_as=kept_as))
            seal = session.get_one(Seal, SEAL)
    return seal


def _has_forgotten(context: Context, since: datetime) -> bool:
    """Whether the processor has lately made a payment for us that this database, which has no seal yet, never knew."""
    listed = [found for found in context.processor.charges_since(since) if found.charge_id]
    with context.database.read() as session:
        locations = set(session.scalars(select(Location.id)))
        known = {*session.scalars(select(Charge.id)), *map(charge_id_of, session.scalars(select(PaymentHold.id)))}
    return any(found.location_id in locations and found.charge_id not in known for found in listed)


def _compared(context: Context, seal: Seal, now: datetime) -> Seal:
    """The seal, once it is seen to be the processor's. A broken one stays broken until a person resumes."""
    kept = context.processor.read_seal(str(seal.kept_as)) if seal.broken_at is None else None
    with context.database.unit_of_work() as session:
        # Read again: another process of ours may have changed it between our two looks.
        seal = session.get_one(Seal, SEAL)
        if seal.broken_at is None and kept is None:
            # Somebody has removed it at Stripe: that proves nothing, and the next look makes it anew.
            seal.kept_as, seal.text, seal.next_text = None, ids.new_id("seal"), None
        elif seal.broken_at is None and not seal.agrees(str(kept)):
            seal.broken_at = now
            log.error("seal.broken")
    if seal.broken_at is not None:
        raise DomainError(SET_BACK)
    return seal
