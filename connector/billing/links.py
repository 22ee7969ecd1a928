"""One-time secure links: what a patient is sent instead of a login. Only a hash of the token is kept.

Looking at a link changes nothing, because mail scanners look first; submitting its page consumes it, in the same
transaction as what it does. Sending a new one revokes the older.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from connector import ids
from connector.database.base import Base, state_column

REVOKED_BY_STAFF = "revoked"
"""Why a link ends that a person has ended; whoever holds it gets no other."""
_ALPHABET = string.ascii_letters + string.digits
"""A code that begins with a dash is an option on a command line, and mail programs cut one off the end of a link."""
_LENGTH = 43
"""Of so many letters and digits there are as many as of 256 bits."""


class LinkKind(StrEnum):
    """What a link is for."""

    SIGNUP = "signup"
    """A pending contract: choose a plan, accept the terms, give a payment method."""
    PAYMENT = "payment"
    """An instant payment, a hold, or a payment plan to accept."""
    INVOICE = "invoice"
    OVERDUE = "overdue"
    RECEIPT = "receipt"
    """An invoice that is paid, to be seen and saved; nothing can be done with it, so nothing uses it up."""
    METHOD = "method"
    """Another payment method for a membership or payment plan that runs."""
    PLAN_CHANGE = "plan_change"
    """New terms to accept."""
    STAFF = "staff"
    """An invitation to work here; never shown on the patients' pages."""


class SecureLink(Base):
    """One link, bound to one person and one purpose."""

    __tablename__ = "secure_link"
    __table_args__ = (
        Index(
            "uq_secure_link_live",
            "kind",
            "subject_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[LinkKind] = mapped_column(state_column(LinkKind))
    subject_id: Mapped[str]
    """The contract, request, plan, invoice or staff user that it is about."""
    member_id: Mapped[str | None] = mapped_column(ForeignKey("member.id"))
    """The person whom it was sent to; None for staff."""
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    """Consumed, revoked or replaced."""
    ended_because: Mapped[str | None]


def hash_of(token: str) -> str:
    """What is stored of a token. Tokens are random and long, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def mint(
    session: Session, kind: LinkKind, subject_id: str, member_id: str | None, now: datetime, expires_at: datetime
) -> str:
    """A new token for that purpose, which revokes the older one. It is shown once and cannot be read again."""
    end(session, kind, subject_id, "replaced", now)
    token = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    session.add(
        SecureLink(
            id=ids.new_id("lnk"),
            kind=kind,
            subject_id=subject_id,
            member_id=member_id,
            token_hash=hash_of(token),
            created_at=now,
            expires_at=expires_at,
        )
    )
    session.flush()
    return token


def find(session: Session, token: str) -> SecureLink | None:
    """The link of that token, whatever has become of it."""
    return session.scalar(select(SecureLink).where(SecureLink.token_hash == hash_of(token)))


def newest(session: Session, subject_id: str) -> SecureLink | None:
    """The link that was made last for this, of whatever kind; an invoice has another kind when it is overdue."""
    query = select(SecureLink).where(SecureLink.subject_id == subject_id)
    return session.scalars(query.order_by(SecureLink.created_at.desc(), SecureLink.id.desc()).limit(1)).first()


def consume(session: Session, link_id: str, now: datetime) -> bool:
    """End a live link; of two submits at once only one is told that it was the first."""
    statement = (
        update(SecureLink)
        .where(SecureLink.id == link_id, SecureLink.ended_at.is_(None), SecureLink.expires_at > now)
        .values(ended_at=now, ended_because="consumed")
    )
    return session.scalar(statement.returning(SecureLink.id)) is not None


def end(session: Session, kind: LinkKind, subject_id: str, because: str, now: datetime) -> None:
    """Revoke the live link of that purpose, if there is one."""
    session.execute(
        update(SecureLink)
        .where(SecureLink.kind == kind, SecureLink.subject_id == subject_id, SecureLink.ended_at.is_(None))
        .values(ended_at=now, ended_because=because)
    )
