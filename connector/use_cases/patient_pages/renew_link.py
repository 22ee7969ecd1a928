"""Renew a link that cannot be used any more: a new one goes to the contact on file, and nowhere else."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from connector.billing.links import REVOKED_BY_STAFF, SecureLink, find, newest
from connector.clock import business_date
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.use_cases.context import Context
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.patient_pages.link_subject import link_subject
from connector.use_cases.patient_pages.open_link import ON_WISH, PATIENT_KINDS


def renew_link(context: Context, token: str) -> None:
    """Queue a new link for whatever the token was for, once a day, if it still waits for its payer.

    Whoever asks learns nothing: there is no answer, and a token that cannot be renewed is passed over.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        link = find(session, token)
        if link is None or not _renewable(session, link, now):
            return
        try:
            subject = link_subject(context, session, link.subject_id)
        except DomainError:
            return
        if subject.kind in ON_WISH and subject.kind is not link.kind:
            # What the link was for is settled.
            return
        queue_message(
            session,
            subject.location,
            MessageKind.NEW_LINK,
            subject.id,
            f"asked:{business_date(now, subject.location.zone).isoformat()}",
            now,
            member_id=subject.member_id,
            urgent=True,
            expires_on=business_date(subject.expires_at, subject.location.zone).isoformat(),
        )


def _renewable(session: Session, link: SecureLink, now: datetime) -> bool:
    """Whether there is nothing that a new link would undo, whoever holds this one.

    The newest link of the same purpose decides: one that is live would end with the new one, and what staff have
    revoked is theirs to send again.
    """
    last = newest(session, link.subject_id)
    if last is None or link.kind not in PATIENT_KINDS or REVOKED_BY_STAFF in (link.ended_because, last.ended_because):
        return False
    return last.ended_at is not None or last.expires_at <= now
