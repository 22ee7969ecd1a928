"""The address that a message carries: of our own page behind a fresh link, or else of a page of the processor."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.links import LinkKind, end, mint
from connector.billing.members import Member
from connector.errors import DomainError
from connector.use_cases.collection.method_page import method_page
from connector.use_cases.context import Context
from connector.use_cases.patient_pages.link_subject import LinkSubject, link_subject

PAYABLE = (LinkKind.INVOICE, LinkKind.OVERDUE)
"""An invoice has a link of one of these kinds."""
PATH = "/l/"
"""Behind this path of the patients' pages stands the token, and nothing else."""


def link_for(context: Context, kind: LinkKind, subject_id: str, location: Location, member: Member) -> str:
    """An address for that person and purpose; a new link revokes the older one. Call it outside a unit of work.

    Without pages of our own it is a page of the processor, open for a day, whose method pays or accepts at once.
    Raises DomainError when nothing waits for this person, and EdgeError when the processor cannot be asked.
    """
    if not context.public_url:
        return _hosted(context, kind, subject_id, location, member)
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        subject = link_subject(context, session, subject_id)
        _check(subject.kind, kind, subject.member_id == member.id and subject.location.id == location.id)
        return f"{context.public_url}{PATH}{minted(session, subject, now)}"


def minted(session: Session, subject: LinkSubject, now: datetime) -> str:
    """A fresh token for it, in the caller's unit of work. Every older one is revoked."""
    for kind in PAYABLE if subject.kind in PAYABLE else ():
        end(session, kind, subject.id, "replaced", now)
    return mint(session, subject.kind, subject.id, subject.member_id, now, subject.expires_at)


def _hosted(context: Context, kind: LinkKind, subject_id: str, location: Location, member: Member) -> str:
    with context.database.read() as session:
        subject = link_subject(context, session, subject_id)
    _check(subject.kind, kind, subject.member_id == member.id and subject.location.id == location.id)
    return method_page(context, member.id, subject_id, subject.currency, subject.promise).url


def _check(found: LinkKind, wanted: LinkKind, is_theirs: bool) -> None:
    """An invoice may have become overdue, or been released, since the message was queued: both are paid alike."""
    if not is_theirs or (found is not wanted and not {found, wanted} <= set(PAYABLE)):
        raise DomainError("This link is not for that person and purpose: ask for one for the right id.")
