"""Work off the write-backs of all locations, each through its own practice system."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select

from connector.billing.clinics import Location
from connector.ledger.write_back.engine import Mapper, Tally, WriteBackEngine
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.outcome import dated_later
from connector.ledger.write_back.queue import amend
from connector.ledger.write_back.states import ABSENT, WriteBackState
from connector.use_cases.books.move_entries import follow_links
from connector.use_cases.containment import contained
from connector.use_cases.context import Context
from connector.use_cases.continuity.require_current import require_current
from connector.use_cases.returns.reverse_write_backs import cancel_out

WORK = (WriteBackState.QUEUED, WriteBackState.SENDING, WriteBackState.ACCEPTED, WriteBackState.UNKNOWN)


def work_write_backs(context: Context, location_id: str | None = None, mapper: Mapper = map) -> dict[str, Tally]:
    """Send and settle what is due, at one location or all; returns what was done by the location's short name.

    Locations take turns by rounds, so that thousands of payments of one do not hold up the three of another.
    A practice system that is away or badly configured, or whose adapter fails, holds up its own location only. While
    another process of this installation is at it, or another installation writes to a practice system, nothing is done.
    Raises DatabaseUnavailable.
    """
    follow_links(context)
    tallies: dict[str, Tally] = {}
    under_way: dict[str, Iterator[Location]] = {}
    with context.installation.sending() as alone:
        waiting = _with_work(context, location_id) if alone else []
        while waiting or under_way:
            for location in waiting:
                tally = tallies.setdefault(location.slug, Tally())
                if tally.problem is None and location.slug not in under_way:
                    under_way[location.slug] = _turns(context, location, mapper, tally)
            under_way = {slug: turns for slug, turns in under_way.items() if next(turns, None)}
            # What falls due meanwhile has its turn as well, however long the others take.
            waiting = _with_work(context, location_id) if under_way else []
    return tallies


def _turns(context: Context, location: Location, mapper: Mapper, tally: Tally) -> Iterator[Location]:
    """The work of one location, a round at a time."""
    with contained(location, tally.stop):
        require_current(context)
        _date_into_open_period(context, location)
        for _ in _engine(context, location, mapper).rounds(tally):
            yield location
            require_current(context)
    if tally.rejected:
        with context.database.unit_of_work() as session:
            cancel_out(session, context.clock.now())


def _date_into_open_period(context: Context, location: Location) -> None:
    """What is surely not entered yet, and whose day the practice says is closed, is dated on the first open one."""
    if (first := location.policy.books_open_from) is None:
        return
    dated = func.coalesce(WriteBack.ledger_date, WriteBack.entry_date)
    late = select(WriteBack).where(WriteBack.location_id == location.id, WriteBack.state.in_(ABSENT), dated < first)
    with context.database.unit_of_work() as session:
        for row in session.scalars(late).all():
            amend(session.connection(), row, {**dated_later(row, first), "fence": row.fence + 1})


def _engine(context: Context, location: Location, mapper: Mapper) -> WriteBackEngine:
    return WriteBackEngine(
        context.database,
        context.clock,
        location.id,
        location.zone,
        context.pms.of(location),
        mapper,
        context.installation.id,
        context.pms.recipients(location),
    )


def _with_work(context: Context, location_id: str | None) -> list[Location]:
    """Locations that have anything due, or that one if it has; a daemon at rest makes no call at all."""
    due = select(WriteBack.location_id).where(
        WriteBack.state.in_(WORK),
        (WriteBack.next_attempt_at <= context.clock.now()) | (WriteBack.state == WriteBackState.SENDING),
    )
    with context.database.read() as session:
        found = session.scalars(select(Location).where(Location.id.in_(due)).order_by(Location.slug)).all()
    return [location for location in found if location_id in (None, location.id)]
