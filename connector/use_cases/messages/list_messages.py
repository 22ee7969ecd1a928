"""Show messages to staff, and send one again because a person asks for it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from connector.billing.activity import remember
from connector.billing.clinics import Location
from connector.errors import DomainError
from connector.messaging.models import URGENT, Message, MessageState
from connector.use_cases.context import Context


def list_messages(context: Context, location: Location, state: MessageState | None, limit: int) -> Sequence[Message]:
    """The location's messages, the newest first."""
    query = select(Message).where(Message.location_id == location.id)
    if state is not None:
        query = query.where(Message.state == state)
    with context.database.read() as session:
        return session.scalars(query.order_by(Message.created_at.desc(), Message.id.desc()).limit(limit)).all()


def resend_message(context: Context, message_id: str, actor: str) -> None:
    """Queue a message once more, for now, whatever became of it. Raises DomainError while it is being sent."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        message = session.get(Message, message_id, with_for_update=True)
        if message is None:
            raise DomainError(f"There is no message {message_id!r}: see `connector messages list --location SLUG`.")
        if message.state is MessageState.SENDING:
            raise DomainError(
                f"The message {message_id} is being sent at this moment: look again in a quarter of an hour."
            )
        message.state, message.not_before = MessageState.QUEUED, now
        message.detail = message.detail | {URGENT: True}
        message.attempts, message.failure, message.provider_id, message.sent_at = 0, None, None, None
        remember(session, message.id, "Message Sent Again", now, location_id=message.location_id, actor=actor)
