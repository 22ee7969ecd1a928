"""Rehearse the coming days: the same round of work that the daemon makes, day by day, on a copy and with stand-ins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from connector.billing.clinics import Location
from connector.clock import MovableClock, business_date
from connector.errors import DomainError
from connector.logs import silenced
from connector.messaging.mailer import Mail
from connector.messaging.sms import Sms
from connector.pms_adapters.registry import adapters
from connector.rehearsal.actions import Action, actions_since
from connector.rehearsal.practice_system import RehearsedFactory
from connector.rehearsal.processor import RehearsedProcessor
from connector.rehearsal.stage import copied
from connector.use_cases.context import Context, PmsConnections
from connector.use_cases.make_round import make_round

DAYS_MAX = 366


class Nowhere:
    """Takes messages and sends none."""

    def send(self, _message: Mail | Sms) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would be done, and what would be in the way."""

    actions: list[Action]
    problems: list[str]


def rehearse(
    context: Context, until: date | None, location_id: str | None = None, progress: Callable[[date], None] | None = None
) -> Rehearsal:
    """Everything that would be done from now to the end of that day, or of today, if every charge were to succeed.

    Changes nothing and asks nobody outside. Raises DomainError for a day in the past or more than a year ahead.
    """
    start = context.clock.now()
    locations = context.locations()
    first = min((business_date(start, location.zone) for location in locations), default=start.date())
    until = until or first
    if not first <= until <= first + timedelta(days=DAYS_MAX):
        raise DomainError(f"A rehearsal ends between today and {first + timedelta(days=DAYS_MAX)}: choose such a day.")
    clock, problems = MovableClock(start), []
    with silenced(), copied(context.database) as copy:
        factories = {name: RehearsedFactory(real) for name, real in adapters().items()}
        factories |= {name: RehearsedFactory(real) for name, real in context.pms.factories.items()}
        stage = replace(
            context,
            database=copy,
            clock=clock,
            processor=RehearsedProcessor(copy, clock),
            pms=PmsConnections(clock, factories),
        )
        with copy.read() as session:
            # Done at this very instant already, where the clock stands still: nothing that is still to come.
            before = Counter(actions_since(session, start))
        for instant in rounds(start, first, until, locations):
            clock.move_to(instant)
            problems += make_round(stage, Nowhere(), Nowhere(), location_id).problems
            if progress:
                progress(max(first, instant.date()))
        with copy.read() as session:
            done = Counter(action for action in actions_since(session, start) if action.on <= until)
    return Rehearsal(sorted((done - before).elements()), list(dict.fromkeys(problems)))


def rounds(start: datetime, first: date, until: date, locations: Sequence[Location]) -> list[datetime]:
    """The instants at which work is rehearsed: now, and each day when a location may send messages and at its end.

    Whatever the time of day is now, what a local day brings is then shown under that day.
    """
    found = {start}
    for location in locations:
        times = (time(location.policy.send_from_hour), time(23, 59))
        days = [first + timedelta(days=offset) for offset in range((until - first).days + 1)]
        found |= {datetime.combine(day, at, location.zone).astimezone(UTC) for day in days for at in times}
    return sorted(instant for instant in found if instant >= start)
