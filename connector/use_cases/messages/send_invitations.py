"""Invite members to sign up: each pending contract's member gets a message with the link, now if that is possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select

from connector.billing.agreements.contracts import Contract
from connector.billing.clinics import Location
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.messaging.mailer import Mailer
from connector.messaging.sms import SmsSender
from connector.use_cases.context import Context
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.messages.send_messages import send_messages
from connector.use_cases.practice.location_settings import require_active

BATCH = 500
"""Contracts per unit of work."""


@dataclass
class InvitationReport:
    """How many were sent, and why some were not."""

    sent: int = 0
    problems: list[str] = field(default_factory=list)


def send_invitations(context: Context, mailer: Mailer, sms: SmsSender, contract_ids: Sequence[str]) -> InvitationReport:
    """Queue one invitation for each of these contracts, and send all that are queued.

    What cannot be sent now stays queued: the daemon, or the next call, sends it. Where nobody can sign up now, nobody
    is invited.
    """
    if not contract_ids:
        return InvitationReport()
    refusals: set[str] = set()
    for start in range(0, len(contract_ids), BATCH):
        refusals |= _queue(context, contract_ids[start : start + BATCH])
    tally = send_messages(context, mailer, sms, {MessageKind.INVITATION})
    sent = sum(_invited(context, contract_ids[start : start + BATCH]) for start in range(0, len(contract_ids), BATCH))
    return InvitationReport(sent, [*sorted(refusals), *tally.problems])


def _queue(context: Context, contract_ids: Sequence[str]) -> set[str]:
    """Queue the invitations of one batch; returns why some locations can invite nobody."""
    now = context.clock.now()
    refusals: set[str] = set()
    with context.database.unit_of_work() as session:
        contracts = session.scalars(select(Contract).where(Contract.id.in_(contract_ids)).order_by(Contract.created_at))
        for contract in contracts.all():
            location = session.get_one(Location, contract.location_id)
            try:
                require_active(location)
            except DomainError as refused:
                refusals.add(str(refused))
                continue
            queue_message(
                session,
                location,
                MessageKind.INVITATION,
                contract.id,
                "imported",
                now,
                member_id=contract.member_id,
                urgent=True,
            )
    return refusals


def _invited(context: Context, contract_ids: Sequence[str]) -> int:
    query = select(func.count()).where(Contract.id.in_(contract_ids), Contract.invited_at.is_not(None))
    with context.database.read() as session:
        return session.scalar(query) or 0
