"""Send, list and revoke patients' links, as staff do. A token is never shown again, so what is lost is sent anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select

from connector.billing.activity import remember
from connector.billing.clinics import Location
from connector.billing.links import LinkKind, SecureLink
from connector.billing.members import Member
from connector.clock import business_date
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.use_cases.context import Context
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.patient_pages.link_subject import LinkSubject, link_subject
from connector.use_cases.patient_pages.open_link import PATIENT_KINDS
from connector.use_cases.patient_pages.revoke_links import revoke


@dataclass(frozen=True, slots=True)
class LinkLine:
    """One link that can be used now."""

    id: str
    kind: LinkKind
    subject_id: str
    member_id: str
    created_at: datetime
    expires_at: datetime


def subject_and_member(context: Context, subject_id: str) -> tuple[LinkSubject, Member]:
    """What a link would be about, and its payer. Raises DomainError when it waits for nobody."""
    with context.database.read() as session:
        subject = link_subject(context, session, subject_id)
        return subject, session.get_one(Member, subject.member_id)


def send_link(context: Context, subject_id: str, actor: str) -> date | None:
    """Queue a message with a new link; returns the day on which it ends. Raises DomainError as above.

    None without pages of our own: the processor's page is made when the message goes out, and is open for a day.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        subject = link_subject(context, session, subject_id)
        expires_on = business_date(subject.expires_at, subject.location.zone)
        queue_message(
            session,
            subject.location,
            MessageKind.INVITATION if subject.kind is LinkKind.SIGNUP else MessageKind.NEW_LINK,
            subject.id,
            f"sent:{now.isoformat()}",
            now,
            member_id=subject.member_id,
            urgent=True,
            expires_on=expires_on.isoformat(),
        )
        remember(session, subject.id, "Link Sent", now, location_id=subject.location.id, actor=actor)
    return expires_on if context.public_url else None


def list_links(context: Context, location: Location) -> list[LinkLine]:
    """The links of a location's members that can be used now, the newest first."""
    query = (
        select(SecureLink)
        .join(Member, Member.id == SecureLink.member_id)
        .where(Member.location_id == location.id, SecureLink.kind.in_(PATIENT_KINDS))
        .where(SecureLink.ended_at.is_(None), SecureLink.expires_at > context.clock.now())
        .order_by(SecureLink.created_at.desc(), SecureLink.id.desc())
    )
    with context.database.read() as session:
        return [
            LinkLine(link.id, link.kind, link.subject_id, link.member_id or "", link.created_at, link.expires_at)
            for link in session.scalars(query)
        ]


def revoke_link(context: Context, link_id: str, actor: str) -> None:
    """End a link before its time, and all that was begun with it. Raises DomainError when it is over already.

    A phone number that was given with it is forgotten; a page of the processor that was opened with it counts no more.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        link = session.get(SecureLink, link_id)
        if link is None or link.kind not in PATIENT_KINDS:
            raise DomainError(f"There is no link {link_id!r}: see `connector patient-links list --location SLUG`.")
        if link.ended_at is not None or link.expires_at <= now:
            raise DomainError(f"The link {link_id} cannot be used any more already.")
        revoke(session, link, now, actor)
