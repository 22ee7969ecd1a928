"""The values of a message's text, made when it is sent; none, when it is not true any more."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import select

from connector.billing.clinics import Location
from connector.billing.links import SecureLink
from connector.billing.members import Member
from connector.clock import business_date
from connector.errors import DomainError
from connector.messaging.models import Message
from connector.use_cases.context import Context
from connector.use_cases.messages.message_facts import FACTS, Asked, Values


def values_of(context: Context, message: Message) -> Values | None:
    """The values of the message's text; None when it is not true any more.

    A member's link is made anew, which revokes the older one. Raises EdgeError when the processor cannot be asked.
    """
    with context.database.read() as session:
        location = session.get_one(Location, message.location_id)
        member = session.get(Member, message.member_id) if message.member_id else None
        asked = Asked(context, session, message, location, member, context.clock.now())
        try:
            found = FACTS[message.kind](asked)
        except DomainError:
            return None
    if found is None:
        return None
    values, link = found
    values["practice"] = location.trading_name or location.name
    if member is not None:
        values["given_name"] = member.given_name
    if link is not None:
        try:
            values["url"] = link()
        except DomainError:
            # Nothing waits for this person any more.
            return None
        values.setdefault("expires_on", _open_until(context, location, message.subject_id))
    return values


def _open_until(context: Context, location: Location, subject_id: str) -> date | None:
    """The last day of the link that has just been made; None for a page of the processor, which is open for a day."""
    if not context.public_url:
        return None
    with context.database.read() as session:
        live = select(SecureLink.expires_at).where(SecureLink.subject_id == subject_id, SecureLink.ended_at.is_(None))
        ends = session.scalars(live.order_by(SecureLink.created_at.desc())).first()
    # A link that ends with a day ends at the first instant of the next one.
    return business_date(ends - timedelta(seconds=1), location.zone) if ends else None
