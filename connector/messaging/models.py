"""Messages on their way: queued in the unit of work that gives the reason, handed over later, each reason once."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from connector.database.base import Base, state_column
from connector.messaging.kinds import Channel, MessageKind

URGENT = "urgent"
"""In the detail of a message for which somebody waits: it goes at any hour."""


class MessageState(StrEnum):
    """Life of a message."""

    QUEUED = "queued"
    SENDING = "sending"
    """Being handed to the mail or SMS system, which may have got it if this ends in a crash."""
    SENT = "sent"
    FAILED = "failed"
    """Refused by the mail or SMS system, or no address: staff are told."""
    DROPPED = "dropped"
    """No longer true when its time came, e.g. the invoice was paid meanwhile."""


class Message(Base):
    """One message to one person on one channel. Its text is made when it is sent, from what is true then."""

    __tablename__ = "message"
    __table_args__ = (
        Index("ix_message_work", "state", "not_before"),
        Index("ix_message_member_id", "member_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    member_id: Mapped[str | None] = mapped_column(ForeignKey("member.id"))
    staff_user_id: Mapped[str | None] = mapped_column(ForeignKey("staff_user.id"))
    """One of the two; a message with neither goes to the location itself."""
    kind: Mapped[MessageKind] = mapped_column(state_column(MessageKind))
    channel: Mapped[Channel] = mapped_column(state_column(Channel))
    subject_id: Mapped[str]
    """The contract, invoice, plan or request that it is about."""
    reason_key: Mapped[str] = mapped_column(unique=True)
    """What the message is for, e.g. 'payment_failed:inv_…:1:email': a second message for it is refused."""
    detail: Mapped[dict[str, Any]]
    """Amounts and dates that are to be said as they were decided, and whether somebody waits for it."""
    state: Mapped[MessageState] = mapped_column(state_column(MessageState))
    not_before: Mapped[datetime]
    """The send window of the location."""
    attempts: Mapped[int] = mapped_column(default=0)
    provider_id: Mapped[str | None]
    failure: Mapped[str | None]
    sent_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    @property
    def is_urgent(self) -> bool:
        """Whether it goes at any hour, rather than in the location's send window."""
        return bool(self.detail.get(URGENT))
