"""Take back what was sent to somebody who should not have it: links end, and with them all that was begun on them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from connector.billing.activity import Activity, remember
from connector.billing.agreements.contracts import Contract
from connector.billing.links import REVOKED_BY_STAFF, LinkKind, SecureLink, end
from connector.billing.members import Member
from connector.use_cases.patient_pages.link_history import PAGE_OPENED, REVOKED, gave_phone
from connector.use_cases.patient_pages.open_link import PATIENT_KINDS

CONTACT_CHANGED = "contact changed"
"""Why a link ends that went to an address or number which is not the member's any more."""
PAGE_LASTS = timedelta(days=1)
"""So long a page of the processor that was opened can be completed."""


class Contact(NamedTuple):
    """Where a member is reached."""

    email: str
    phone: str

    @classmethod
    def of(cls, member: Member) -> Contact:
        return cls(member.email, member.phone)


def revoke(session: Session, link: SecureLink, now: datetime, actor: str) -> None:
    """End one link, in the caller's unit of work. A page of the processor that was opened with it counts no more."""
    end(session, link.kind, link.subject_id, REVOKED_BY_STAFF, now)
    member = session.get_one(Member, link.member_id)
    _take_back(session, member, link.subject_id, now, actor)


def heed_new_contact(session: Session, member: Member, before: Contact, now: datetime, actor: str) -> list[str]:
    """End the member's links if an address or number was replaced, in the caller's unit of work.

    Whoever has the old one could otherwise sign and pay in the member's name. Where nothing was known before, nothing
    was sent, so a contact that is added ends no link. Returns what the links were about.
    """
    if not any(old and old != new for old, new in zip(before, Contact.of(member), strict=True)):
        return []
    theirs = (SecureLink.member_id == member.id, SecureLink.kind.in_(PATIENT_KINDS))
    # A request that was agreed to is still shown by its link until it is paid.
    shown = or_(
        SecureLink.ended_at.is_(None), (SecureLink.kind == LinkKind.PAYMENT) & (SecureLink.ended_because == "accepted")
    )
    statement = update(SecureLink).where(*theirs, shown, SecureLink.expires_at > now)
    ended = session.scalars(
        statement.values(ended_at=now, ended_because=CONTACT_CHANGED).returning(SecureLink.subject_id)
    ).all()
    opened = select(Activity.subject_id).where(
        Activity.subject_id.in_(select(SecureLink.subject_id).where(*theirs)),
        Activity.action == PAGE_OPENED,
        Activity.at > now - PAGE_LASTS,
    )
    for subject_id in sorted({*ended, *session.scalars(opened)}):
        _take_back(session, member, subject_id, now, actor, known_phone=before.phone)
    return sorted(set(ended))


def _take_back(
    session: Session, member: Member, subject_id: str, now: datetime, actor: str, known_phone: str | None = None
) -> None:
    """Whoever should not have had the link must not get the member's messages either, so their number is forgotten."""
    is_of_link = known_phone is None or member.phone == known_phone
    if is_of_link and session.get(Contract, subject_id) is not None and gave_phone(session, subject_id):
        member.phone = ""
    remember(session, subject_id, REVOKED, now, location_id=member.location_id, actor=actor)
