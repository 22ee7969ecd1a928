"""Make one round of all work that is due: news, billing, write-backs and messages; what `connector run-due` does.

The daemon does the same in jobs of their own. The order matters: what was decided meanwhile must not be asked for
again, and people are told of what has happened, not of what is about to.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from connector.ledger.write_back.engine import Tally
from connector.messaging.mailer import Mailer
from connector.messaging.sms import SmsSender
from connector.use_cases.books.work_write_backs import work_write_backs
from connector.use_cases.collection.read_news import read_news
from connector.use_cases.collection.run_due import DueReport, run_due
from connector.use_cases.containment import contained
from connector.use_cases.context import Context
from connector.use_cases.messages.notice_ahead import notice_ahead
from connector.use_cases.messages.send_messages import MessageTally, send_messages


@dataclass
class RoundReport:
    """What a round did."""

    events: int
    due: DueReport
    write_backs: dict[str, Tally]
    """By location."""
    messages: MessageTally
    problems: list[str] = field(default_factory=list)


def make_round(context: Context, mailer: Mailer, sms: SmsSender, location_id: str | None = None) -> RoundReport:
    """Do everything that is due now, at one location or all. It may be stopped and made again at any time."""
    told: list[str] = []
    before = read_news(context)
    due = run_due(context, location_id)
    after = read_news(context)
    for location in context.locations():
        if location_id in (None, location.id):
            with contained(location, told.append):
                notice_ahead(context, location)
    tallies = work_write_backs(context, location_id)
    messages = send_messages(context, mailer, sms)
    from_pms = [tally.problem for tally in tallies.values() if tally.problem]
    problems = [*before.problems, *due.problems, *after.problems, *told, *from_pms, *messages.problems]
    return RoundReport(before.new + after.new, due, tallies, messages, list(dict.fromkeys(problems)))
